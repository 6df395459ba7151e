"""How keys are used, as far as it is folded. Times in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.keys.lifecycle import KeyUnknown
from app.store.tables import consumer, entitlement, key, key_network, key_usage, key_usage_day
from app.store.unit_of_work import Unit

DAY: Final = 86_400 * 1_000_000


@dataclass(frozen=True)
class DayUse:
    """How often a key was used in one way on one day (UTC), which began at ``at``.

    :ivar outcome: ``allowed``, or the code of the reason for which it was denied.
    :ivar entitlement_id: the entitlement that satisfied them; None for all uses of that outcome.
    :ivar entitlement: its value; None when it was deleted since.
    """

    at: int
    outcome: str
    entitlement_id: str | None
    entitlement: str | None
    uses: int


@dataclass(frozen=True)
class NetworkSeen:
    """A network from which a key was used, and when first and last."""

    key_id: str
    consumer_id: str
    user_name: str
    network: str
    first_at: int
    last_at: int
    uses: int


@dataclass(frozen=True)
class KeyUsage:
    """How a key is used: when it was first and last allowed and last denied, and how often.

    :ivar dead_uses: of the denials, those of a secret that nothing brings back.
    """

    key_id: str
    consumer_id: str
    user_name: str
    issued_at: int
    first_at: int | None
    last_at: int | None
    last_denied_at: int | None
    allowed: int
    denied: int
    dead_uses: int
    last_network: str | None


def get_usage(unit: Unit, key_id: str) -> KeyUsage:
    """Return how a key of the tenant is used.

    :raises KeyUnknown: when the tenant has no such key.
    """
    row = unit.execute(_usage(unit).where(key.c.id == key_id)).one_or_none()
    if row is None:
        raise KeyUnknown(key_id)
    return _read(row)


def used_days(unit: Unit, key_id: str, *, days: int) -> list[DayUse]:
    """Return the uses of a key on so many days up to today, the oldest first."""
    today = unit.now // DAY
    statement = (
        sa.select(key_usage_day, entitlement.c.value)
        .outerjoin(entitlement, entitlement.c.id == key_usage_day.c.entitlement_id)
        .where(
            key_usage_day.c.tenant_id == unit.tenant_id,
            key_usage_day.c.key_id == key_id,
            key_usage_day.c.day > today - days,
        )
        .order_by(key_usage_day.c.day, key_usage_day.c.outcome, key_usage_day.c.entitlement_id)
    )
    return [
        DayUse(row.day * DAY, row.outcome, row.entitlement_id or None, row.value, row.uses)
        for row in unit.execute(statement)
    ]


def unused_keys(unit: Unit, *, since: int, offset: int, limit: int) -> tuple[int, list[KeyUsage]]:
    """Return the keys that are not revoked, were issued before a moment, and were not allowed since.

    :return: how many there are, and some of them: those that were never used first, then the longest unused.
    """
    condition = sa.and_(
        key.c.revoked_at.is_(None),
        sa.or_(key.c.expires_at.is_(None), key.c.expires_at > unit.now),
        key.c.issued_at < since,
        sa.or_(key_usage.c.last_at.is_(None), key_usage.c.last_at < since),
    )
    order = (sa.func.coalesce(key_usage.c.last_at, 0), key.c.issued_at, key.c.id)
    return _page(unit, condition, order, offset, limit)


def dead_uses(unit: Unit, *, offset: int, limit: int) -> tuple[int, list[KeyUsage]]:
    """Return the keys of which a dead secret was used; the latest such use or other denial first."""
    order = (key_usage.c.last_denied_at.desc(), key.c.id)
    return _page(unit, key_usage.c.dead_uses > 0, order, offset, limit)


def new_networks(
    unit: Unit, *, key_id: str | None = None, since: int = 0, offset: int, limit: int
) -> tuple[int, list[NetworkSeen]]:
    """Return the networks that were first seen since a moment, of all keys or one, the newest first."""
    seen = (
        sa.select(key_network, key.c.consumer_id, consumer.c.user_name)
        .join(key, key.c.id == key_network.c.key_id)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .where(key_network.c.tenant_id == unit.tenant_id, key_network.c.first_at >= since)
    )
    if key_id is not None:
        seen = seen.where(key_network.c.key_id == key_id)
    total = unit.execute(sa.select(sa.func.count()).select_from(seen.subquery())).scalar_one()
    ordered = seen.order_by(key_network.c.first_at.desc(), key_network.c.key_id, key_network.c.network).limit(
        limit
    )
    return total, [
        NetworkSeen(
            row.key_id, row.consumer_id, row.user_name, row.network, row.first_at, row.last_at, row.uses
        )
        for row in unit.execute(ordered.offset(offset))
    ]


def _page(
    unit: Unit,
    condition: sa.ColumnElement[bool],
    order: Sequence[sa.ColumnElement[Any]],
    offset: int,
    limit: int,
) -> tuple[int, list[KeyUsage]]:
    found = _usage(unit).where(condition)
    total = unit.execute(sa.select(sa.func.count()).select_from(found.subquery())).scalar_one()
    rows = unit.execute(found.order_by(*order).limit(limit).offset(offset))
    return total, [_read(row) for row in rows]


def _usage(unit: Unit) -> sa.Select[Any]:
    return (
        sa.select(
            key.c.id.label("key_id"),
            key.c.consumer_id,
            consumer.c.user_name,
            key.c.issued_at,
            *(column for column in key_usage.c if column.name not in ("key_id", "tenant_id")),
        )
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .outerjoin(key_usage, key_usage.c.key_id == key.c.id)
        .where(key.c.tenant_id == unit.tenant_id)
    )


def _read(row: sa.Row[Any]) -> KeyUsage:
    return KeyUsage(
        key_id=row.key_id,
        consumer_id=row.consumer_id,
        user_name=row.user_name,
        issued_at=row.issued_at,
        first_at=row.first_at,
        last_at=row.last_at,
        last_denied_at=row.last_denied_at,
        allowed=row.allowed or 0,
        denied=row.denied or 0,
        dead_uses=row.dead_uses or 0,
        last_network=row.last_network,
    )
