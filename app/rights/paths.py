"""The paths by which a consumer reaches an entitlement, as one SQL query over the carriers.

There are three ways to a grant and no fourth: a value of ``User.entitlements`` that is the entitlement's own
(``direct``), a value of ``User.roles`` that it is mapped to (``role``), and membership, nested or not, of a
group that it is mapped to (``group``). A path holds while every carrier on it holds, so its time is the
intersection of theirs, and with the consumer's activity; where that asks for a sponsor, with the sponsor's
too. One that a braked withdrawal ended says until when the brake holds the gap after it open.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.store.expressions import earlier, later
from app.store.tables import FOREVER, activity, brake, consumer, direct_value, mapping, membership, withdrawal

_sponsor: Final = activity.alias("sponsor_activity")


@dataclass(frozen=True)
class _Presence:
    """The time in which a consumer is there, and its sponsor where it needs one."""

    since: sa.ColumnElement[int]
    until: sa.ColumnElement[int]
    tolerance: sa.ColumnElement[int]


def paths(asked: sa.CTE) -> sa.CTE:
    """Return every path of the asked consumers, ended ones included.

    :param asked: consumers as ``consumer_id``, each with a ``horizon``.
    :return: rows of ``consumer_id, entitlement_id, reason, via, since, until, tolerance, held_until``;
        ``via`` is the value or the id of the group that the entitlement is mapped to.
    """
    reach = _reach(asked)
    by_group = sa.select(
        reach.c.consumer_id,
        mapping.c.entitlement_id,
        mapping.c.kind,
        mapping.c.value,
        reach.c.horizon,
        *_overlap(reach.c, mapping.c),
    ).join(mapping, sa.and_(mapping.c.kind == "group", mapping.c.value == reach.c.group_id))
    by_value = (
        sa.select(
            asked.c.consumer_id,
            mapping.c.entitlement_id,
            mapping.c.kind,
            mapping.c.value,
            asked.c.horizon,
            *_overlap(direct_value.c, mapping.c),
        )
        .join(direct_value, direct_value.c.consumer_id == asked.c.consumer_id)
        .join(
            mapping,
            sa.and_(
                mapping.c.tenant_id == direct_value.c.tenant_id,
                mapping.c.kind == direct_value.c.kind,
                mapping.c.value == direct_value.c.value,
            ),
        )
    )
    carried = sa.union_all(by_group, by_value).cte("carried")
    presence = _Presence(
        since=later(activity.c.since, sa.func.coalesce(_sponsor.c.since, activity.c.since)),
        until=earlier(
            activity.c.until,
            sa.case((activity.c.sponsor_id.is_(None), FOREVER), else_=sa.func.coalesce(_sponsor.c.until, 0)),
        ),
        tolerance=sa.case(
            (_sponsor.c.since > activity.c.since, _sponsor.c.tolerance), else_=activity.c.tolerance
        ),
    )
    since, until, tolerance = _overlap(carried.c, presence)
    return (
        sa.select(
            carried.c.consumer_id,
            carried.c.entitlement_id,
            carried.c.kind.label("reason"),
            carried.c.value.label("via"),
            since,
            until,
            tolerance,
            sa.func.coalesce(brake.c.holds_until, 0).label("held_until"),
        )
        .join(activity, activity.c.consumer_id == carried.c.consumer_id)
        .outerjoin(_sponsor, _sponsor.c.consumer_id == activity.c.sponsor_id)
        # What ended the path is found by its moment: no two writes of a tenant share one.
        .outerjoin(
            withdrawal,
            sa.and_(withdrawal.c.tenant_id == activity.c.tenant_id, withdrawal.c.moment == until.element),
        )
        .outerjoin(brake, brake.c.id == withdrawal.c.brake_id)
        .where(until.element > since.element, until.element > carried.c.horizon)
        .cte("path")
    )


@cache
def paths_of_consumers() -> sa.CTE:
    """Return every path of some consumers of a tenant, as :func:`paths` does.

    To be executed with ``tenant_id``, the list ``consumer_ids`` and ``horizon``: paths that ended before this
    moment, in microseconds, are left out.
    """
    return paths(_asked(consumer.c.id.in_(sa.bindparam("consumer_ids", expanding=True))))


@cache
def paths_of_tenant() -> sa.CTE:
    """Return every path of all consumers of a tenant, in the same way, without ``consumer_ids``."""
    return paths(_asked(sa.true()))


def _asked(wanted: sa.ColumnElement[bool]) -> sa.CTE:
    horizon = sa.bindparam("horizon", type_=sa.BigInteger)
    return (
        sa.select(consumer.c.id.label("consumer_id"), horizon.label("horizon"))
        .where(consumer.c.tenant_id == sa.bindparam("tenant_id"), wanted)
        .cte("asked")
    )


def _reach(asked: sa.CTE) -> sa.CTE:
    """Every group above the asked consumers, with the time of the way to it.

    A cycle, should one ever be in the data, ends by itself: times only shrink along a way, and equal rows
    are one row.
    """
    reach = (
        sa.select(
            asked.c.consumer_id,
            asked.c.horizon,
            membership.c.group_id,
            membership.c.since,
            membership.c.until,
            membership.c.tolerance,
        )
        .join(membership, membership.c.member_id == asked.c.consumer_id)
        .where(membership.c.until > asked.c.horizon)
        .cte("reach", recursive=True)
    )
    since, until, tolerance = _overlap(membership.c, reach.c)
    return reach.union(
        sa.select(reach.c.consumer_id, reach.c.horizon, membership.c.group_id, since, until, tolerance)
        .join(membership, membership.c.member_id == reach.c.group_id)
        .where(until.element > since.element, until.element > reach.c.horizon)
    )


def _overlap(
    first: ReadOnlyColumnCollection[str, Any],
    second: ReadOnlyColumnCollection[str, Any] | _Presence,
) -> tuple[sa.Label[int], sa.Label[int], sa.Label[int]]:
    """The time two carriers share; the tolerance is that of the one that began it."""
    return (
        later(first.since, second.since).label("since"),
        earlier(first.until, second.until).label("until"),
        sa.case((first.since >= second.since, first.tolerance), else_=second.tolerance).label("tolerance"),
    )
