"""P6: every operation is level-triggered: said again, it re-asserts what it says and adds nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.store import tables
from app.store.tables import FOREVER
from tests.http.conftest import BULK, CONSUMER, PATCH, USER, Key, Tenant

Say = Callable[[Tenant, str], TestResponse]

PERSON: dict[str, Any] = {"schemas": [USER], "userName": "ada", "entitlements": [{"value": "orders"}]}


def patching(operation: dict[str, Any]) -> Say:
    return lambda tenant, user: tenant.scim.patch(f"/Users/{user}", operation)


def putting(tenant: Tenant, user: str) -> TestResponse:
    return tenant.scim.put(f"/Users/{user}", {**PERSON, "active": False})


def in_bulk(tenant: Tenant, user: str) -> TestResponse:
    patch = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    operation = {"method": "PATCH", "path": f"/Users/{user}", "data": patch}
    return tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": [operation]})


DEACTIVATIONS = {
    "okta": patching({"op": "replace", "value": {"active": False}}),
    "entra": patching({"op": "Replace", "path": "active", "value": "False"}),
    "entra with its flag": patching({"op": "replace", "path": "active", "value": False}),
    "put": putting,
    "bulk": in_bulk,
}


@pytest.fixture
def ada(tenant: Tenant) -> str:
    tenant.entitlement("orders", keyPolicy={"issuance": "manual"})
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, ada: str) -> Key:
    return tenant.key(ada, "orders")


def version(tenant: Tenant, path: str) -> str:
    said: str = tenant.read(path)["meta"]["version"]
    return said


def damage_flag(tenant: Tenant, user: str) -> None:
    tenant.sql(sa.update(tables.consumer).where(tables.consumer.c.id == user).values(active=True))


def damage_activity(tenant: Tenant, user: str) -> None:
    tenant.sql(sa.update(tables.activity).where(tables.activity.c.consumer_id == user).values(until=FOREVER))


def damage_both(tenant: Tenant, user: str) -> None:
    damage_flag(tenant, user)
    damage_activity(tenant, user)


def derived(tenant: Tenant, user: str) -> tuple[bool, int]:
    """Return what the tables say: whether the consumer is active, and in how many activities now."""
    ((active,),) = tenant.sql(sa.select(tables.consumer.c.active).where(tables.consumer.c.id == user))
    with tenant.store.reading(tenant.id) as unit:
        here = sa.and_(tables.activity.c.consumer_id == user, tables.activity.c.until > unit.now)
    ((count,),) = tenant.sql(sa.select(sa.func.count()).select_from(tables.activity).where(here))
    return active, count


@pytest.mark.parametrize("damage", [damage_flag, damage_activity, damage_both])
@pytest.mark.parametrize("again", DEACTIVATIONS)
def test_a_repeated_deactivation_mends_what_the_first_left(
    tenant: Tenant, ada: str, key: Key, again: str, damage: Callable[[Tenant, str], None]
) -> None:
    assert DEACTIVATIONS["okta"](tenant, ada).status_code == 200
    before = version(tenant, f"/Users/{ada}")
    damage(tenant, ada)
    assert derived(tenant, ada) != (False, 0)
    assert DEACTIVATIONS[again](tenant, ada).status_code == 200
    assert derived(tenant, ada) == (False, 0)
    assert tenant.verify(key) == "consumer_inactive"
    assert version(tenant, f"/Users/{ada}") == before


def test_the_damage_of_these_tests_opens_the_gate(tenant: Tenant, ada: str, key: Key) -> None:
    DEACTIVATIONS["okta"](tenant, ada)
    damage_both(tenant, ada)
    assert tenant.verify(key) == "allow"


def test_a_repeated_activation_mends_too(tenant: Tenant, ada: str, key: Key) -> None:
    activation = {"op": "replace", "value": {"active": True}}
    tenant.sql(sa.update(tables.consumer).where(tables.consumer.c.id == ada).values(active=False))
    assert tenant.verify(key) == "consumer_inactive"
    assert tenant.scim.patch(f"/Users/{ada}", activation).status_code == 200
    assert tenant.verify(key) == "allow"


def test_a_repeated_end_of_access_mends(tenant: Tenant, ada: str, key: Key) -> None:
    ended = {"op": "replace", "value": {f"{CONSUMER}:accessEndsAt": "2020-01-01T00:00:00Z"}}
    assert tenant.scim.patch(f"/Users/{ada}", ended).status_code == 200
    damage_activity(tenant, ada)
    tenant.sql(sa.update(tables.consumer).where(tables.consumer.c.id == ada).values(access_ends_at=None))
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Users/{ada}", ended).status_code == 200
    assert tenant.verify(key) == "access_ended"


def test_a_repeated_loss_of_a_value_mends(tenant: Tenant, ada: str, key: Key) -> None:
    loss = {"op": "replace", "path": "entitlements", "value": []}
    assert tenant.scim.patch(f"/Users/{ada}", loss).status_code == 200
    values = tables.direct_value
    tenant.sql(sa.update(values).where(values.c.consumer_id == ada).values(until=FOREVER))
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Users/{ada}", loss).status_code == 200
    assert tenant.verify(key) == "no_grant"


@pytest.mark.parametrize(
    "form",
    [
        lambda user: {"op": "remove", "path": f'members[value eq "{user}"]'},
        lambda user: {"op": "Remove", "path": "members", "value": [{"value": user}]},
        lambda user: {"op": "replace", "path": "members", "value": []},
    ],
)
def test_a_repeated_removal_of_a_member_mends(tenant: Tenant, form: Callable[[str], dict[str, Any]]) -> None:
    ada = tenant.user("ada")
    group = tenant.group("buyers", ada)
    tenant.entitlement("orders", groups=(group,))
    key = tenant.key(ada, "orders")
    assert tenant.scim.patch(f"/Groups/{group}", form(ada)).status_code == 200
    assert tenant.verify(key) == "no_grant"
    members = tables.membership
    tenant.sql(sa.update(members).where(members.c.group_id == group).values(until=FOREVER))
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Groups/{group}", form(ada)).status_code == 200
    assert tenant.verify(key) == "no_grant"
    assert tenant.members(group) == set()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "groups", "value": []},
        {"op": "replace", "path": "supported", "value": False},
    ],
)
def test_a_repeated_withdrawal_of_an_entitlement_mends(tenant: Tenant, operation: dict[str, Any]) -> None:
    ada = tenant.user("ada")
    group = tenant.group("buyers", ada)
    entitlement = tenant.entitlement("orders", groups=(group,))
    key = tenant.key(ada, "orders")
    assert tenant.scim.patch(f"/Entitlements/{entitlement}", operation).status_code == 200
    before = version(tenant, f"/Entitlements/{entitlement}")
    mappings = tables.mapping
    tenant.sql(sa.update(mappings).where(mappings.c.entitlement_id == entitlement).values(until=FOREVER))
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Entitlements/{entitlement}", operation).status_code == 200
    assert tenant.verify(key) == "no_grant"
    assert version(tenant, f"/Entitlements/{entitlement}") == before


def test_a_repeated_mapping_mends(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    group = tenant.group("buyers", ada)
    entitlement = tenant.entitlement("orders", groups=(group,), scopes=["read"])
    key = tenant.key(ada, "orders")
    again = {"op": "add", "path": "groups", "value": [{"value": group}]}
    mappings, row = tables.mapping, tables.entitlement
    now = sa.select(tables.tenant.c.last_write_at).where(tables.tenant.c.id == tenant.id).scalar_subquery()
    tenant.sql(sa.update(mappings).where(mappings.c.value == group).values(until=now))
    tenant.sql(sa.update(row).where(row.c.id == entitlement).values(scopes=["write"]))
    assert tenant.verify(key) == "no_grant"
    assert tenant.scim.patch(f"/Entitlements/{entitlement}", again).status_code == 200
    assert tenant.verify(key, scope="read") == "allow"
    assert tenant.verify(key, scope="write") == "scope_missing"


def test_a_repeated_deletion_is_404_and_leaves_dead_what_is_dead(tenant: Tenant, ada: str, key: Key) -> None:
    (entitlement,) = tenant.read("/Entitlements")["Resources"]
    for path in (f"/Entitlements/{entitlement['id']}", f"/Users/{ada}"):
        statuses = [tenant.scim.delete(path).status_code for _ in range(3)]
        assert statuses == [204, 404, 404]
        assert tenant.verify(key) == "key_revoked"


REQUESTS = (tables.event, tables.credential, tables.connection_deviation)
"""The tables that tell of each request."""


def rows(tenant: Tenant) -> dict[str, list[str]]:
    """Return every row of the tenant, but for what tells of each request."""
    return {
        table.name: sorted(map(repr, tenant.sql(sa.select(table).where(table.c.tenant_id == tenant.id))))
        for table in tables.metadata.sorted_tables
        if "tenant_id" in table.c and table not in REQUESTS
    }


SETTLED: dict[str, Callable[[dict[str, str]], tuple[str, dict[str, Any]]]] = {
    "a member that is there": lambda ids: (
        f"/Groups/{ids['group']}",
        {"op": "Add", "path": "members", "value": [{"$ref": None, "value": ids["ada"]}]},
    ),
    "all the members that are there": lambda ids: (
        f"/Groups/{ids['group']}",
        {"op": "replace", "path": "members", "value": [{"value": ids["ada"], "display": "ada"}]},
    ),
    "a member that is absent": lambda ids: (
        f"/Groups/{ids['group']}",
        {"op": "remove", "path": f'members[value eq "{ids["ben"]}"]'},
    ),
    "a member that is absent, as Entra": lambda ids: (
        f"/Groups/{ids['group']}",
        {"op": "Remove", "path": "members", "value": [{"value": ids["ben"]}]},
    ),
    "a name that it has": lambda ids: (
        f"/Groups/{ids['group']}",
        {"op": "replace", "value": {"id": ids["group"], "displayName": "buyers"}},
    ),
    "a value that the user has": lambda ids: (
        f"/Users/{ids['ada']}",
        {"op": "Add", "path": "entitlements", "value": [{"value": "orders"}]},
    ),
    "an activity that the user has": lambda ids: (
        f"/Users/{ids['ada']}",
        {"op": "Replace", "path": "active", "value": "True"},
    ),
    "a scope that the entitlement has": lambda ids: (
        f"/Entitlements/{ids['entitlement']}",
        {"op": "add", "path": "scopes", "value": ["read"]},
    ),
    "a group that the entitlement has": lambda ids: (
        f"/Entitlements/{ids['entitlement']}",
        {"op": "add", "path": "groups", "value": [{"value": ids["group"]}]},
    ),
}


@pytest.mark.parametrize("what", SETTLED)
def test_what_is_so_already_changes_no_row(tenant: Tenant, what: str) -> None:
    ada, ben = (tenant.user(name, active=True, entitlements=[{"value": "orders"}]) for name in ("ada", "ben"))
    group = tenant.group("buyers", ada)
    entitlement = tenant.entitlement(
        "orders", groups=(group,), scopes=["read"], keyPolicy={"issuance": "automatic"}
    )
    path, operation = SETTLED[what]({"ada": ada, "ben": ben, "group": group, "entitlement": entitlement})
    before = rows(tenant)
    assert len(tenant.keys()) == 2
    for _ in range(3):
        assert tenant.scim.patch(path, operation).status_code == 200
    assert rows(tenant) == before


def test_what_came_to_be_so_by_a_request_is_so_after_it_is_said_again(tenant: Tenant) -> None:
    group = tenant.group("buyers")
    tenant.entitlement("orders", groups=(group,), keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada")
    add = {"op": "Add", "path": "members", "value": [{"value": ada}]}
    assert tenant.scim.patch(f"/Groups/{group}", add).status_code == 200
    before = rows(tenant)
    assert len(tenant.keys()) == 1
    for _ in range(2):
        assert tenant.scim.patch(f"/Groups/{group}", add).status_code == 200
    assert rows(tenant) == before


def test_a_member_that_is_unknown_changes_no_row_when_it_is_said_again(tenant: Tenant) -> None:
    group = tenant.group("buyers", tenant.user("ada"))
    add = {"op": "Add", "path": "members", "value": [{"value": "nobody"}]}
    assert tenant.scim.patch(f"/Groups/{group}", add).status_code == 200
    before = rows(tenant)
    assert tenant.scim.patch(f"/Groups/{group}", add).status_code == 200
    assert rows(tenant) == before


def test_a_put_of_what_was_read_changes_no_row(tenant: Tenant, ada: str) -> None:
    group = tenant.group("buyers", ada)
    (entitlement,) = tenant.read("/Entitlements")["Resources"]
    tenant.scim.patch(
        f"/Entitlements/{entitlement['id']}", {"op": "add", "path": "groups", "value": [{"value": group}]}
    )
    for path in (f"/Users/{ada}", f"/Groups/{group}", f"/Entitlements/{entitlement['id']}"):
        read = tenant.read(path)
        before = rows(tenant)
        assert tenant.scim.put(path, read).status_code == 200
        assert rows(tenant) == before
