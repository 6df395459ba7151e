"""Whose rights may have changed since a moment: whoever a carrier that began or ended since leads to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.rights.grants import consumers_below
from app.store.batches import batches
from app.store.tables import activity, consumer, direct_value, key, mapping, membership
from app.store.unit_of_work import Unit


def touched_consumers(unit: Unit, since: int) -> list[str]:
    """Return the consumers whose grants or keys writes since a moment (microseconds) may have changed.

    It looks through the tenant's carriers, and costs a few hundred milliseconds for a million of them.
    """
    found: set[str] = set()
    for carrier in (activity, direct_value):
        found |= _changed(unit, carrier, carrier.c.consumer_id, since)
    of_sponsors = sa.select(activity.c.consumer_id).where(_since(unit, activity, since))
    sponsored = sa.select(consumer.c.id).where(
        consumer.c.tenant_id == unit.tenant_id, consumer.c.sponsor_id.in_(of_sponsors)
    )
    found.update(unit.execute(sponsored).scalars())
    groups = _changed(unit, membership, membership.c.member_id, since)
    groups |= _changed(unit, mapping, mapping.c.value, since, mapping.c.kind == "group")
    for some in batches(sorted(groups)):
        found.update(consumers_below(unit, some, from_moment=since))
    carries_mapped_value = (
        sa.select(direct_value.c.consumer_id)
        .join(
            mapping,
            sa.and_(
                mapping.c.tenant_id == direct_value.c.tenant_id,
                mapping.c.kind == direct_value.c.kind,
                mapping.c.value == direct_value.c.value,
            ),
        )
        .where(direct_value.c.until >= since, _since(unit, mapping, since))
    )
    found.update(unit.execute(carries_mapped_value.distinct()).scalars())
    keys = sa.select(key.c.consumer_id).where(
        key.c.tenant_id == unit.tenant_id, (key.c.issued_at >= since) | (key.c.revoked_at >= since)
    )
    found.update(unit.execute(keys.distinct()).scalars())
    return sorted(found)


def _changed(
    unit: Unit,
    carrier: sa.Table,
    column: sa.Column[Any],
    since: int,
    condition: sa.ColumnElement[bool] | None = None,
) -> set[str]:
    statement = sa.select(column).where(_since(unit, carrier, since))
    if condition is not None:
        statement = statement.where(condition)
    return set(unit.execute(statement.distinct()).scalars())


def _since(unit: Unit, carrier: sa.Table, since: int) -> sa.ColumnElement[bool]:
    """Return the condition "a carrier of the tenant that began or ended since a moment, up to now"."""
    return sa.and_(
        carrier.c.tenant_id == unit.tenant_id,
        (carrier.c.since >= since) | ((carrier.c.until >= since) & (carrier.c.until <= unit.now)),
    )
