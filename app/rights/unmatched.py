"""Values on users that name nothing: they grant nothing and wait, inert, for an entitlement of that name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa

from app.store.tables import direct_value, mapping
from app.store.unit_of_work import Unit


@dataclass(frozen=True)
class UnmatchedValue:
    """A value that no entitlement is mapped to, and the ids of the consumers who carry it, sorted.

    ``kind``: ``"direct"`` for a value of ``User.entitlements``, ``"role"`` for one of ``User.roles``.
    """

    kind: str
    value: str
    consumers: tuple[str, ...]


def unmatched_values(unit: Unit, consumer_id: str | None = None) -> list[UnmatchedValue]:
    """Return the unmatched values that are carried at ``unit.now``, by one consumer or by any, sorted."""
    named = sa.exists().where(
        mapping.c.tenant_id == direct_value.c.tenant_id,
        mapping.c.kind == direct_value.c.kind,
        mapping.c.value == direct_value.c.value,
        mapping.c.until > unit.now,
    )
    statement = (
        sa.select(direct_value.c.kind, direct_value.c.value, direct_value.c.consumer_id)
        .where(direct_value.c.tenant_id == unit.tenant_id, direct_value.c.until > unit.now, ~named)
        .distinct()
        .order_by(direct_value.c.kind, direct_value.c.value, direct_value.c.consumer_id)
    )
    if consumer_id is not None:
        statement = statement.where(direct_value.c.consumer_id == consumer_id)
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in unit.execute(statement):
        found[row.kind, row.value].append(row.consumer_id)
    return [UnmatchedValue(kind, value, tuple(ids)) for (kind, value), ids in found.items()]
