"""Where a consumer stands: whether the directory says that it may hold rights, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from app.store.tables import activity, consumer, tenant
from app.store.unit_of_work import Unit

SUSPEND: Final = "suspend"
KEEP: Final = "keep"
"""What the keys of a service user do while its sponsor is away: they are dormant, or work on."""


@dataclass(frozen=True)
class SponsorStanding:
    """The user without whom a service user's keys are dormant. Times in microseconds.

    ``user_name`` is None where no user of that id has ever been. ``away_since``: when it last ceased to be
    present.
    """

    id: str
    user_name: str | None
    is_present: bool
    deleted_at: int | None
    away_since: int | None


@dataclass(frozen=True)
class ConsumerStanding:
    """A consumer as the directory has it now. Times in microseconds.

    ``present_since``: since when it is active and its access has not ended; None when it is not so now.
    ``away_since``: when that ended; None when it is so now, or never was.
    ``sponsor``: of a service user whose keys are dormant without one, where it stands.
    """

    id: str
    user_name: str
    active: bool
    access_starts_at: int | None
    access_ends_at: int | None
    deleted_at: int | None
    present_since: int | None
    away_since: int | None
    sponsor: SponsorStanding | None = None


def consumer_standing(unit: Unit, consumer_id: str) -> ConsumerStanding | None:
    """Return where a consumer of the tenant stands at ``unit.now``; None when there is none of this id."""
    row = unit.execute(
        sa.select(consumer).where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id == consumer_id)
    ).one_or_none()
    if row is None:
        return None
    began, ended = _times(unit, consumer_id)
    suspends = sa.select(tenant.c.sponsor_policy == SUSPEND).where(tenant.c.id == unit.tenant_id)
    has_sponsor = row.sponsor_id is not None and unit.execute(suspends).scalar_one()
    return ConsumerStanding(
        id=row.id,
        user_name=row.user_name,
        active=row.active,
        access_starts_at=row.access_starts_at,
        access_ends_at=row.access_ends_at,
        deleted_at=row.deleted_at,
        present_since=began,
        away_since=None if began is not None else ended,
        sponsor=_sponsor(unit, row.sponsor_id) if has_sponsor else None,
    )


def _sponsor(unit: Unit, sponsor_id: str) -> SponsorStanding:
    row = unit.execute(
        sa.select(consumer.c.user_name, consumer.c.deleted_at).where(
            consumer.c.tenant_id == unit.tenant_id, consumer.c.id == sponsor_id
        )
    ).one_or_none()
    if row is None:
        return SponsorStanding(sponsor_id, None, is_present=False, deleted_at=None, away_since=None)
    began, ended = _times(unit, sponsor_id)
    return SponsorStanding(
        sponsor_id, row.user_name, is_present=began is not None, deleted_at=row.deleted_at, away_since=ended
    )


def _times(unit: Unit, consumer_id: str) -> tuple[int | None, int | None]:
    """Return since when a consumer is active now, if it is, and when it last ceased to be."""
    times = unit.execute(
        sa.select(
            sa.func.min(activity.c.since)
            .filter(activity.c.since <= unit.now, activity.c.until > unit.now)
            .label("began"),
            sa.func.max(activity.c.until).filter(activity.c.until <= unit.now).label("ended"),
        ).where(activity.c.consumer_id == consumer_id)
    ).one()
    return times.began, times.ended
