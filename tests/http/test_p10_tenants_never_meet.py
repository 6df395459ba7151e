"""P10: no request with one tenant's credential reads, changes or counts another's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from app.store import tables
from tests.http.conftest import BULK, PATCH, Key, Tenant


@dataclass(frozen=True)
class Filled:
    tenant: Tenant
    user: str
    group: str
    entitlement: str
    key: Key


@pytest.fixture
def twins(found: Callable[..., Tenant]) -> tuple[Filled, Filled]:
    """Return two tenants of the same content."""

    def fill(tenant: Tenant) -> Filled:
        user = tenant.user("ada", externalId="42", entitlements=[{"value": "orders"}])
        group = tenant.group("buyers", user)
        entitlement = tenant.entitlement("orders", groups=(group,))
        return Filled(tenant, user, group, entitlement, tenant.key(user, "orders"))

    return fill(found()), fill(found())


def everything(tenant: Tenant) -> dict[str, list[Any]]:
    return {
        table.name: sorted(map(repr, tenant.sql(sa.select(table).where(table.c.tenant_id == tenant.id))))
        for table in tables.metadata.sorted_tables
        if "tenant_id" in table.c and table is not tables.credential
    }


def test_no_request_reaches_the_other_tenant(twins: tuple[Filled, Filled]) -> None:
    mine, theirs = twins
    before = everything(theirs.tenant)
    scim, operator = mine.tenant.scim, mine.tenant.operator
    patched = {"op": "replace", "value": {"displayName": "taken over"}}
    for path in (
        f"/Users/{theirs.user}",
        f"/Groups/{theirs.group}",
        f"/Entitlements/{theirs.entitlement}",
    ):
        assert scim.get(path).status_code == 404
        assert scim.patch(path, patched).status_code == 404
        assert scim.put(path, {}).status_code == 404
        assert scim.delete(path).status_code == 404
    for path in ("/Users", "/Groups", "/Entitlements"):
        assert scim.get(path).get_json()["totalResults"] == 1
    for asked in ('userName eq "ada"', 'externalId eq "42"', f'id eq "{theirs.user}"', "userName pr"):
        listed = scim.get("/Users", filter=asked).get_json()
        assert {each["id"] for each in listed["Resources"]} <= {mine.user}
    assert scim.get("/Groups", filter=f'members.value eq "{theirs.user}"').get_json()["totalResults"] == 0
    assert scim.post("/.search", {"schemas": []}).status_code in (200, 400)
    assert theirs.user not in scim.get("/").text
    bulk = scim.post(
        "/Bulk",
        {
            "schemas": [BULK],
            "Operations": [
                {"method": "DELETE", "path": f"/Users/{theirs.user}"},
                {
                    "method": "PATCH",
                    "path": f"/Groups/{theirs.group}",
                    "data": {"schemas": [PATCH], "Operations": [patched]},
                },
            ],
        },
    )
    assert {each["status"] for each in bulk.get_json()["Operations"]} == {"404"}
    for method, path in (
        ("GET", f"/keys/{theirs.key.id}"),
        ("POST", f"/keys/{theirs.key.id}/claim"),
        ("POST", f"/keys/{theirs.key.id}/revoke"),
        ("GET", f"/keys/{theirs.key.id}/explain"),
        ("GET", f"/consumers/{theirs.user}/explain"),
    ):
        assert operator.send(method, path).status_code == 404
    assert {each["id"] for each in mine.tenant.keys(state="active")} == {mine.key.id}
    assert theirs.user not in operator.get("/events").text
    assert mine.tenant.verify(theirs.key) == "key_unknown"
    assert theirs.tenant.verify(theirs.key) == "allow"
    assert everything(theirs.tenant) == before


def test_another_tenant_s_user_is_no_member(twins: tuple[Filled, Filled]) -> None:
    mine, theirs = twins
    add = {"op": "add", "path": "members", "value": [{"value": theirs.user}, {"value": theirs.group}]}
    assert mine.tenant.scim.patch(f"/Groups/{mine.group}", add).status_code == 200
    assert mine.tenant.members(mine.group) == {mine.user}
    assert "groups" in theirs.tenant.read(f"/Users/{theirs.user}")
    mapped = {"op": "add", "path": "groups", "value": [{"value": theirs.group}]}
    answer = mine.tenant.scim.patch(f"/Entitlements/{mine.entitlement}", mapped)
    assert answer.status_code == 400
    assert theirs.tenant.verify(theirs.key) == "allow"
