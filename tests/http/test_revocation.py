"""Everything of a user ends at once, by our own face and by the protocols of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.store.secrets import _checksum, mint, parse
from tests.http.conftest import DAY, HOUR, Face, Key, Tenant

ACTIVE = {"op": "replace", "value": {"active": True}}
INACTIVE = {"op": "replace", "value": {"active": False}}


@pytest.fixture
def user(tenant: Tenant) -> str:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    tenant.entitlement("invoices")
    return tenant.user(
        "Ada.L@example.com",
        externalId="00uADA",
        emails=[{"value": "Ada@example.com"}, {"value": "countess@example.com"}],
        entitlements=[{"value": "orders"}, {"value": "invoices"}],
    )


@pytest.fixture
def keys(tenant: Tenant, user: str) -> list[Key]:
    """Return ada's keys: a claimed one, one with two secrets, and both of those."""
    (issued,) = tenant.keys()
    claimed = tenant.claim(issued["id"])
    rotated = tenant.key(user, "invoices")
    answer = tenant.operator.post(f"/keys/{rotated.id}/rotate", {"overlapSeconds": 3600})
    found = [claimed, rotated, Key(rotated.id, answer.get_json()["secret"])]
    assert {tenant.verify(each) for each in found} == {"allow"}
    return found


def other(tenant: Tenant, name: str = "bob", **attributes: Any) -> Key:
    return tenant.key(tenant.user(name, entitlements=[{"value": "invoices"}], **attributes), "invoices")


def all_dead(tenant: Tenant, keys: list[Key]) -> bool:
    return {tenant.verify(each) for each in keys} == {"key_revoked"}


def events(tenant: Tenant, kind: str) -> list[dict[str, Any]]:
    found = tenant.operator.get("/events", limit=1000).get_json()["Resources"]
    return [each for each in found if each["type"] == kind]


# -- By the operator ----------------------------------------


def test_all_keys_of_a_user_end_at_once_and_for_good(tenant: Tenant, user: str, keys: list[Key]) -> None:
    bob = other(tenant)
    unclaimed = tenant.operator.post("/keys", {"consumer": user, "entitlements": ["invoices"]}).get_json()[
        "id"
    ]
    answer = tenant.operator.post(f"/consumers/{user}/revoke-keys", {"reason": "laptop stolen"})
    assert answer.status_code == 200
    told = answer.get_json()
    assert {each["key"] for each in told["keys"]} == {*(each.id for each in keys), unclaimed}
    assert {each["state"] for each in told["keys"]} == {"revoked"}
    assert {each["cause"]["reason"] for each in told["keys"]} == {"laptop stolen"}
    assert all_dead(tenant, keys)
    assert tenant.operator.post(f"/keys/{unclaimed}/claim").status_code == 409
    assert tenant.verify(bob) == "allow"
    for step in (INACTIVE, ACTIVE):
        tenant.scim.patch(f"/Users/{user}", step)
        assert all_dead(tenant, keys)
    # The account stays: a new key is a new key.
    assert tenant.verify(tenant.key(user, "orders")) == "allow"


def test_saying_it_again_changes_nothing(tenant: Tenant, user: str, keys: list[Key]) -> None:
    path = f"/consumers/{user}/revoke-keys"
    first = tenant.operator.post(path, {"reason": "leaked"}).get_json()
    again = tenant.operator.post(path).get_json()
    assert [{**each, "at": 0} for each in first["keys"]] == [{**each, "at": 0} for each in again["keys"]]
    assert len(events(tenant, "key.revoked")) == 2
    assert [len(each["data"]["keys"]) for each in events(tenant, "consumer.keys_revoked")] == [2, 0]
    assert tenant.operator.post("/consumers/nobody/revoke-keys").status_code == 404


def test_a_deleted_user_too(tenant: Tenant, user: str, keys: list[Key]) -> None:
    tenant.scim.delete(f"/Users/{user}")
    assert tenant.operator.post(f"/consumers/{user}/revoke-keys").status_code == 200
    assert all_dead(tenant, keys)


# -- RFC 7009 ----------------------------------------


