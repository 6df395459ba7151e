"""OAuth clients of a connection: tokens for signed assertions (RFC 7523), and for those of an issuer."""

from __future__ import annotations

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from canaille.oidc.jose import server_jwks
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from pytest_iam import Server
from werkzeug.test import TestResponse

from app import create_app
from app.access.token_face import ASSERTION_TYPE
from app.settings import Settings
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
        ("an end that never comes", RSA, "RS256", {"exp": float("nan")}),
        ("an end beyond all", RSA, "RS256", {"exp": float("inf")}),
        ("an end beyond what is counted", RSA, "RS256", {"exp": 10**400}),
        ("a beginning in the future", RSA, "RS256", {"nbf": 2**40}),
        ("no id", RSA, "RS256", {"jti": None}),
        ("an empty id", RSA, "RS256", {"jti": ""}),
        ("an id that is no text", RSA, "RS256", {"jti": 5}),
        ("an id that is too long", RSA, "RS256", {"jti": "x" * 300}),
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


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ({"typ": "client-authentication+jwt"}, 200),
        ({"typ": "JWT"}, 200),
        ({"typ": "application/Client-Authentication+JWT"}, 200),
        ({"typ": None}, 200),
        ({"typ": "at+jwt"}, 400),
        ({"typ": "logout+jwt"}, 400),
        ({"crit": ["exp"], "exp": 1}, 400),
        ({"kid": "another"}, 400),
    ],
)
def test_the_header_of_an_assertion_says_what_it_is(
    tenant: Tenant, connection: str, issuer: str, header: dict[str, Any], status: int
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    whole = {name: value for name, value in {"alg": "RS256", **header}.items() if value is not None}
    claims = own(client, issuer, exp=int(time.time()) + 60, jti=str(time.time_ns()))
    # By hand: the library signs nothing that it would not believe.
    text = ".".join(
        urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (whole, claims)
    )
    signature = RSA.private_key.sign(text.encode(), PKCS1v15(), SHA256())
    assertion = f"{text}.{urlsafe_b64encode(signature).decode().rstrip('=')}"
    assert ask(tenant, assertion).status_code == status


def test_an_assertion_is_used_once(tenant: Tenant, connection: str, issuer: str) -> None:
    client, other = (registered(tenant, connection, jwks=public(RSA)) for _ in range(2))
    assertion = signed(RSA, "RS256", **own(client, issuer, jti="once"))
    assert [ask(tenant, assertion).status_code for _ in range(3)] == [200, 400, 400]
    again = signed(RSA, "RS256", **own(client, issuer, jti="once", iat=1))
    assert ask(tenant, again).status_code == 400, "another assertion with its id"
    assert ask(tenant, signed(RSA, "RS256", **own(other, issuer, jti="once"))).status_code == 200
    assert ask(tenant, signed(RSA, "RS256", **own(client, issuer))).status_code == 200
    ids = tenant.sql(
        sa.select(tables.used_assertion.c.jti).where(tables.used_assertion.c.client_id == client)
    )
    assert len(ids) == 2
    of_client = tables.used_assertion.c.client_id == client
    tenant.sql(sa.update(tables.used_assertion).where(of_client).values(expires_at=1))
    assert ask(tenant, signed(RSA, "RS256", **own(client, issuer))).status_code == 200
    assert len(tenant.sql(sa.select(tables.used_assertion.c.jti).where(of_client))) == 1, "ended ids go"


def test_of_many_who_show_one_assertion_at_once_one_gets_a_token(
    tenant: Tenant, connection: str, issuer: str
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    assertion = signed(RSA, "RS256", **own(client, issuer))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ask(tenant, assertion).status_code, range(8)))
    assert sorted(answers) == [200] + [400] * 7


