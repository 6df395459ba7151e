"""OAuth clients of a connection: tokens for signed assertions (RFC 7523), and for those of an issuer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from werkzeug.test import TestResponse

from app.access.token_face import ASSERTION_TYPE
from app.store import tables
from tests.http.conftest import Tenant

RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", parameters={"kid": "ed"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
SUBJECT = "4f9c1d9a-service-principal"
AUDIENCE = "api://keysteward"


def public(*keys: Any) -> dict[str, Any]:
    return {"keys": [each.as_dict(private=False) for each in keys]}


@pytest.fixture
def connection(tenant: Tenant) -> str:
    return str(tenant.operator.get("/connections").get_json()["Resources"][0]["id"])


@pytest.fixture
def issuer(tenant: Tenant) -> str:
    found = tenant.scim.client.get("/.well-known/oauth-authorization-server").get_json()
    assert found["token_endpoint"] == f"{found['issuer']}/oauth2/token"
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["grant_types_supported"] == ["client_credentials"]
    return str(found["issuer"])


def registered(tenant: Tenant, connection: str, **particulars: Any) -> str:
    made = tenant.operator.post(f"/connections/{connection}/clients", {"name": "okta", **particulars})
    assert made.status_code == 201, made.text
    return str(made.get_json()["id"])


def ask(tenant: Tenant, assertion: str, **form: Any) -> TestResponse:
    return tenant.scim.client.post(
        "/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
            **form,
        },
    )


def signed(key: Any, algorithm: str, **claims: Any) -> str:
    header = {"alg": algorithm, "kid": key.kid} if key.kid else {"alg": algorithm}
    whole = {"exp": int(time.time()) + 300, "jti": f"{time.time_ns()}", **claims}
    kept = {name: value for name, value in whole.items() if value is not None}
    return str(jwt.encode(header, kept, key, algorithms=[algorithm]))


def own(client: str, issuer: str, **claims: Any) -> dict[str, Any]:
    return {"iss": client, "sub": client, "aud": issuer, **claims}


def users(tenant: Tenant, token: str) -> int:
    answer = tenant.scim.client.get("/scim/v2/Users", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")])
def test_a_client_with_keys_of_its_own_gets_a_token(
    tenant: Tenant, connection: str, issuer: str, key: Any, algorithm: str
) -> None:
    client = registered(tenant, connection, jwks=public(RSA, EC, ED))
    answer = ask(tenant, signed(key, algorithm, **own(client, issuer)), client_id=client, scope="scim")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.get_json()
    assert (token["token_type"], token["scope"], token["expires_in"]) == ("Bearer", "scim", 3600)
    assert users(tenant, token["access_token"]) == 200
    events = tenant.operator.get("/events", limit=1000).get_json()["Resources"]
    assert [each["actor"] for each in events if each["type"] == "credential.issued"][-1] == f"client:{client}"
    assert token["access_token"] not in json.dumps(events)


@pytest.mark.parametrize(
    ("what", "key", "algorithm", "claims"),
    [
        ("another key", OTHER, "RS256", {}),
        ("another issuer", RSA, "RS256", {"iss": "somebody"}),
        ("another subject", RSA, "RS256", {"sub": "somebody"}),
        ("the token endpoint as audience", RSA, "RS256", {"aud": "http://127.0.0.1:8470/oauth2/token"}),
        ("a list as audience", RSA, "RS256", {"aud": ["http://127.0.0.1:8470"]}),
        ("no audience", RSA, "RS256", {"aud": None}),
        ("no end", RSA, "RS256", {"exp": None}),
        ("an end in the past", RSA, "RS256", {"exp": 1}),
        ("an end far ahead", RSA, "RS256", {"exp": 2**40}),
        ("an end that is no number", RSA, "RS256", {"exp": "soon"}),
        ("a beginning in the future", RSA, "RS256", {"nbf": 2**40}),
        ("no id", RSA, "RS256", {"jti": None}),
        ("a shared secret", OctKey.import_key("s" * 32), "HS256", {}),
    ],
)
def test_an_assertion_that_is_not_to_be_believed(
    tenant: Tenant, connection: str, issuer: str, what: str, key: Any, algorithm: str, claims: dict[str, Any]
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    answer = ask(tenant, signed(key, algorithm, **own(client, issuer, **claims)), client_id=client)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client"), what
    assert "access_token" not in answer.text


@pytest.mark.parametrize("assertion", ["", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 20_000])
def test_what_is_no_assertion(tenant: Tenant, connection: str, assertion: str) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    for form in ({}, {"client_id": client}, {"client_id": "cli_nobody"}, {"client_id": "a\0b"}):
        answer = ask(tenant, assertion, **form)
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client")


def test_an_assertion_is_used_once(tenant: Tenant, connection: str, issuer: str) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    assertion = signed(RSA, "RS256", **own(client, issuer))
    assert [ask(tenant, assertion).status_code for _ in range(3)] == [200, 400, 400]


def test_other_grants_scopes_and_secrets_are_refused(tenant: Tenant, connection: str, issuer: str) -> None:
    client = registered(tenant, connection, jwks=public(RSA))

    def error(**form: Any) -> str:
        answer = ask(tenant, signed(RSA, "RS256", **own(client, issuer)), **form)
        assert answer.status_code in (400, 401)
        return str(answer.get_json()["error"])

    assert error(scope="operator") == "invalid_scope"
    assert error(scope="scim operator") == "invalid_scope"
    assert error(grant_type="password") == "unsupported_grant_type"
    assert error(client_assertion_type="urn:other") == "invalid_client"


def test_a_token_ends_with_its_client_its_connection_and_by_itself(
    tenant: Tenant, connection: str, issuer: str
) -> None:
    one, two = (registered(tenant, connection, jwks=public(RSA)) for _ in range(2))

    def token(client: str) -> str:
        return str(ask(tenant, signed(RSA, "RS256", **own(client, issuer))).get_json()["access_token"])

    first, second, third = token(one), token(two), token(two)
    assert tenant.operator.delete(f"/connections/{connection}/clients/{one}").status_code == 204
    assert (users(tenant, first), users(tenant, second)) == (401, 200)
    assert ask(tenant, signed(RSA, "RS256", **own(one, issuer))).status_code == 400
    past = sa.update(tables.credential).where(tables.credential.c.id == third.split("_")[2])
    tenant.sql(past.values(expires_at=tables.credential.c.created_at))
    assert users(tenant, third) == 401
    assert tenant.operator.post(f"/connections/{connection}/disable").status_code == 200
    assert users(tenant, second) == 401
    assert ask(tenant, signed(RSA, "RS256", **own(two, issuer))).status_code == 400


def test_tokens_that_ended_long_ago_are_swept_away(tenant: Tenant, connection: str, issuer: str) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    of_client = tables.credential.c.client_id == client
    for _ in range(3):
        assert ask(tenant, signed(RSA, "RS256", **own(client, issuer))).status_code == 200
    tenant.sql(sa.update(tables.credential).where(of_client).values(expires_at=1))
    assert ask(tenant, signed(RSA, "RS256", **own(client, issuer))).status_code == 200
    assert len(tenant.sql(sa.select(tables.credential.c.id).where(of_client))) == 1


@pytest.mark.parametrize(
    "particulars",
    [
        {},
        {"jwks": {}},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [RSA.as_dict(private=True)]}},
        {"jwks": {"keys": [OctKey.import_key("s" * 32).as_dict(private=True)]}},
        {"jwks": public(RSA), "jwksUri": "https://keys.example"},
        {"jwksUri": "http://keys.example"},
        {"jwksUri": "file:///etc/passwd"},
        {"issuer": "https://issuer.example"},
        {"issuer": "http://issuer.example", "subject": "s", "audience": "a"},
    ],
)
def test_a_client_that_cannot_be_registered(
    tenant: Tenant, connection: str, particulars: dict[str, Any]
) -> None:
    answer = tenant.operator.post(f"/connections/{connection}/clients", {"name": "x", **particulars})
    assert answer.status_code == 400, answer.text
    assert tenant.operator.get(f"/connections/{connection}/clients").get_json()["totalResults"] == 0
    assert '"d"' not in answer.text


@dataclass
class Issuer:
    """An identity provider on this machine, with a real discovery document and keys."""

    keys: list[Any] = field(default_factory=lambda: [RSA])
    documents: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    root: str = ""


@pytest.fixture
def vouching() -> Iterator[Issuer]:
    state = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            body = state.documents.get(self.path)
            if body is None and self.path == "/.well-known/openid-configuration":
                body = json.dumps({"issuer": state.root, "jwks_uri": f"{state.root}/keys"}).encode()
            elif body is None and self.path == "/keys":
                body = json.dumps(public(*state.keys)).encode()
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()


def vouched(tenant: Tenant, connection: str, issuer: Issuer) -> str:
    return registered(tenant, connection, issuer=issuer.root, subject=SUBJECT, audience=AUDIENCE)


def test_a_client_that_an_issuer_vouches_for_gets_tokens(
    tenant: Tenant, connection: str, vouching: Issuer
) -> None:
    client = vouched(tenant, connection, vouching)
    claims = {"iss": vouching.root, "sub": SUBJECT, "aud": AUDIENCE, "uti": "u", "jti": None}
    assertion = signed(RSA, "RS256", **claims)
    for _again in range(2):
        answer = ask(tenant, assertion, client_id=client, scope="scim")
        assert answer.status_code == 200, answer.text
        assert users(tenant, answer.get_json()["access_token"]) == 200
    assert vouching.asked.count("/keys") == 1, "keys are kept for a while"
    for wrong in ({"iss": "https://other"}, {"sub": "other"}, {"aud": "other"}, {"exp": 1}):
        refused = ask(tenant, signed(RSA, "RS256", **{**claims, **wrong}), client_id=client)
        assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_client")
    assert ask(tenant, signed(OTHER, "RS256", **claims), client_id=client).status_code == 400


@pytest.mark.parametrize(
    ("path", "document"),
    [
        (
            "/.well-known/openid-configuration",
            b'{"issuer": "https://other", "jwks_uri": "http://127.0.0.1/"}',
        ),
        ("/.well-known/openid-configuration", b"not JSON"),
        ("/.well-known/openid-configuration", b"[]"),
        ("/keys", b"{}"),
        ("/keys", b" " * 300_000),
    ],
)
def test_an_issuer_whose_keys_cannot_be_had_lets_nobody_in(
    tenant: Tenant, connection: str, vouching: Issuer, path: str, document: bytes
) -> None:
    vouching.documents[path] = document
    client = vouched(tenant, connection, vouching)
    claims = {"iss": vouching.root, "sub": SUBJECT, "aud": AUDIENCE}
    answer = ask(tenant, signed(RSA, "RS256", **claims), client_id=client)
    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_client")


def test_another_tenants_operator_neither_sees_nor_removes_a_client(
    tenant: Tenant, connection: str, found: Any
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    other = found()
    assert other.operator.get(f"/connections/{connection}/clients").status_code == 404
    assert other.operator.delete(f"/connections/{connection}/clients/{client}").status_code == 404
    assert tenant.operator.get(f"/connections/{connection}/clients").get_json()["totalResults"] == 1


def test_the_key_set_of_a_client_is_kept_public(tenant: Tenant, connection: str) -> None:
    registered(tenant, connection, jwks=public(RSA))
    (listed,) = tenant.operator.get(f"/connections/{connection}/clients").get_json()["Resources"]
    assert not KeySet.import_key_set(listed["jwks"]).keys[0].is_private