def token_of(face: Face) -> str:
    return next(iter(face.headers.values())).removeprefix("Bearer ")


def hand_over(tenant: Tenant, face: Face, secret: str, **form: str) -> TestResponse:
    return tenant.flask.test_client().post(
        "/oauth2/revoke",
        data={"token": secret, **form},
        headers={"Authorization": f"Bearer {token_of(face)}"},
    )


@pytest.mark.parametrize("by_gate", [False, True])
def test_a_token_that_is_handed_over_is_revoked(tenant: Tenant, keys: list[Key], by_gate: bool) -> None:
    claimed, old, new = keys
    for _ in range(2):
        answer = hand_over(tenant, tenant.gate if by_gate else tenant.operator, f"secret-token:{old.secret}")
        assert (answer.status_code, answer.data) == (200, b"")
    assert all_dead(tenant, [old, new])
    assert tenant.verify(claimed) == "allow"
    (event,) = events(tenant, "key.revoked")
    assert event["data"]["reason"] == "token_revoked"


def test_a_token_of_no_key_is_answered_alike_and_kills_nothing(tenant: Tenant, keys: list[Key]) -> None:
    claimed, _, _ = keys
    stranger = mint("ks", "live")
    forged = stranger.text.replace(stranger.id, parse(claimed.secret).id)[:-6]
    for secret in ("garbage", stranger.text, forged + _checksum(forged), token_of(tenant.gate), "x" * 5000):
        answer = hand_over(tenant, tenant.operator, secret, token_type_hint="refresh_token")
        assert (answer.status_code, answer.data) == (200, b"")
    assert {tenant.verify(each) for each in keys} == {"allow"}
    # A secret that was rotated out long ago no longer speaks for the key.
    tenant.let_pass(2 * HOUR)
    assert hand_over(tenant, tenant.operator, keys[1].secret).status_code == 200
    assert tenant.verify(keys[2]) == "allow"


def test_a_tenant_cannot_revoke_another_ones_key(
    tenant: Tenant, found: Callable[..., Tenant], keys: list[Key]
) -> None:
    assert hand_over(found(), found().operator, keys[0].secret).status_code == 200
    assert tenant.verify(keys[0]) == "allow"


def test_a_form_that_cannot_be_is_refused_as_oauth_has_it(tenant: Tenant, keys: list[Key]) -> None:
    headers = {"Authorization": f"Bearer {token_of(tenant.operator)}"}
    client = tenant.flask.test_client()
    for sent in (
        {"data": {}},
        {"data": {"token": ["a", "b"]}},
        {"json": {"token": keys[0].secret}},
        {"data": {"token": ""}},
        {"query_string": {"token": keys[0].secret}},
    ):
        answer = client.post("/oauth2/revoke", headers=headers, **sent)  # type: ignore[arg-type]
        assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_request")
    assert client.post("/oauth2/revoke", headers=headers, data={"token": "x" * 20_000}).status_code == 413
    assert client.get("/oauth2/revoke", headers=headers).status_code == 405
    for wrong, status in (({}, 401), (tenant.scim.headers, 403), ({"Authorization": "Bearer no"}, 401)):
        answer = client.post("/oauth2/revoke", data={"token": keys[0].secret}, headers=wrong)
        assert answer.status_code == status
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.get_json()["error"]
    assert tenant.verify(keys[0]) == "allow"


# -- Global Token Revocation ----------------------------------------


def name(tenant: Tenant, face: Face, identifier: Any, **others: Any) -> TestResponse:
    return tenant.flask.test_client().post(
        "/global-token-revocation", json={"sub_id": identifier, **others}, headers=face.headers
    )


