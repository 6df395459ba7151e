"""Grants: which consumer holds which entitlement now, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.rights.paths import paths_of_consumers, paths_of_tenant
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
    asked = {"tenant_id": unit.tenant_id, "horizon": unit.now if at is None else at}
    if consumer_ids is None:
        rows = unit.execute(_held(paths_of_tenant()), asked)
    else:
        rows = unit.execute(_held(paths_of_consumers()), {**asked, "consumer_ids": list(consumer_ids)})
    reasons: dict[tuple[str, str], set[Reason]] = defaultdict(set)
    for row in rows:
        reasons[row.consumer_id, row.entitlement_id].add(Reason(row.reason, row.via))
    return [Grant(*pair, tuple(sorted(found))) for pair, found in sorted(reasons.items())]


def granted(unit: Unit, consumer_ids: Collection[str], *, at: int) -> set[str]:
    """Return who of some consumers held any grant at a moment (microseconds)."""
    if not consumer_ids:
        return set()
    asked = {"tenant_id": unit.tenant_id, "consumer_ids": list(consumer_ids), "horizon": at}
    return set(unit.execute(_holders(), asked).scalars())


def present(unit: Unit, consumer_ids: Collection[str], *, at: int) -> set[str]:
    """Return who of some consumers was active, before the end of their access, at a moment (microseconds)."""
    statement = sa.select(activity.c.consumer_id).where(
        activity.c.tenant_id == unit.tenant_id,
        activity.c.consumer_id.in_(list(consumer_ids)),
        activity.c.since <= at,
        activity.c.until > at,
    )
    return set(unit.execute(statement).scalars())


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


@cache
def _held(path: sa.CTE) -> sa.Select[Any]:
    """Return the statement for the grants that hold at the moment ``horizon``, and for their reasons."""
    columns = path.c.consumer_id, path.c.entitlement_id, path.c.reason, path.c.via
    return sa.select(*columns).where(*_holding(path)).distinct()


@cache
def _holders() -> sa.Select[Any]:
    path = paths_of_consumers()
    return sa.select(path.c.consumer_id).where(*_holding(path)).distinct()


def _holding(path: sa.CTE) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    at = sa.bindparam("horizon", type_=sa.BigInteger)
    return path.c.since <= at, path.c.until > at
