"""P8: a revoked secret never works again; what comes back within the recovery window does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.operator.tenants import change_settings
from app.rights.standing import KeyState
from tests.http.conftest import CONSUMER, DAY, HOUR, PATCH, SECOND, USER, Key, Tenant

ACTIVE = {"op": "replace", "value": {"active": True}}
INACTIVE = {"op": "replace", "value": {"active": False}}

DEAD = {"key_revoked", "right_lapsed"}


@dataclass(frozen=True)
class Held:
    """Someone with a claimed key for ``orders``, by a value of its own and by nothing else."""

    user: str
    entitlement: str
    key: Key


@pytest.fixture
def held(tenant: Tenant) -> Held:
    return holding(tenant)


def holding(tenant: Tenant) -> Held:
    entitlement = tenant.entitlement("orders")
    user = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.key(user, "orders")
    assert tenant.verify(key) == "allow"
    return Held(user, entitlement, key)


def change(tenant: Tenant, path: str, *operations: dict[str, Any]) -> None:
    answer = tenant.scim.patch(path, *operations)
    assert answer.status_code == 200, answer.text


def set_window(tenant: Tenant, window: int) -> None:
    with tenant.store.writing(tenant.id, actor="cli:test") as unit:
        change_settings(unit, recovery_window=window)


def is_dead(tenant: Tenant, key: Key) -> bool:
    """Whether a key is dead for the gate and for the operator alike, and can be brought back by neither."""
    shown = tenant.operator.get(f"/keys/{key.id}").get_json()
    dead = tenant.verify(key) in DEAD
    assert dead is (shown["state"] == KeyState.revoked)
    if dead:
        assert tenant.operator.post(f"/keys/{key.id}/claim").status_code == 409
    return dead


# -- Every way in which a right goes and comes back ----------------------------------------

Step = Callable[[Tenant, Held], None]


def by_patch(*operations: dict[str, Any], of: str = "/Users/{user}") -> Step:
    def step(tenant: Tenant, held: Held) -> None:
        change(tenant, of.format(user=held.user, entitlement=held.entitlement), *operations)

    return step


def by_put(*, active: bool) -> Step:
    def step(tenant: Tenant, held: Held) -> None:
        body = {"schemas": [USER], "userName": "ada", "active": active, "entitlements": [{"value": "orders"}]}
        assert tenant.scim.put(f"/Users/{held.user}", body).status_code == 200

    return step


ENTITLED = by_patch({"op": "add", "path": "entitlements", "value": [{"value": "orders"}]})
OF_ENTITLEMENT = "/Entitlements/{entitlement}"
ENDS = f"{CONSUMER}:accessEndsAt"

ROUND_TRIPS: dict[str, tuple[Step, str, Step]] = {
    "deactivated as Okta": (by_patch(INACTIVE), "consumer_inactive", by_patch(ACTIVE)),
    "deactivated as Entra": (
        by_patch({"op": "Replace", "path": "active", "value": "False"}),
        "consumer_inactive",
        by_patch({"op": "Replace", "path": "active", "value": "True"}),
    ),
    "deactivated by PUT": (by_put(active=False), "consumer_inactive", by_put(active=True)),
    "active removed": (by_patch({"op": "remove", "path": "active"}), "consumer_inactive", by_patch(ACTIVE)),
    "value removed": (by_patch({"op": "remove", "path": "entitlements"}), "no_grant", ENTITLED),
    "access ended": (
        by_patch({"op": "replace", "value": {ENDS: "2020-01-01T00:00:00Z"}}),
        "access_ended",
        by_patch({"op": "replace", "value": {ENDS: "2999-01-01T00:00:00Z"}}),
    ),
    "access ended, then no end": (
        by_patch({"op": "replace", "value": {ENDS: "2020-01-01T00:00:00Z"}}),
        "access_ended",
        by_patch({"op": "remove", "path": ENDS}),
    ),
    "entitlement renamed": (
        by_patch({"op": "replace", "path": "value", "value": "other"}, of=OF_ENTITLEMENT),
        "no_grant",
        by_patch({"op": "replace", "path": "value", "value": "orders"}, of=OF_ENTITLEMENT),
    ),
    "entitlement unsupported": (
        by_patch({"op": "replace", "path": "supported", "value": False}, of=OF_ENTITLEMENT),
        "no_grant",
        by_patch({"op": "replace", "path": "supported", "value": True}, of=OF_ENTITLEMENT),
    ),
}


@pytest.mark.parametrize("what", ROUND_TRIPS)
def test_what_is_away_for_too_long_is_dead_and_what_comes_back_in_time_is_not(
    tenant: Tenant, held: Held, what: str
) -> None:
    go, reason, come_back = ROUND_TRIPS[what]
    for _ in range(2):
        go(tenant, held)
        assert tenant.verify(held.key) == reason
        tenant.let_pass(DAY - HOUR)
        assert tenant.verify(held.key) == reason
        come_back(tenant, held)
        assert tenant.verify(held.key) == "allow"
        tenant.let_pass(30 * DAY)
        assert tenant.verify(held.key) == "allow"
    go(tenant, held)
    tenant.let_pass(DAY)
    # Nothing has swept since: it is dead by the stored times alone, before and after the return.
    assert is_dead(tenant, held.key)
    come_back(tenant, held)
    assert is_dead(tenant, held.key)
    tenant.let_pass(DAY)
    for step in (go, come_back):
        step(tenant, held)
        assert is_dead(tenant, held.key)
    assert tenant.verify(tenant.key(held.user, "orders")) == "allow"


@pytest.mark.parametrize("what", ROUND_TRIPS)
def test_without_a_recovery_window_what_goes_is_dead_at_once(found: Callable[..., Tenant], what: str) -> None:
    tenant = found(recovery_window=0)
    held = holding(tenant)
    go, _, come_back = ROUND_TRIPS[what]
    go(tenant, held)
    assert is_dead(tenant, held.key)
    come_back(tenant, held)
    assert is_dead(tenant, held.key)


# -- Groups ----------------------------------------


def join(group: str, member: str) -> tuple[str, dict[str, Any]]:
    return f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": member}]}


def leave(group: str, member: str) -> tuple[str, dict[str, Any]]:
    return f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{member}"]'}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("away", "dead"), [(DAY - HOUR, False), (DAY, True)])
def test_leaving_a_group(tenant: Tenant, nested: bool, away: int, dead: bool) -> None:
    ada = tenant.user("ada")
    inner = tenant.group("inner", ada)
    outer = tenant.group("outer", inner)
    tenant.entitlement("orders", groups=(outer,))
    key = tenant.key(ada, "orders")
    group, member = (outer, inner) if nested else (inner, ada)
    change(tenant, *leave(group, member))
    assert tenant.verify(key) == "no_grant"
    tenant.let_pass(away)
    change(tenant, *join(group, member))
    assert is_dead(tenant, key) is dead


def test_moving_to_a_group_that_grants_the_same_keeps_the_key(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    old, new = tenant.group("old", ada), tenant.group("new")
    entitlement = tenant.entitlement("orders", groups=(old, new), roles=[{"value": "Buyer"}])
    key = tenant.key(ada, "orders")
    role = {"op": "add", "path": "roles", "value": [{"value": "Buyer"}]}
    value = {"op": "add", "path": "entitlements", "value": [{"value": "orders"}]}
    for path, operation in (
        join(new, ada),
        leave(old, ada),
        (f"/Users/{ada}", role),
        leave(new, ada),
        (f"/Users/{ada}", value),
        (f"/Users/{ada}", {"op": "remove", "path": "roles"}),
        join(old, ada),
        (f"/Users/{ada}", {"op": "remove", "path": "entitlements"}),
        (f"/Entitlements/{entitlement}", {"op": "remove", "path": f'groups[value eq "{new}"]'}),
    ):
        change(tenant, path, operation)
        tenant.let_pass(30 * DAY)
        assert tenant.verify(key) == "allow"
    change(tenant, *leave(old, ada))
    tenant.let_pass(HOUR)
    change(tenant, f"/Users/{ada}", role)
    assert tenant.verify(key) == "allow"


def test_a_group_deleted_and_made_again_brings_nothing_back_by_itself(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    group = tenant.group("buyers", ada)
    entitlement = tenant.entitlement("orders", groups=(group,))
    key = tenant.key(ada, "orders")
    assert tenant.scim.delete(f"/Groups/{group}").status_code == 204
    again = tenant.group("buyers", ada)
    assert tenant.verify(key) == "no_grant"
    tenant.let_pass(2 * DAY)
    add = {"op": "add", "path": "groups", "value": [{"value": again}]}
    change(tenant, f"/Entitlements/{entitlement}", add)
    assert is_dead(tenant, key)


# -- What is over at once ----------------------------------------


def test_a_new_user_of_the_same_name_gets_nothing_of_the_old_key(tenant: Tenant, held: Held) -> None:
    group = tenant.group("buyers", held.user)
    assert tenant.scim.delete(f"/Users/{held.user}").status_code == 204
    assert is_dead(tenant, held.key)
    again = tenant.user("ada", entitlements=[{"value": "orders"}])
    assert again != held.user
    assert tenant.members(group) == set()
    assert is_dead(tenant, held.key)
    assert tenant.verify(tenant.key(again, "orders")) == "allow"


def test_a_new_entitlement_of_the_same_value_gets_nothing_of_the_old_key(tenant: Tenant, held: Held) -> None:
    assert tenant.scim.delete(f"/Entitlements/{held.entitlement}").status_code == 204
    assert is_dead(tenant, held.key)
    assert tenant.entitlement("orders") != held.entitlement
    assert is_dead(tenant, held.key)
    assert tenant.verify(tenant.key(held.user, "orders")) == "allow"


def test_a_deleted_entitlement_leaves_a_key_its_others_for_good(tenant: Tenant) -> None:
    orders = tenant.entitlement("orders", scopes=["orders"])
    tenant.entitlement("invoices", scopes=["invoices"])
    ada = tenant.user("ada", entitlements=[{"value": "orders"}, {"value": "invoices"}])
    key = tenant.key(ada, "orders", "invoices")
    assert tenant.scim.delete(f"/Entitlements/{orders}").status_code == 204
    tenant.entitlement("orders", scopes=["orders"])
    assert tenant.verify(key, scope="invoices") == "allow"
    assert tenant.verify(key, scope="orders") == "scope_missing"


def test_a_revoked_key_survives_nothing(tenant: Tenant, held: Held) -> None:
    assert tenant.operator.post(f"/keys/{held.key.id}/revoke").status_code == 200
    assert is_dead(tenant, held.key)
    for go, _, come_back in ROUND_TRIPS.values():
        for step in (go, come_back):
            step(tenant, held)
            assert tenant.verify(held.key) == "key_revoked"
    set_window(tenant, 30 * DAY)
    assert is_dead(tenant, held.key)


def test_who_comes_back_too_late_gets_a_new_key_and_the_old_stays_dead(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    (issued,) = tenant.keys()
    old = tenant.claim(issued["id"])
    change(tenant, f"/Users/{ada}", INACTIVE)
    tenant.let_pass(2 * DAY)
    bulk = {"schemas": [PATCH], "Operations": [ACTIVE]}
    operation = {"method": "PATCH", "path": f"/Users/{ada}", "data": bulk}
    tenant.scim.post(
        "/Bulk",
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]},
    )
    (fresh,) = tenant.keys(state="issued")
    new = tenant.claim(fresh["id"])
    assert tenant.verify(new) == "allow"
    assert is_dead(tenant, old)


def test_a_key_that_was_not_claimed_in_time_cannot_be_claimed(tenant: Tenant, held: Held) -> None:
    asked = {"consumer": held.user, "entitlements": ["orders"]}
    issued = tenant.operator.post("/keys", asked).get_json()["id"]
    change(tenant, f"/Users/{held.user}", INACTIVE)
    tenant.let_pass(2 * DAY)
    assert tenant.operator.post(f"/keys/{issued}/claim").status_code == 409
    change(tenant, f"/Users/{held.user}", ACTIVE)
    assert tenant.operator.post(f"/keys/{issued}/claim").status_code == 409


# -- The end of an access, which no request announces ----------------------------------------


@pytest.mark.parametrize(("late", "dead"), [(2 * HOUR, False), (2 * DAY, True)])
def test_an_access_that_ended_by_itself_and_is_extended_later(
    tenant: Tenant, held: Held, late: int, dead: bool
) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    change(tenant, f"/Users/{held.user}", {"op": "replace", "value": {ENDS: end}})
    assert tenant.verify(held.key) == "allow"
    tenant.let_pass(HOUR + late)
    assert is_dead(tenant, held.key) is dead
    assert tenant.verify(held.key) in (DEAD if dead else {"access_ended"})
    change(tenant, f"/Users/{held.user}", {"op": "replace", "value": {ENDS: "2999-01-01T00:00:00Z"}})
    assert is_dead(tenant, held.key) is dead
    assert tenant.verify(held.key) in (DEAD if dead else {"allow"})


# -- A change of the window ----------------------------------------


@pytest.mark.parametrize("what", ROUND_TRIPS)
def test_a_longer_window_wakes_nobody(found: Callable[..., Tenant], what: str) -> None:
    tenant = found(recovery_window=HOUR)
    held = holding(tenant)
    go, _, come_back = ROUND_TRIPS[what]
    go(tenant, held)
    tenant.let_pass(2 * HOUR)
    set_window(tenant, 30 * DAY)
    assert is_dead(tenant, held.key)
    come_back(tenant, held)
    assert is_dead(tenant, held.key)


def test_a_longer_window_that_comes_after_the_return_wakes_nobody(found: Callable[..., Tenant]) -> None:
    tenant = found(recovery_window=HOUR)
    held = holding(tenant)
    change(tenant, f"/Users/{held.user}", INACTIVE)
    tenant.let_pass(2 * HOUR)
    change(tenant, f"/Users/{held.user}", ACTIVE)
    set_window(tenant, 30 * DAY)
    assert is_dead(tenant, held.key)


def test_a_longer_window_that_comes_in_time_is_the_one_that_counts(found: Callable[..., Tenant]) -> None:
    tenant = found(recovery_window=HOUR)
    held = holding(tenant)
    change(tenant, f"/Users/{held.user}", INACTIVE)
    tenant.let_pass(1800 * SECOND)
    set_window(tenant, 30 * DAY)
    tenant.let_pass(10 * DAY)
    change(tenant, f"/Users/{held.user}", ACTIVE)
    assert tenant.verify(held.key) == "allow"


def test_a_shorter_window_counts_for_who_is_away(tenant: Tenant, held: Held) -> None:
    change(tenant, f"/Users/{held.user}", INACTIVE)
    tenant.let_pass(2 * HOUR)
    set_window(tenant, HOUR)
    assert is_dead(tenant, held.key)
    set_window(tenant, 30 * DAY)
    assert is_dead(tenant, held.key)
    change(tenant, f"/Users/{held.user}", ACTIVE)
    assert is_dead(tenant, held.key)


def test_a_longer_window_wakes_no_single_right_of_a_key(found: Callable[..., Tenant]) -> None:
    tenant = found(recovery_window=HOUR)
    tenant.entitlement("orders", scopes=["orders"])
    tenant.entitlement("invoices", scopes=["invoices"])
    both = [{"value": "orders"}, {"value": "invoices"}]
    ada = tenant.user("ada", entitlements=both)
    key = tenant.key(ada, "orders", "invoices")
    change(tenant, f"/Users/{ada}", {"op": "replace", "path": "entitlements", "value": both[1:]})
    tenant.let_pass(2 * HOUR)
    set_window(tenant, 30 * DAY)
    change(tenant, f"/Users/{ada}", {"op": "replace", "path": "entitlements", "value": both})
    assert tenant.verify(key, scope="invoices") == "allow"
    assert tenant.verify(key, scope="orders") == "scope_missing"