@pytest.mark.parametrize(
    "identifier",
    [
        {"format": "email", "email": "ada@EXAMPLE.com"},
        {"format": "email", "email": "ada.l@example.com"},
        {"format": "iss_sub", "iss": "https://org.okta.com", "sub": "00uADA"},
        {"format": "opaque", "id": "00uADA"},
        {"format": "opaque", "id": "{user}"},
        {"format": "account", "uri": "acct:countess@example.com"},
        {"format": "scim", "uri": "https://keys.example.com/scim/v2/Users/{user}"},
        {"format": "scim", "uri": "/Users/elsewhere", "externalId": "00uADA"},
        {"format": "scim", "externalId": "00uADA"},
        {
            "format": "aliases",
            "identifiers": [
                {"format": "email", "email": "nobody@example.com"},
                {"format": "opaque", "id": "00uADA", "more": 1},
            ],
        },
    ],
)
def test_an_identity_provider_ends_all_keys_of_a_user(
    tenant: Tenant, user: str, keys: list[Key], identifier: dict[str, Any]
) -> None:
    bob = other(tenant, externalId="00uada", emails=[{"value": "bob@example.com"}])
    sent = json.loads(json.dumps(identifier).replace("{user}", user))
    for _ in range(2):
        answer = name(tenant, tenant.scim, sent, event_timestamp=1)
        assert (answer.status_code, answer.data) == (204, b"")
        assert all_dead(tenant, keys)
    assert tenant.verify(bob) == "allow"
    first, _ = events(tenant, "consumer.keys_revoked")
    assert first["actor"].startswith("connection:")
    assert first["data"]["reason"] == "global_token_revocation"
    assert tenant.read(f"/Users/{user}")["active"] is True


def test_nothing_undoes_it(tenant: Tenant, user: str, keys: list[Key]) -> None:
    assert name(tenant, tenant.operator, {"format": "opaque", "id": user}).status_code == 204
    for step in (INACTIVE, ACTIVE):
        tenant.scim.patch(f"/Users/{user}", step)
        assert all_dead(tenant, keys)
        tenant.let_pass(DAY)
    assert all_dead(tenant, keys)


def test_whom_nobody_knows_is_404(tenant: Tenant, found: Callable[..., Tenant], keys: list[Key]) -> None:
    for identifier in (
        {"format": "email", "email": "nobody@example.com"},
        {"format": "iss_sub", "iss": "https://org.okta.com", "sub": "00uada"},
        {"format": "opaque", "id": "no"},
        {"format": "scim", "uri": "/Users/"},
        {"format": "email", "email": "a" * 900},
    ):
        assert name(tenant, tenant.scim, identifier).status_code == 404
    stranger = found()
    assert name(stranger, stranger.scim, {"format": "opaque", "id": "00uADA"}).status_code == 404
    assert {tenant.verify(each) for each in keys} == {"allow"}


def test_an_identifier_of_several_users_ends_nothing(tenant: Tenant, user: str, keys: list[Key]) -> None:
    bob = other(tenant, emails=[{"value": "ada@example.com"}])
    answer = name(tenant, tenant.scim, {"format": "email", "email": "ada@example.com"})
    assert (answer.status_code, answer.get_json()["type"]) == (
        422,
        "urn:keysteward:problem:subject-ambiguous",
    )
    assert {tenant.verify(each) for each in [*keys, bob]} == {"allow"}


@pytest.mark.parametrize(
    "identifier",
    [
        None,
        "ada",
        [],
        {},
        {"format": "phone_number", "phone_number": "+1"},
        {"format": "email"},
        {"format": "email", "email": 5},
        {"format": "email", "email": "\u0000"},
        {"format": "iss_sub", "sub": "00uADA"},
        {"format": "scim"},
        {"format": "aliases", "identifiers": []},
        {"format": "aliases", "identifiers": ["x"]},
        {"format": "aliases", "identifiers": [{"format": "aliases", "identifiers": []}]},
    ],
)
def test_what_is_no_identifier_is_400(tenant: Tenant, keys: list[Key], identifier: Any) -> None:
    answer = name(tenant, tenant.scim, identifier)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert {tenant.verify(each) for each in keys} == {"allow"}


def test_a_gateway_may_not(tenant: Tenant, user: str, keys: list[Key]) -> None:
    headers = {"Authorization": f"Bearer {token_of(tenant.gate)}"}
    for sent, status in (({}, 401), (headers, 403)):
        answer = tenant.flask.test_client().post(
            "/global-token-revocation", json={"sub_id": {"format": "opaque", "id": user}}, headers=sent
        )
        assert answer.status_code == status
    assert {tenant.verify(each) for each in keys} == {"allow"}