def test_a_token_beyond_the_rate_of_the_connection_comes_later(
    tenant: Tenant, limited: Callable[[int], FlaskClient], connection: str, issuer: str
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    other = replace(tenant, scim=replace(tenant.scim, client=limited(1)))
    for _ in range(5):
        assert ask(other, signed(OTHER, "RS256", **own(client, issuer))).status_code == 400
    assertion = signed(RSA, "RS256", **own(client, issuer))
    assert ask(other, assertion).status_code == 200, "the failures of strangers do not count"
    later = signed(RSA, "RS256", **own(client, issuer))
    refused = ask(other, later)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert refused.get_json()["error"] == "temporarily_unavailable"
    assert ask(tenant, later).status_code == 200, "an assertion that waits is not used up"


def test_metadata_is_where_the_path_of_the_issuer_says(settings: Settings) -> None:
    public_url = "https://keys.example.com/keysteward"
    client = create_app(replace(settings, public_url=public_url)).test_client()
    found = client.get("/.well-known/oauth-authorization-server/keysteward").get_json()
    # Authlib takes an empty list for a missing one.
    AuthorizationServerMetadata({**found, "response_types_supported": ["none"]}).validate()
    assert found["response_types_supported"] == []
    assert (found["issuer"], found["token_endpoint"]) == (public_url, f"{public_url}/oauth2/token")
    assert found["scopes_supported"] == ["scim"]
    assert "RS256" in found["token_endpoint_auth_signing_alg_values_supported"]
    assert not {"none", "HS256"} & set(found["token_endpoint_auth_signing_alg_values_supported"])
    assert client.get("/.well-known/oauth-authorization-server").get_json() == found
    assert client.get("/.well-known/oauth-authorization-server/other").status_code == 404


def test_rotating_the_token_of_a_connection_leaves_those_of_its_clients(
    tenant: Tenant, connection: str, issuer: str
) -> None:
    client = registered(tenant, connection, jwks=public(RSA))
    token = ask(tenant, signed(RSA, "RS256", **own(client, issuer))).get_json()["access_token"]
    rotated = tenant.operator.post(f"/connections/{connection}/tokens", {"overlapSeconds": 0}).get_json()
    assert (users(tenant, token), users(tenant, rotated["token"])) == (200, 200)
    assert tenant.scim.get("/Users").status_code == 401, "the old one has ended"
    listed = tenant.operator.get("/warnings").get_json()["Resources"]
    assert listed == [], "nobody is warned of tokens that live an hour"


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
    assert error(client_secret="s", client_assertion_type="") == "invalid_client"
    assert error(client_id=["a", "b"]) == "invalid_request"
    assert tenant.scim.client.get("/oauth2/token").status_code == 405


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
        {"jwks": {"keys": "x"}},
        {"jwks": {"keys": [None]}},
        {"jwks": {"keys": [{"kty": "RSA", "n": "AA", "e": "AQAB"}]}},
        {"jwks": {"keys": [{**RSA.as_dict(private=False), "use": "enc"}]}},
        {"jwks": public(RSAKey.generate_key(1024))},
        {"jwks": public(ECKey.generate_key("P-521"))},
        {"jwks": public(*[EC] * 21)},
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
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
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
    assert (answer.status_code, answer.get_json()["error"]) == (503, "temporarily_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert vouching.root not in answer.text
    asked = len(vouching.asked)
    assert ask(tenant, signed(RSA, "RS256", **claims), client_id=client).status_code == 503
    assert len(vouching.asked) == asked, "whoever asks on and on has nobody fetch on and on"


def test_a_key_that_the_issuer_has_made_since_is_fetched_once(
    tenant: Tenant, settings: Settings, connection: str, vouching: Issuer
) -> None:
    client = vouched(tenant, connection, vouching)
    claims = {"iss": vouching.root, "sub": SUBJECT, "aud": AUDIENCE}
    unreadable = [
        {"kty": "AKP", "kid": "new"},
        {"kty": "EC", "crv": "P-999", "kid": "x", "x": "AA", "y": "AA"},
    ]
    shared = OctKey.import_key("s" * 32, {"kid": "shared"})
    listed = [*unreadable, shared.as_dict(private=True), *public(RSA, EC)["keys"]]
    vouching.documents["/keys"] = json.dumps({"keys": listed}).encode()
    assert ask(tenant, signed(EC, "ES256", **claims), client_id=client).status_code == 200
    assert ask(tenant, signed(shared, "HS256", **claims), client_id=client).status_code == 400
    for _ in range(5):
        assert ask(tenant, signed(ED, "EdDSA", **claims), client_id=client).status_code == 400
    assert vouching.asked.count("/keys") == 1
    # A process that starts later has not asked yet.
    other = replace(tenant, scim=replace(tenant.scim, client=create_app(settings).test_client()))
    assert ask(other, signed(RSA, "RS256", **claims), client_id=client).status_code == 200
    assert vouching.asked.count("/keys") == 2


def test_an_operator_can_let_no_issuer_be_on_this_machine(
    tenant: Tenant, settings: Settings, connection: str, vouching: Issuer
) -> None:
    client = vouched(tenant, connection, vouching)
    strict = create_app(replace(settings, loopback_issuers=False)).test_client()
    other = replace(
        tenant, scim=replace(tenant.scim, client=strict), operator=replace(tenant.operator, client=strict)
    )
    claims = {"iss": vouching.root, "sub": SUBJECT, "aud": AUDIENCE}
    assert ask(other, signed(RSA, "RS256", **claims), client_id=client).status_code == 503
    for particulars in (
        {"jwksUri": f"{vouching.root}/keys"},
        {"issuer": vouching.root, "subject": SUBJECT, "audience": AUDIENCE},
    ):
        refused = other.operator.post(f"/connections/{connection}/clients", {"name": "x", **particulars})
        assert refused.status_code == 400
    assert vouching.asked == []


def test_the_keys_of_a_client_can_be_at_an_address(
    tenant: Tenant, connection: str, issuer: str, vouching: Issuer
) -> None:
    client = registered(tenant, connection, jwksUri=f"{vouching.root}/keys")
    assert ask(tenant, signed(RSA, "RS256", **own(client, issuer))).status_code == 200
    assert ask(tenant, signed(EC, "ES256", **own(client, issuer))).status_code == 400
    assert vouching.asked == ["/keys"]


def test_a_real_openid_provider_vouches_for_a_client(
    tenant: Tenant, connection: str, iam_server: Server
) -> None:
    root = iam_server.url.rstrip("/")
    client = vouched(tenant, connection, Issuer(root=root))
    with iam_server.app.app_context():
        key = KeySet.import_key_set(server_jwks(include_inactive=False).as_dict(private=True)).keys[0]
    algorithm = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}[key.key_type]
    claims = {"iss": root, "sub": SUBJECT, "aud": AUDIENCE}
    answer = ask(tenant, signed(key, algorithm, **claims), client_id=client)
    assert answer.status_code == 200, answer.text
    assert users(tenant, answer.get_json()["access_token"]) == 200
    assert ask(tenant, signed(OTHER, "RS256", **claims), client_id=client).status_code == 400


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
