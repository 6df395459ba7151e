"""Where a consumer stands: whether the directory says that it may hold rights, and since when."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.store.tables import activity, consumer
from app.store.unit_of_work import Unit


@dataclass(frozen=True)
class ConsumerStanding:
    """A consumer as the directory has it now. Times in microseconds.

    ``present_since``: since when it is active and its access has not ended; None when it is not so now.
    ``away_since``: when that ended; None when it is so now, or never was.
    """

    id: str
    user_name: str
    active: bool
    access_starts_at: int | None
    access_ends_at: int | None
    deleted_at: int | None
    present_since: int | None
    away_since: int | None


def consumer_standing(unit: Unit, consumer_id: str) -> ConsumerStanding | None:
    """Return where a consumer of the tenant stands at ``unit.now``; None when there is none of this id."""
    row = unit.execute(
        sa.select(consumer).where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id == consumer_id)
    ).one_or_none()
    if row is None:
        return None
    times = unit.execute(
        sa.select(
            sa.func.min(activity.c.since)
            .filter(activity.c.since <= unit.now, activity.c.until > unit.now)
            .label("began"),
            sa.func.max(activity.c.until).filter(activity.c.until <= unit.now).label("ended"),
        ).where(activity.c.consumer_id == consumer_id)
    ).one()
    return ConsumerStanding(
        id=row.id,
        user_name=row.user_name,
        active=row.active,
        access_starts_at=row.access_starts_at,
        access_ends_at=row.access_ends_at,
        deleted_at=row.deleted_at,
        present_since=times.began,
        away_since=None if times.began is not None else times.ended,
    )
