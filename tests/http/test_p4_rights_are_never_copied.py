"""P4: a key stores which entitlements it was issued for, never what they contain nor that they still hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app.rights.standing import KeyState, standings
from app.store import tables
from tests.http.conftest import Key, Tenant
from tests.http.crowd import crowd

MANY = 2000

RIGHTS_AND_KEYS = (
    tables.resource,
    tables.consumer,
    tables.activity,
    tables.direct_value,
    tables.membership,
    tables.mapping,
    tables.entitlement,
    tables.key,
    tables.key_entitlement,
    tables.secret,
)

Rows = dict[str, Counter[tuple[Any, ...]]]


def rows_of(tenant: Tenant) -> Rows:
    """Return every row that decides about the tenant's keys."""
    found = {}
    for table in RIGHTS_AND_KEYS:
        if "tenant_id" in table.c:
            mine = table.c.tenant_id == tenant.id
        else:
            mine = table.c.key_id.in_(sa.select(tables.key.c.id).where(tables.key.c.tenant_id == tenant.id))
        found[table.name] = Counter(
            tuple(str(value) for value in row) for row in tenant.sql(sa.select(table).where(mine))
        )
    return found


def changed(before: Rows, after: Rows) -> dict[str, int]:
    """Return how many rows of each table are there now and were not there before, or the other way round."""
    differing = {
        name: max((after[name] - before[name]).total(), (before[name] - after[name]).total())
        for name in before
    }
    return {name: number for name, number in differing.items() if number}


def take_the_mapping(tenant: Tenant, ids: dict[str, str]) -> Any:
    path = f'groups[value eq "{ids["group"]}"]'
    return tenant.scim.patch(f"/Entitlements/{ids['entitlement']}", {"op": "remove", "path": path})


def take_the_nested_group(tenant: Tenant, ids: dict[str, str]) -> Any:
    path = f'members[value eq "{ids["crowd"]}"]'
    return tenant.scim.patch(f"/Groups/{ids['group']}", {"op": "remove", "path": path})


@pytest.mark.parametrize(
    ("take", "touched"),
    [
        (take_the_mapping, {"resource": 1, "mapping": 1}),
        (take_the_nested_group, {"resource": 1, "membership": 1}),
    ],
)
def test_p4_what_is_taken_from_very_many_is_a_row_and_holds_at_once(
    tenant: Tenant, take: Callable[[Tenant, dict[str, str]], Any], touched: dict[str, int]
) -> None:
    inner = tenant.group("crowd")
    outer = tenant.group("all", inner)
    entitlement = tenant.entitlement("orders", groups=(outer,), keyPolicy={"issuance": "manual"})
    keys = crowd(tenant, inner, entitlement, MANY)
    sample = keys[:: MANY // 20]
    assert {tenant.verify(key) for key in sample} == {"allow"}
    before = rows_of(tenant)

    answer = take(tenant, {"group": outer, "crowd": inner, "entitlement": entitlement})

    assert answer.status_code in (200, 204), answer.text
    assert changed(before, rows_of(tenant)) == touched
    assert {tenant.verify(key) for key in sample} == {"no_grant"}
    assert states(tenant) == {KeyState.dormant: MANY}


def states(tenant: Tenant) -> dict[KeyState, int]:
    with tenant.store.reading(tenant.id) as unit:
        return Counter(each.state for each in standings(unit, sa.true()).values())


@pytest.fixture
def holder(tenant: Tenant) -> Key:
    """The key of someone who holds an entitlement with telling words."""
    entitlement = tenant.entitlement(
        "telling-value", audience="telling-audience", scopes=["telling.read", "telling.write"]
    )
    user = tenant.user("ada", entitlements=[{"value": "telling-value"}])
    key = tenant.key(user, "telling-value")
    assert tenant.read(f"/Entitlements/{entitlement}")["value"] == "telling-value"
    return key


def test_p4_a_change_of_scopes_shows_at_the_next_verification(tenant: Tenant, holder: Key) -> None:
    (entitlement,) = tenant.read("/Entitlements")["Resources"]
    path = f"/Entitlements/{entitlement['id']}"
    assert tenant.verify(holder, scope="telling.write") == "allow"
    assert tenant.verify(holder, scope="telling.admin") == "scope_missing"
    before = rows_of(tenant)
    for scopes in (["telling.admin"], ["telling.read"], []):
        assert (
            tenant.scim.patch(path, {"op": "replace", "path": "scopes", "value": scopes}).status_code == 200
        )
        for scope in ("telling.read", "telling.write", "telling.admin"):
            expected = "allow" if scope in scopes else "scope_missing"
            assert tenant.verify(holder, scope=scope) == expected
    tenant.scim.patch(path, {"op": "replace", "path": "audience", "value": "elsewhere"})
    assert tenant.verify(holder, audience="telling-audience") == "audience_mismatch"
    tenant.scim.patch(path, {"op": "replace", "path": "conditions", "value": {"methods": ["GET"]}})
    assert tenant.verify(holder) == "method_not_allowed"
    assert changed(before, rows_of(tenant)) == {"resource": 1, "entitlement": 1}


def test_p4_nothing_of_a_key_says_what_it_may_do(tenant: Tenant, holder: Key) -> None:
    columns = {
        table.name: {column.name for column in table.c}
        for table in (tables.key, tables.key_entitlement, tables.secret)
    }
    assert columns == {
        "key": {
            "id",
            "tenant_id",
            "consumer_id",
            "issued_at",
            "claimed_at",
            "expires_at",
            "revoked_at",
            "revoked_reason",
        },
        "key_entitlement": {"key_id", "entitlement_id"},
        "secret": {
            "id",
            "tenant_id",
            "key_id",
            "digest",
            "pepper",
            "created_at",
            "ends_at",
            "status_index",
            "replaced_at",
            "reuse_reported_at",
        },
    }
    rows = rows_of(tenant)
    assert rows["key"].total() == rows["key_entitlement"].total() == rows["secret"].total() == 1
    for name in columns:
        assert "telling" not in str(rows[name])
        assert holder.secret not in str(rows[name])
