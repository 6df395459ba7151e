"""P6: every operation is level-triggered: said again, it re-asserts what it says."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.store import tables
from app.store.tables import FOREVER
from tests.http.conftest import Tenant

OKTA: dict[str, Any] = {"op": "replace", "value": {"active": False}}
ENTRA: dict[str, Any] = {"op": "Replace", "path": "active", "value": "False"}


@pytest.mark.parametrize("deactivation", [OKTA, ENTRA])
def test_a_repeated_deactivation_mends_what_the_first_left(
    tenant: Tenant, deactivation: dict[str, Any]
) -> None:
    tenant.entitlement("orders")
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.key(ada, "orders")
    assert tenant.scim.patch(f"/Users/{ada}", deactivation).status_code == 200
    version = tenant.read(f"/Users/{ada}")["meta"]["version"]
    # As if the first try had left the derived rows behind.
    tenant.sql(sa.update(tables.consumer).where(tables.consumer.c.id == ada).values(active=True))
    tenant.sql(sa.update(tables.activity).where(tables.activity.c.consumer_id == ada).values(until=FOREVER))
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Users/{ada}", deactivation).status_code == 200
    assert tenant.verify(key) == "consumer_inactive"
    assert tenant.read(f"/Users/{ada}")["meta"]["version"] == version


def test_the_same_request_again_adds_nothing(tenant: Tenant) -> None:
    group = tenant.group("buyers")
    tenant.entitlement("orders", groups=(group,), keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada")
    add = {"op": "Add", "path": "members", "value": [{"value": ada}]}
    for _ in range(3):
        assert tenant.scim.patch(f"/Groups/{group}", add).status_code == 200
        assert tenant.members(group) == {ada}
        assert len(tenant.keys()) == 1
    (count,) = tenant.sql(
        sa.select(sa.func.count()).select_from(tables.membership).where(tables.membership.c.group_id == group)
    )
    assert count[0] == 1
