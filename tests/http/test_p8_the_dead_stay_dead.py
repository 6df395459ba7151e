"""P8: a revoked secret never works again; what comes back within the recovery window does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.http.conftest import CONSUMER, DAY, HOUR, Key, Tenant

ACTIVE = {"op": "replace", "value": {"active": True}}
INACTIVE = {"op": "replace", "value": {"active": False}}


@pytest.fixture
def ada(tenant: Tenant) -> str:
    tenant.entitlement("orders")
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, ada: str) -> Key:
    made = tenant.key(ada, "orders")
    assert tenant.verify(made) == "allow"
    return made


@pytest.mark.parametrize(("away", "verdict"), [(23 * HOUR, "allow"), (25 * HOUR, "key_revoked")])
def test_who_comes_back_in_time_keeps_the_key(
    tenant: Tenant, ada: str, key: Key, away: int, verdict: str
) -> None:
    assert tenant.scim.patch(f"/Users/{ada}", INACTIVE).status_code == 200
    assert tenant.verify(key) == "consumer_inactive"
    tenant.let_pass(away)
    assert tenant.scim.patch(f"/Users/{ada}", ACTIVE).status_code == 200
    assert tenant.verify(key) == verdict


@pytest.mark.parametrize(("away", "verdict"), [(23 * HOUR, "allow"), (25 * HOUR, "key_revoked")])
def test_the_same_for_a_right_that_comes_back(
    tenant: Tenant, ada: str, key: Key, away: int, verdict: str
) -> None:
    assert tenant.scim.patch(f"/Users/{ada}", {"op": "remove", "path": "entitlements"}).status_code == 200
    assert tenant.verify(key) == "no_grant"
    tenant.let_pass(away)
    back = {"op": "add", "path": "entitlements", "value": [{"value": "orders"}]}
    assert tenant.scim.patch(f"/Users/{ada}", back).status_code == 200
    assert tenant.verify(key) == verdict


def test_without_a_recovery_window_a_deactivation_kills_for_good(found: Callable[..., Tenant]) -> None:
    tenant = found(recovery_window=0)
    tenant.entitlement("orders")
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.key(ada, "orders")
    assert tenant.scim.patch(f"/Users/{ada}", INACTIVE).status_code == 200
    assert tenant.scim.patch(f"/Users/{ada}", ACTIVE).status_code == 200
    assert tenant.verify(key) in ("key_revoked", "right_lapsed")


def test_a_new_user_of_the_same_name_gets_nothing_of_the_old_key(tenant: Tenant, ada: str, key: Key) -> None:
    assert tenant.scim.delete(f"/Users/{ada}").status_code == 204
    assert tenant.user("ada", entitlements=[{"value": "orders"}]) != ada
    assert tenant.verify(key) == "key_revoked"


def test_a_new_entitlement_of_the_same_value_gets_nothing_of_the_old_key(
    tenant: Tenant, ada: str, key: Key
) -> None:
    (entitlement,) = tenant.read("/Entitlements")["Resources"]
    assert tenant.scim.delete(f"/Entitlements/{entitlement['id']}").status_code == 204
    assert tenant.entitlement("orders") != entitlement["id"]
    assert tenant.verify(key) == "key_revoked"


def test_a_revoked_key_survives_no_reactivation(tenant: Tenant, ada: str, key: Key) -> None:
    assert tenant.operator.post(f"/keys/{key.id}/revoke").status_code == 200
    for operation in (INACTIVE, ACTIVE):
        assert tenant.scim.patch(f"/Users/{ada}", operation).status_code == 200
    assert tenant.verify(key) == "key_revoked"
    assert tenant.operator.post(f"/keys/{key.id}/claim").status_code == 409


def test_an_end_that_is_moved_too_late_brings_nothing_back(tenant: Tenant, ada: str, key: Key) -> None:
    end = {"op": "replace", "value": {f"{CONSUMER}:accessEndsAt": "2020-01-01T00:00:00Z"}}
    assert tenant.scim.patch(f"/Users/{ada}", end).status_code == 200
    assert tenant.verify(key) == "access_ended"
    tenant.let_pass(2 * DAY)
    later = {"op": "replace", "value": {f"{CONSUMER}:accessEndsAt": "2999-01-01T00:00:00Z"}}
    assert tenant.scim.patch(f"/Users/{ada}", later).status_code == 200
    assert tenant.verify(key) == "key_revoked"


def test_moving_between_groups_that_grant_the_same_keeps_the_key(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    old, new = tenant.group("old", ada), tenant.group("new")
    tenant.entitlement("orders", groups=(old, new))
    key = tenant.key(ada, "orders")
    add = {"op": "add", "path": "members", "value": [{"value": ada}]}
    remove = {"op": "remove", "path": f'members[value eq "{ada}"]'}
    assert tenant.scim.patch(f"/Groups/{new}", add).status_code == 200
    tenant.let_pass(3 * DAY)
    assert tenant.scim.patch(f"/Groups/{old}", remove).status_code == 200
    tenant.let_pass(3 * DAY)
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Groups/{new}", remove).status_code == 200
    tenant.let_pass(2 * DAY)
    assert tenant.scim.patch(f"/Groups/{old}", add).status_code == 200
    assert tenant.verify(key) == "key_revoked"
