"""Many people at once: members of a group with claimed keys, written straight into the tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.keys.lifecycle import PURPOSE
from app.store import tables
from app.store.secrets import mint
from app.store.tables import FOREVER
from app.store.unit_of_work import new_id
from tests.http.conftest import DAY, Key, Tenant


def crowd(tenant: Tenant, group_id: str, entitlement_id: str, size: int) -> list[Key]:
    """Make people members of a group, and give each a claimed key for an entitlement; return the keys."""
    with tenant.store.writing(tenant.id, actor="test") as unit:
        carrier = {"tenant_id": unit.tenant_id, "since": unit.now, "until": FOREVER, "tolerance": DAY}
        keys, rows = [], dict[sa.Table, list[dict[str, Any]]]()

        def row(table: sa.Table, **values: Any) -> None:
            rows.setdefault(table, []).append(values)

        for number in range(size):
            user_id, key_id, secret = new_id(), f"key_{new_id()}", mint("ks", "live")
            keys.append(Key(key_id, secret.text))
            row(
                tables.consumer,
                id=user_id,
                tenant_id=unit.tenant_id,
                user_name=f"member{number}",
                active=True,
            )
            row(tables.activity, consumer_id=user_id, **carrier)
            row(tables.membership, group_id=group_id, member_id=user_id, member_type="User", **carrier)
            row(
                tables.key,
                id=key_id,
                tenant_id=unit.tenant_id,
                consumer_id=user_id,
                issued_at=unit.now,
                claimed_at=unit.now,
            )
            row(tables.key_entitlement, key_id=key_id, entitlement_id=entitlement_id)
            row(
                tables.secret,
                id=secret.id,
                tenant_id=unit.tenant_id,
                key_id=key_id,
                digest=tenant.peppers.digest(PURPOSE, secret.text),
                pepper=tenant.peppers.current,
                created_at=unit.now,
            )
        for table, values in rows.items():
            unit.connection.execute(sa.insert(table), values)
    return keys
