"""Token introspection (RFC 7662): what is told of a key that is good, and nothing of any other."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.test import TestResponse

from app import create_app
from app.settings import Settings
from app.store import tables
from app.store.secrets import mint
from tests.http.conftest import CONSUMER, HOUR, SECOND, Key, Tenant

INACTIVE = {"active": False}


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement("orders", audience="https://api.example", scopes=["orders.read", "orders.write"])
    return tenant.key(tenant.user("Ada Löve", entitlements=[{"value": "orders"}]), "orders")


def bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": tenant.gate.headers["X-Gate-Authorization"]}


def ask(tenant: Tenant, token: str, **form: Any) -> TestResponse:
    return tenant.gate.client.post(
        "/oauth2/introspect", data={"token": token, **form}, headers=bearer(tenant)
    )


def told(tenant: Tenant, token: str, **form: Any) -> dict[str, Any]:
    answer = ask(tenant, token, **form)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    members: dict[str, Any] = answer.get_json()
    return members


def test_a_good_key_is_told_as_the_server_knows_it_now(tenant: Tenant, key: Key) -> None:
    row = tenant.sql(sa.select(tables.key).where(tables.key.c.id == key.id))[0]
    first = told(tenant, key.secret, token_type_hint="access_token")
    assert first.pop("status")["status_list"]["uri"] == f"http://127.0.0.1:8470/statuslists/{tenant.id}/0"
    assert first == {
        "active": True,
        "scope": "orders.read orders.write",
        "client_id": key.id,
        "username": "Ada Löve",
        "token_type": "Bearer",
        "iat": row.issued_at // SECOND,
        "nbf": row.issued_at // SECOND,
        "sub": row.consumer_id,
        "aud": "https://api.example",
        "iss": "http://127.0.0.1:8470",
        "jti": key.secret.split("_")[2],
        "entitlements": [{"value": "orders"}],
    }
    user = tenant.read(f"/Users/{row.consumer_id}")
    assert tenant.scim.put(f"/Users/{row.consumer_id}", {**user, "userName": "ada"}).status_code == 200
    entitlement = tenant.scim.get("/Entitlements").get_json()["Resources"][0]
    changed = {**entitlement, "scopes": ["orders.read"]}
    assert tenant.scim.put(f"/Entitlements/{entitlement['id']}", changed).status_code == 200
    now = told(tenant, f"secret-token:{key.secret}")
    assert (now["username"], now["scope"]) == ("ada", "orders.read")


def test_the_end_is_the_first_of_all_ends(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"lifetimeSeconds": 3600})
    ends = "2199-01-01T00:00:00Z"
    user = tenant.user(
        "ada",
        schemas=["urn:ietf:params:scim:schemas:core:2.0:User", CONSUMER],
        entitlements=[{"value": "orders"}],
        **{CONSUMER: {"accessEndsAt": ends}},
    )
    key = tenant.key(user, "orders")
    first = told(tenant, key.secret)
    assert first["exp"] - first["iat"] == 3600
    tenant.sql(sa.update(tables.key).where(tables.key.c.id == key.id).values(expires_at=None))
    assert told(tenant, key.secret)["exp"] == 7_226_582_400, ends
    rotated = tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 600})
    assert rotated.status_code == 200, rotated.text
    old, new = told(tenant, key.secret), told(tenant, rotated.get_json()["secret"])
    assert old["exp"] < new["exp"] == 7_226_582_400
    assert old["jti"] != new["jti"], "each secret is a token of its own"
    assert old["client_id"] == new["client_id"] == key.id


def test_of_every_other_key_nothing_is_told(found: Callable[..., Tenant], tenant: Tenant, key: Key) -> None:
    other = found()
    user = told(tenant, key.secret)["sub"]
    for token in ("nonsense", mint("ks", "live").text, key.secret[:-1] + "!", "x" * 5000, "\0", "é"):
        assert told(tenant, token) == INACTIVE
    assert told(other, key.secret) == INACTIVE, "another tenant's"
    for question in (
        {"scope": "orders.delete"},
        {"scope": "orders.read other"},
        {"audience": "https://elsewhere.example"},
    ):
        assert told(tenant, key.secret, **question) == INACTIVE
    assert (
        tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": {"active": False}}).status_code == 200
    )
    assert told(tenant, key.secret) == INACTIVE
    assert (
        tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": {"active": True}}).status_code == 200
    )
    assert told(tenant, key.secret)["active"] is True
    assert tenant.operator.post(f"/keys/{key.id}/revoke").status_code == 200
    assert told(tenant, key.secret) == INACTIVE


@pytest.mark.parametrize("what", ["expired", "rotated out", "deleted"])
def test_what_has_ended_is_not_active(tenant: Tenant, what: str) -> None:
    tenant.entitlement("orders", keyPolicy={"lifetimeSeconds": 7200})
    user = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.key(user, "orders")
    assert told(tenant, key.secret)["active"] is True
    if what == "deleted":
        assert tenant.scim.delete(f"/Users/{user}").status_code == 204
    elif what == "expired":
        tenant.let_pass(3 * HOUR)
    else:
        assert tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 60}).status_code == 200
        assert told(tenant, key.secret)["active"] is True
        tenant.let_pass(HOUR)
    assert told(tenant, key.secret) == INACTIVE


def test_a_scope_for_one_audience_is_not_told_to_another(tenant: Tenant) -> None:
    tenant.entitlement("orders", audience="https://orders.example", scopes=["read", "admin"])
    tenant.entitlement("bills", audience="https://bills.example", scopes=["read"])
    tenant.entitlement("hello", scopes=["greet"])
    values = ["orders", "bills", "hello"]
    key = tenant.key(tenant.user("ada", entitlements=[{"value": each} for each in values]), *values)
    every = told(tenant, key.secret)
    assert every["aud"] == ["https://bills.example", "https://orders.example"]
    assert every["scope"] == "greet read"
    assert told(tenant, key.secret, audience="https://orders.example")["scope"] == "admin greet read"
    assert "aud" not in told(tenant, key.secret, scope="greet")


def test_conditions_are_judged_on_what_the_caller_says_of_the_call(tenant: Tenant) -> None:
    tenant.entitlement("orders", conditions={"methods": ["GET"], "paths": ["/orders/*"]})
    key = tenant.key(tenant.user("ada", entitlements=[{"value": "orders"}]), "orders")
    assert told(tenant, key.secret) == INACTIVE, "an unknown method is none of those"
    assert told(tenant, key.secret, method="GET", path="/orders/7")["active"] is True
    assert told(tenant, key.secret, method="GET", path="/orders/../7") == INACTIVE


def test_the_caller_must_be_known_and_say_it_in_form(tenant: Tenant, key: Key, client: FlaskClient) -> None:
    def status(headers: dict[str, str], **form: Any) -> tuple[int, str]:
        answer = client.post("/oauth2/introspect", data=form, headers=headers)
        assert answer.headers["Cache-Control"] == "no-store"
        return answer.status_code, answer.get_json()["error"]

    good = {"token": key.secret}
    assert status({}, **good) == (401, "invalid_token")
    assert status({"Authorization": f"Bearer {key.secret}"}, **good) == (401, "invalid_token")
    assert status(tenant.operator.headers, **good) == (403, "insufficient_scope")
    assert status({}) == (401, "invalid_token"), "who asks is told first"
    two = {"Authorization": f"{bearer(tenant)['Authorization']}, Bearer another"}
    assert status(two, **good) == (400, "invalid_request")
    assert status(bearer(tenant)) == (400, "invalid_request")
    assert status(bearer(tenant), token="") == (400, "invalid_request")
    assert status(bearer(tenant), token=[key.secret, key.secret]) == (400, "invalid_request")
    challenge = client.post("/oauth2/introspect", data=good).headers["WWW-Authenticate"]
    assert challenge == 'Bearer realm="keysteward"'
    headers = bearer(tenant)
    assert client.post("/oauth2/introspect", json=good, headers=headers).status_code == 400
    in_url = client.post("/oauth2/introspect", query_string=good, headers=headers)
    assert in_url.status_code == 400, "a URL is written down in many places"
    assert client.get("/oauth2/introspect", query_string=good, headers=headers).status_code == 405


def test_a_store_that_does_not_answer_says_neither(
    tenant: Tenant, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_arguments: Any, **_named: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused"))

    for place in ("app.gate.current.State.key", "app.gate.current.Current.state"):
        monkeypatch.setattr(place, down)
        answer = ask(tenant, key.secret)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "active" not in answer.get_json()
        monkeypatch.undo()
    monkeypatch.setattr("app.access.protector.find_credential", down)
    assert told(tenant, key.secret)["active"] is True
    nobody = tenant.gate.client.post("/oauth2/introspect", data={"token": key.secret})
    assert nobody.status_code == 401
    unknown = {"Authorization": f"Bearer {mint('kst', 'gate').text}"}
    answer = tenant.gate.client.post("/oauth2/introspect", data={"token": key.secret}, headers=unknown)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    with tenant.wrote_in_the_future():
        assert ask(tenant, key.secret).status_code == 503


def test_the_answer_is_signed_when_it_is_asked_for(tenant: Tenant, key: Key, client: FlaskClient) -> None:
    kind = "application/token-introspection+jwt"
    keys = KeySet.import_key_set(client.get("/.well-known/jwks.json").get_json())
    for token in (key.secret, "nonsense"):
        answer = tenant.gate.client.post(
            "/oauth2/introspect", data={"token": token}, headers={**bearer(tenant), "Accept": kind}
        )
        assert (answer.status_code, answer.content_type) == (200, kind)
        read = jwt.decode(answer.text, keys, algorithms=["ES256"])
        assert read.header["typ"] == "token-introspection+jwt"
        assert read.claims["iss"] == "http://127.0.0.1:8470"
        assert read.claims["aud"] == bearer(tenant)["Authorization"].split("_")[2]
        assert abs(read.claims["iat"] - time.time()) < 60
        assert read.claims["token_introspection"] == told(tenant, token)
    either = {**bearer(tenant), "Accept": f"application/json, {kind};q=0.5"}
    plain = tenant.gate.client.post("/oauth2/introspect", data={"token": key.secret}, headers=either)
    assert plain.get_json()["active"] is True


def test_the_metadata_names_the_endpoint(settings: Settings) -> None:
    root = "https://keys.example.com/keysteward"
    client = create_app(replace(settings, public_url=root)).test_client()
    found = client.get("/.well-known/oauth-authorization-server/keysteward").get_json()
    assert found["introspection_endpoint"] == f"{root}/oauth2/introspect"
    assert found["jwks_uri"] == f"{root}/.well-known/jwks.json"
    assert found["introspection_signing_alg_values_supported"] == ["ES256"]
    assert found["introspection_endpoint_auth_methods_supported"] == ["Bearer"]
