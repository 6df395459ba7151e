"""Who holds an entitlement now, and how many do."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from app.store.batches import batches
from app.store.tables import activity, consumer, direct_value, mapping, membership
from app.store.unit_of_work import Unit


def count_holders(unit: Unit, entitlement_ids: Collection[str]) -> dict[str, int]:
    """Return how many consumers hold each of some entitlements at ``unit.now``; 0 where nobody does.

    It counts what :func:`app.rights.grants.grants` returns, from the side of the entitlements.
    """
    counted = dict.fromkeys(entitlement_ids, 0)
    for some in batches(sorted(entitlement_ids)):
        counted |= {row.entitlement_id: row.holders for row in unit.execute(_counting(unit, some))}
    return counted


def holders_after(unit: Unit, entitlement_ids: Collection[str], *, after: str, limit: int) -> list[str]:
    """Return the first consumers who hold one of some entitlements at ``unit.now``, by their ids.

    :param after: only ids after this one.
    """
    holding = _holding(unit, entitlement_ids)
    statement = (
        sa.select(holding.c.consumer_id)
        .join(activity, activity.c.consumer_id == holding.c.consumer_id)
        .where(_active(unit), holding.c.consumer_id > after)
        .distinct()
        .order_by(holding.c.consumer_id)
        .limit(limit)
    )
    return list(unit.execute(statement).scalars())


def _counting(unit: Unit, entitlement_ids: Collection[str]) -> sa.Select[tuple[str, int]]:
    holding = _holding(unit, entitlement_ids)
    return (
        sa.select(
            holding.c.entitlement_id,
            sa.func.count(sa.distinct(holding.c.consumer_id)).label("holders"),
        )
        .join(activity, activity.c.consumer_id == holding.c.consumer_id)
        .where(_active(unit))
        .group_by(holding.c.entitlement_id)
    )


def _holding(unit: Unit, entitlement_ids: Collection[str]) -> sa.CTE:
    """The consumers whom the carriers of some entitlements reach now, active or not."""
    mapped = (
        sa.select(mapping.c.entitlement_id, mapping.c.kind, mapping.c.value)
        .where(_holds(unit, mapping), mapping.c.entitlement_id.in_(entitlement_ids))
        .cte("mapped")
    )
    below = (
        sa.select(mapped.c.entitlement_id, membership.c.member_id)
        .join(membership, sa.and_(mapped.c.kind == "group", membership.c.group_id == mapped.c.value))
        .where(_holds(unit, membership))
        .cte("below", recursive=True)
    )
    below = below.union(
        sa.select(below.c.entitlement_id, membership.c.member_id)
        .join(membership, membership.c.group_id == below.c.member_id)
        .where(_holds(unit, membership))
    )
    by_value = (
        sa.select(mapped.c.entitlement_id, direct_value.c.consumer_id)
        .join(
            direct_value,
            sa.and_(direct_value.c.kind == mapped.c.kind, direct_value.c.value == mapped.c.value),
        )
        .where(_holds(unit, direct_value))
    )
    by_group = sa.select(below.c.entitlement_id, consumer.c.id).join(
        consumer, consumer.c.id == below.c.member_id
    )
    return sa.union(by_value, by_group).cte("holding")


def _active(unit: Unit) -> sa.ColumnElement[bool]:
    """Whether a consumer's activity holds now, and its sponsor's where it needs one."""
    of_sponsor = activity.alias("sponsor_activity")
    sponsored = sa.exists().where(
        of_sponsor.c.consumer_id == activity.c.sponsor_id,
        of_sponsor.c.since <= unit.now,
        of_sponsor.c.until > unit.now,
    )
    return _holds(unit, activity) & (activity.c.sponsor_id.is_(None) | sponsored)


def _holds(unit: Unit, carrier: sa.Table) -> sa.ColumnElement[bool]:
    return sa.and_(
        carrier.c.tenant_id == unit.tenant_id, carrier.c.since <= unit.now, carrier.c.until > unit.now
    )
