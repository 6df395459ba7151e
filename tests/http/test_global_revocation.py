"""All keys of a user end by what an identity provider signs: Okta's Universal Logout, and others alike."""

from __future__ import annotations

import json
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from werkzeug.test import TestResponse

from app.access.token_face import ASSERTION_TYPE
from app.store import tables
from tests.http.conftest import Key, Tenant
from tests.http.lying_provider import lying_provider

TYPE = "global-token-revocation+jwt"
APPLICATION = "0oaUniversalLogout"
ADA = {"sub_id": {"format": "iss_sub", "iss": "https://org.okta.com", "sub": "00uADA"}}
RSA = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
EC = ECKey.generate_key("P-256", parameters={"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", parameters={"kid": "ed"})
OTHER = RSAKey.generate_key(2048, parameters={"kid": "rsa"})
SECRET = OctKey.import_key("s" * 32)
ISSUER = "https://org.okta.com"


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement("orders")
    return tenant.key(tenant.user("ada", externalId="00uADA", entitlements=[{"value": "orders"}]), "orders")


def registered(tenant: Tenant, **particulars: Any) -> dict[str, Any]:
    said = {"name": "universal logout", "purpose": "revocation", **particulars}
    made = tenant.operator.post("/connections/idp/clients", said)
    assert made.status_code == 201, made.text
    document: dict[str, Any] = made.get_json()
    return document


@pytest.fixture
def client(tenant: Tenant) -> dict[str, Any]:
    """Return a client with the issuer's keys beside its issuer and subject."""
    return registered(tenant, issuer=ISSUER, subject=APPLICATION, jwks=public(RSA, EC, ED))


def public(*keys: Any) -> dict[str, Any]:
    return {"keys": [each.as_dict(private=False) for each in keys]}


def claims_of(client: dict[str, Any], **claims: Any) -> dict[str, Any]:
    """Return what Okta says: from five minutes ago to five minutes ahead."""
    now = int(time.time())
    whole = {
        "jti": f"{time.time_ns()}",
        "iss": client["issuer"],
        "sub": client["subject"],
        "aud": client["endpoint"],
        "iat": now,
        "nbf": now - 300,
        "exp": now + 300,
        **claims,
    }
    return {name: value for name, value in whole.items() if value is not None}


def signed(claims: dict[str, Any], key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    whole = {"alg": algorithm, "typ": TYPE, "kid": key.kid, **header}
    kept = {name: value for name, value in whole.items() if value is not None}
    return str(jwt.encode(kept, claims, key, algorithms=[algorithm]))


def post(tenant: Tenant, path: str, assertion: str, body: Any = ADA, **headers: str) -> TestResponse:
    return tenant.flask.test_client().post(
        path, json=body, headers={"Authorization": f"Bearer {assertion}", **headers}
    )


def path_of(client: dict[str, Any]) -> str:
    return f"/global-token-revocation/{client['id']}"


def revocations(tenant: Tenant) -> list[dict[str, Any]]:
    found = tenant.operator.get("/events", limit=1000).get_json()["Resources"]
    return [each for each in found if each["type"] == "consumer.keys_revoked"]


def refused(tenant: Tenant, key: Key, answer: TestResponse) -> str:
    """Return why; the answer is that of RFC 6750 with problem details, and nothing has happened."""
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json"), answer.text
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="keysteward"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert tenant.verify(key) == "allow"
    assert revocations(tenant) == []
    return str(answer.get_json()["detail"])


@pytest.mark.parametrize(
    ("signing", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")]
)
def test_an_identity_provider_ends_all_keys_of_a_user(
    tenant: Tenant, client: dict[str, Any], key: Key, signing: Any, algorithm: str
) -> None:
    assert client["endpoint"].endswith(path_of(client))
    answer = post(tenant, path_of(client), signed(claims_of(client), signing, algorithm))
    assert (answer.status_code, answer.data) == (204, b"")
    assert tenant.verify(key) == "key_revoked"
    (event,) = revocations(tenant)
    assert event["actor"] == f"client:{client['id']}"
    receipt = tenant.operator.get(f"/keys/{key.id}/receipt").get_json()
    assert (receipt["state"], receipt["cause"]["txn"]) == ("revoked", event["txn"])
    # Said again, it is another assertion, and changes nothing.
    assert post(tenant, path_of(client), signed(claims_of(client))).status_code == 204


def test_the_keys_are_those_of_the_issuer_where_none_are_registered(tenant: Tenant, key: Key) -> None:
    with lying_provider() as okta:
        client = registered(tenant, issuer=okta.issuer, subject=APPLICATION)
        forged = signed(claims_of(client), OTHER, kid=okta.key.kid)
        assert "signature" in refused(tenant, key, post(tenant, path_of(client), forged))
        answer = post(tenant, path_of(client), signed(claims_of(client), okta.key))
        assert answer.status_code == 204, answer.text
        assert okta.asked.count("/keys") == 1
    assert tenant.verify(key) == "key_revoked"


def test_the_keys_of_an_issuer_may_be_at_an_address(tenant: Tenant, key: Key) -> None:
    with lying_provider() as okta:
        client = registered(tenant, issuer=ISSUER, subject=APPLICATION, jwksUri=f"{okta.issuer}/keys")
        assert post(tenant, path_of(client), signed(claims_of(client), okta.key)).status_code == 204
        assert okta.asked == ["/keys"]


def test_where_keys_cannot_be_had_it_may_come_again_with_the_same(tenant: Tenant, key: Key) -> None:
    with lying_provider() as okta:
        okta.metadata = {"issuer": "https://other.example"}
        client = registered(tenant, issuer=okta.issuer, subject=APPLICATION)
        answer = post(tenant, path_of(client), signed(claims_of(client), okta.key))
        assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
        assert int(answer.headers["Retry-After"]) > 0
        assert okta.issuer not in answer.text
    assert tenant.verify(key) == "allow"


def test_a_client_with_keys_of_its_own_may_call_either_address(tenant: Tenant, key: Key) -> None:
    client = registered(tenant, jwks=public(RSA))
    client = {**client, "issuer": client["id"], "subject": client["id"]}
    common = client["endpoint"].rpartition("/")[0]
    assert post(tenant, path_of(client), signed(claims_of(client, aud=common))).status_code == 401
    wrong = signed(claims_of(client))
    assert "aud" in refused(tenant, key, post(tenant, "/global-token-revocation", wrong))
    right = signed(claims_of(client, aud=common))
    assert post(tenant, "/global-token-revocation", right).status_code == 204
    assert tenant.verify(key) == "key_revoked"
    assert post(tenant, path_of(client), signed(claims_of(client))).status_code == 204


UNBELIEVABLE: list[tuple[str, dict[str, Any]]] = [
    ("another issuer", {"iss": "https://other.okta.com"}),
    ("no issuer", {"iss": None}),
    ("another subject", {"sub": "0oaAnother"}),
    ("no subject", {"sub": None}),
    ("another audience", {"aud": "https://else.example/global-token-revocation"}),
    ("the common address as audience", {"aud": "http://127.0.0.1:8470/global-token-revocation"}),
    ("no audience", {"aud": None}),
    ("no id", {"jti": None}),
    ("an empty id", {"jti": ""}),
    ("an id that is no text", {"jti": 5}),
    ("an id that is too long", {"jti": "x" * 300}),
    ("no end", {"exp": None}),
    ("an end in the past", {"exp": 1}),
    ("an end far ahead", {"exp": 2**40}),
    ("an end that never comes", {"exp": float("inf")}),
    ("no issue", {"iat": None}),
    ("an issue long ago", {"iat": 1}),
    ("an issue before all", {"iat": -(10**400)}),
    ("an issue in the future", {"iat": 2**40}),
    ("an issue that is no number", {"iat": "now"}),
    ("a beginning in the future", {"nbf": 2**40}),
]


def test_claims_that_are_not_to_be_believed(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    for what, claims in UNBELIEVABLE:
        why = refused(tenant, key, post(tenant, path_of(client), signed(claims_of(client, **claims))))
        (named,) = claims
        assert named in why, what


def test_an_audience_in_a_list_is_refused(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    for others in ([], ["https://else.example"]):
        assertion = signed(claims_of(client, aud=[client["endpoint"], *others]))
        assert "aud" in refused(tenant, key, post(tenant, path_of(client), assertion))


def test_an_assertion_for_another_purpose_ends_nothing(
    tenant: Tenant, client: dict[str, Any], key: Key
) -> None:
    for typ in (None, "JWT", "at+jwt", "client-authentication+jwt", "logout+jwt", f"x{TYPE}"):
        assertion = signed(claims_of(client), typ=typ)
        assert "typ" in refused(tenant, key, post(tenant, path_of(client), assertion))


def test_its_type_may_be_a_media_type_in_any_letter_case(
    tenant: Tenant, client: dict[str, Any], key: Key
) -> None:
    assertion = signed(claims_of(client), typ="application/Global-Token-Revocation+JWT")
    assert post(tenant, path_of(client), assertion).status_code == 204


def test_a_signature_that_cannot_be_believed(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    for signing, algorithm in ((OTHER, "RS256"), (SECRET, "HS256"), (RSA, "RS384"), (RSA, "RS512")):
        assertion = signed(claims_of(client), signing, algorithm)
        assert "signature" in refused(tenant, key, post(tenant, path_of(client), assertion))


def _by_hand(header: dict[str, Any], claims: dict[str, Any], *, sign: bool) -> str:
    """Return what the library would not sign."""
    text = ".".join(
        urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (header, claims)
    )
    signature = RSA.private_key.sign(text.encode(), PKCS1v15(), SHA256()) if sign else b""
    return f"{text}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_what_is_signed_by_nobody_or_demands_what_nobody_knows(
    tenant: Tenant, client: dict[str, Any], key: Key
) -> None:
    for header, sign in (
        ({"alg": "none", "typ": TYPE}, False),
        ({"alg": "RS256", "typ": TYPE, "kid": "rsa"}, False),
        ({"alg": "RS256", "typ": TYPE, "kid": "nobody"}, True),
        ({"alg": "RS256", "typ": TYPE, "kid": "rsa", "crit": ["exp"], "exp": 1}, True),
        ({"alg": "RS256", "typ": TYPE, "jwk": OTHER.as_dict(private=False), "kid": "x"}, True),
    ):
        refused(tenant, key, post(tenant, path_of(client), _by_hand(header, claims_of(client), sign=sign)))


def test_what_is_no_assertion(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    common = "/global-token-revocation"
    for assertion in ("", "nonsense", "a.b.c", "..", "x" * 20_000, f"{'x' * 9000}.b.c"):
        for path in (common, path_of(client), f"{common}/cli_nobody", f"{common}/a%00b"):
            assert post(tenant, path, assertion).status_code == 401
    several = post(tenant, path_of(client), signed(claims_of(client)) + ", Bearer a.b.c")
    refused(tenant, key, several)
    basic = tenant.flask.test_client().post(
        path_of(client), json=ADA, headers={"Authorization": f"Basic {signed(claims_of(client))}"}
    )
    refused(tenant, key, basic)


def test_an_assertion_is_used_once(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    assertion = signed(claims_of(client, jti="once"))
    # What fails uses nothing up: the identity provider may send it again as it is.
    unknown = {"sub_id": {"format": "opaque", "id": "nobody"}}
    assert post(tenant, path_of(client), assertion, unknown).status_code == 404
    assert post(tenant, path_of(client), assertion, {"sub_id": {"format": "no"}}).status_code == 400
    with ThreadPoolExecutor(4) as several:
        done = list(several.map(lambda _: post(tenant, path_of(client), assertion).status_code, range(4)))
    assert sorted(done) == [204, 401, 401, 401]
    another = tenant.key(tenant.operator.get(f"/keys/{key.id}").get_json()["consumer"]["value"], "orders")
    answer = post(tenant, path_of(client), assertion)
    assert (answer.status_code, answer.get_json()["detail"]) == (401, "The assertion was used before")
    assert post(tenant, path_of(client), signed(claims_of(client, jti="once", nbf=1))).status_code == 401
    assert tenant.verify(another) == "allow"
    assert len(revocations(tenant)) == 1


def test_a_client_of_a_disabled_connection_or_one_that_is_removed_ends_nothing(
    tenant: Tenant, client: dict[str, Any], key: Key
) -> None:
    other = registered(tenant, jwks=public(RSA))
    assert tenant.operator.delete(f"/connections/idp/clients/{client['id']}").status_code == 204
    refused(tenant, key, post(tenant, path_of(client), signed(claims_of(client))))
    assert tenant.operator.post("/connections/idp/disable").status_code == 200
    own = {**other, "issuer": other["id"], "subject": other["id"]}
    refused(tenant, key, post(tenant, path_of(own), signed(claims_of(own))))


def test_two_tenants_may_trust_one_issuer_and_never_meet(
    tenant: Tenant, found: Callable[..., Tenant], client: dict[str, Any], key: Key
) -> None:
    stranger = found()
    theirs = registered(stranger, issuer=ISSUER, subject=APPLICATION, jwks=public(RSA))
    # What is meant for them is refused here, and there it is of nobody.
    assert "aud" in refused(tenant, key, post(tenant, path_of(client), signed(claims_of(theirs))))
    assert post(stranger, path_of(theirs), signed(claims_of(theirs))).status_code == 404
    # At the common address the subject alone says nothing of whose directory is meant.
    common = client["endpoint"].rpartition("/")[0]
    assertion = signed(claims_of(client, aud=common))
    refused(tenant, key, post(tenant, "/global-token-revocation", assertion))


def test_the_assertions_of_one_purpose_are_none_for_the_other(tenant: Tenant, key: Key) -> None:
    tokens = registered(tenant, purpose="tokens", jwks=public(RSA))
    revoking = registered(tenant, jwks=public(RSA))
    root = tokens["endpoint"].removesuffix("/oauth2/token")
    for each in (tokens, revoking):
        own = {**each, "issuer": each["id"], "subject": each["id"]}
        own["endpoint"] = f"{root}{path_of(each)}"
        if each is tokens:
            refused(tenant, key, post(tenant, path_of(each), signed(claims_of(own))))
            continue
        assertion = signed(claims_of(own, aud=root), typ="JWT")
        form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        asked = tenant.scim.client.post("/oauth2/token", data={"grant_type": "client_credentials", **form})
        assert (asked.status_code, asked.get_json()["error"]) == (400, "invalid_client")


def test_no_token_opens_the_address_of_a_client(tenant: Tenant, client: dict[str, Any], key: Key) -> None:
    for face in (tenant.operator, tenant.scim):
        answer = tenant.flask.test_client().post(path_of(client), json=ADA, headers=face.headers)
        refused(tenant, key, answer)


def test_it_counts_as_a_request_of_the_connection(
    tenant: Tenant, client: dict[str, Any], key: Key, limited: Callable[[int], FlaskClient]
) -> None:
    few = limited(1)

    def ask(assertion: str) -> TestResponse:
        return few.post(path_of(client), json=ADA, headers={"Authorization": f"Bearer {assertion}"})

    assert ask(signed(claims_of(client), OTHER)).status_code == 401, "nobody else uses up what it may send"
    assert ask(signed(claims_of(client))).status_code == 204
    answer = ask(signed(claims_of(client)))
    assert (answer.status_code, answer.content_type) == (429, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0


UNREGISTRABLE: list[dict[str, Any]] = [
    {},
    {"purpose": "nothing", "jwks": public(RSA)},
    {"purpose": 5, "jwks": public(RSA)},
    {"issuer": ISSUER},
    {"subject": APPLICATION},
    {"issuer": ISSUER, "subject": APPLICATION, "audience": "a"},
    {"issuer": "http://org.okta.com", "subject": APPLICATION},
    {"issuer": ISSUER, "subject": APPLICATION, "jwks": public(RSA), "jwksUri": f"{ISSUER}/keys"},
    {"jwks": {"keys": [RSA.as_dict(private=True)]}},
    {"jwks": public(RSAKey.generate_key(1024))},
]


def test_a_client_that_cannot_be_registered(tenant: Tenant) -> None:
    for particulars in UNREGISTRABLE:
        said = {"name": "x", "purpose": "revocation", **particulars}
        assert tenant.operator.post("/connections/idp/clients", said).status_code == 400, particulars
    assert tenant.operator.get("/connections/idp/clients").get_json()["totalResults"] == 0


def test_a_client_for_revocation_does_not_stand_in_for_a_token(
    tenant: Tenant, client: dict[str, Any]
) -> None:
    (listed,) = tenant.operator.get("/connections/idp/clients").get_json()["Resources"]
    assert listed == client

    def warned() -> bool:
        found = tenant.operator.get("/warnings").get_json()["Resources"]
        return "connection_without_token" in {each["kind"] for each in found}

    of_it = tables.credential.c.connection_id == client["connection"]
    tenant.sql(sa.update(tables.credential).where(of_it).values(revoked_at=tables.credential.c.created_at))
    assert warned()
    registered(tenant, purpose="tokens", jwks=public(RSA))
    assert not warned()


def test_the_metadata_tell_of_it(app: Any) -> None:
    document = app.test_client().get("/.well-known/oauth-authorization-server").get_json()
    AuthorizationServerMetadata(document).validate_issuer()
    endpoint = document["global_token_revocation_endpoint"]
    assert endpoint == f"{document['issuer']}/global-token-revocation"
    assert document["global_token_revocation_endpoint_auth_methods_supported"] == [
        "Bearer",
        "private_key_jwt",
    ]
    assert document["revocation_endpoint"] == f"{document['issuer']}/oauth2/revoke"
    assert app.test_client().post(endpoint.removeprefix(document["issuer"])).status_code == 401


def test_no_assertion_is_ever_logged(
    tenant: Tenant, client: dict[str, Any], key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [signed(claims_of(client, exp=1)), signed(claims_of(client), OTHER), signed(claims_of(client))]
    answers = [post(tenant, path_of(client), each) for each in shown]
    assert [each.status_code for each in answers] == [401, 401, 204]
    told = caplog.text + "".join(each.text + str(each.headers) for each in answers)
    told += json.dumps(tenant.operator.get("/events", limit=1000).get_json())
    for each in shown:
        assert each not in told
        assert each.rpartition(".")[2] not in told
