"""Grants: which consumer holds which entitlement now, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.rights.paths import of_consumers, paths
from app.store.tables import activity, consumer, membership
from app.store.unit_of_work import Unit


@dataclass(frozen=True, order=True)
class Reason:
    """Why a grant is there: ``direct``, ``role`` or ``group``, and the value or the group's id."""

    reason: str
    via: str


@dataclass(frozen=True)
class Grant:
    """A right that follows from the directory now. ``reasons`` are sorted and never empty."""

    consumer_id: str
    entitlement_id: str
    reasons: tuple[Reason, ...]


def grants(unit: Unit, consumer_ids: Sequence[str] | None = None, *, at: int | None = None) -> list[Grant]:
    """Return the grants that hold at ``unit.now``, of some consumers or of all, in a stable order.

    :param at: those that held at this earlier moment (microseconds) instead.
    """
    at = unit.now if at is None else at
    wanted = consumer.c.tenant_id == unit.tenant_id
    if consumer_ids is not None:
        wanted &= consumer.c.id.in_(consumer_ids)
    path = paths(of_consumers(wanted, at))
    statement = sa.select(path).where(path.c.since <= at, path.c.until > at).distinct()
    reasons: dict[tuple[str, str], set[Reason]] = defaultdict(set)
    for row in unit.execute(statement):
        reasons[row.consumer_id, row.entitlement_id].add(Reason(row.reason, row.via))
    return [Grant(*pair, tuple(sorted(found))) for pair, found in sorted(reasons.items())]


def granted(unit: Unit, consumer_ids: Collection[str], *, at: int) -> set[str]:
    """Return who of some consumers held any grant at a moment (microseconds)."""
    if not consumer_ids:
        return set()
    path = paths(of_consumers(_of_tenant(unit, consumer_ids), at))
    statement = sa.select(path.c.consumer_id).where(path.c.since <= at, path.c.until > at).distinct()
    return set(unit.execute(statement).scalars())


def present(unit: Unit, consumer_ids: Collection[str], *, at: int) -> set[str]:
    """Return who of some consumers was active, before the end of their access, at a moment (microseconds)."""
    statement = sa.select(activity.c.consumer_id).where(
        activity.c.tenant_id == unit.tenant_id,
        activity.c.consumer_id.in_(list(consumer_ids)),
        activity.c.since <= at,
        activity.c.until > at,
    )
    return set(unit.execute(statement).scalars())


def _of_tenant(unit: Unit, consumer_ids: Collection[str]) -> sa.ColumnElement[bool]:
    return (consumer.c.tenant_id == unit.tenant_id) & consumer.c.id.in_(list(consumer_ids))


def consumers_below(
    unit: Unit, ids: Sequence[str], *, at: int | None = None, from_moment: int | None = None
) -> list[str]:
    """Return the users among some members, and all users in the groups among them, nested or not.

    :param at: as it was at this moment, or just before it, instead of as it is now.
    :param from_moment: as it was just before this moment, or ever since.
    """
    if not ids:
        return []
    if from_moment is not None:
        inside = membership.c.until >= from_moment
    elif at is None:
        inside = membership.c.until > unit.now
    else:
        inside = (membership.c.until >= at) & (membership.c.since <= at)
    below = (
        sa.select(membership.c.member_id)
        .where(membership.c.group_id.in_(ids), inside)
        .cte("below", recursive=True)
    )
    below = below.union(
        sa.select(membership.c.member_id)
        .join(below, membership.c.group_id == below.c.member_id)
        .where(inside)
    )
    of_tenant = sa.select(consumer.c.id).where(consumer.c.tenant_id == unit.tenant_id)
    # A union, not an OR: PostgreSQL would search all that is below for each consumer.
    found = of_tenant.where(consumer.c.id.in_(ids)).union(
        of_tenant.join(below, below.c.member_id == consumer.c.id)
    )
    return sorted(unit.execute(found).scalars())
