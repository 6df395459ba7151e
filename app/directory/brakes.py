"""Brakes that engaged, and what an operator decides of them.

As long as a brake waits, no gap that its withdrawals began is final. Confirmed, each is judged by the
recovery window since the withdrawal, as if there had been no brake; released, whoever comes back within a
time keeps the keys. Either is said once, so that what is dead by it stays dead (P8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.ledger.events import Event, record
from app.rights.grants import granted
from app.store.batches import batches
from app.store.tables import FOREVER, brake, connection, consumer, withdrawal, withdrawn_consumer
from app.store.unit_of_work import Unit

CONFIRMED: Final = "confirmed"
RELEASED: Final = "released"
SHORTEST_RELEASE: Final = 24 * 3600 * 1_000_000
"""How long, in microseconds, a release keeps the keys of whoever comes back, where the window is shorter."""

MOST_LOOKED_AT: Final = 10_000
"""Of how many people it is told how many are back: to know it of more takes too long."""


class BrakeUnknown(LookupError):
    """The tenant has no such brake."""


class BrakeDecided(Exception):
    """Something else was decided of the brake already."""


@dataclass(frozen=True)
class Brake:
    """A brake that engaged. Times in microseconds.

    ``active``: how many consumers there were; ``threshold``: how many of them withdrawn were too many.
    ``decision``: ``confirmed``, ``released``, ``lifted`` when a count showed that there were not too many, or
    None while it waits. ``holds_until``: until when what comes back keeps its keys, None until it is decided.
    ``people``: how many were withdrawn; ``uncounted``: of how many it is not known yet.
    """

    id: str
    connection_id: str
    connection_name: str
    engaged_at: int
    active: int
    threshold: int
    decision: str | None
    decided_at: int | None
    holds_until: int | None
    people: int
    uncounted: int


@dataclass(frozen=True)
class Whereabouts:
    """What became of the people of a brake: ``waiting`` hold nothing now, ``back`` hold a grant again.

    ``deleted``: their keys are final, whatever is decided.
    """

    waiting: int
    back: int
    deleted: int


def list_brakes(unit: Unit, *, limit: int = 100) -> list[Brake]:
    """Return the tenant's brakes: those that wait first, the newest first."""
    statement = _brakes(unit).order_by(brake.c.decision.is_not(None), brake.c.engaged_at.desc(), brake.c.id)
    return _counted(unit, unit.execute(statement.limit(limit)).all())


def get_brake(unit: Unit, brake_id: str) -> Brake:
    """Return a brake of the tenant.

    :raises BrakeUnknown: when there is none of this id.
    """
    found = _counted(unit, unit.execute(_brakes(unit).where(brake.c.id == brake_id)).all())
    if not found:
        raise BrakeUnknown(f"no brake {brake_id!r}")
    return found[0]


def whereabouts(unit: Unit, brake_id: str) -> Whereabouts | None:
    """Return what became of the people of a brake; None when they are too many to look at."""
    people = (
        sa.select(consumer.c.id, consumer.c.deleted_at)
        .where(consumer.c.id.in_(_people_of(brake_id)), consumer.c.tenant_id == unit.tenant_id)
        .limit(MOST_LOOKED_AT + 1)
    )
    rows = unit.execute(people).all()
    if len(rows) > MOST_LOOKED_AT:
        return None
    there = [row.id for row in rows if row.deleted_at is None]
    back = sum(len(granted(unit, some, at=unit.now)) for some in batches(there))
    return Whereabouts(waiting=len(there) - back, back=back, deleted=len(rows) - len(there))


def confirm(unit: Unit, brake_id: str) -> Brake:
    """Let what a brake's withdrawals took become final: at once where the recovery window is over.

    Saying it again changes nothing (P6).

    :raises BrakeUnknown: when there is no such brake.
    :raises BrakeDecided: when something else was decided of it.
    """
    return _decide(unit, brake_id, CONFIRMED, unit.now)


def release(unit: Unit, brake_id: str, *, within: int | None = None) -> Brake:
    """Let whoever comes back within a time keep the keys; afterwards what is still away is final.

    Saying it again changes nothing (P6), the time included.

    :param within: in microseconds; by default the recovery window, and a day at the least.
    :raises BrakeUnknown: when there is no such brake.
    :raises BrakeDecided: when something else was decided of it.
    """
    span = max(unit.recovery_window, SHORTEST_RELEASE) if within is None else within
    return _decide(unit, brake_id, RELEASED, unit.now + span)


def _decide(unit: Unit, brake_id: str, decision: str, holds_until: int) -> Brake:
    found = get_brake(unit, brake_id)
    if found.decision == decision:
        return found
    if found.decision is not None:
        raise BrakeDecided(f"the brake was {found.decision} already")
    unit.execute(
        sa.update(brake)
        .where(brake.c.id == brake_id)
        .values(decision=decision, decided_at=unit.now, holds_until=holds_until)
    )
    data = {"connection": found.connection_id, "people": found.people, "holdsUntil": holds_until}
    record(unit, [Event(f"brake.{decision}", f"brake/{brake_id}", data)])
    return get_brake(unit, brake_id)


def _brakes(unit: Unit) -> sa.Select[Any]:
    return (
        sa.select(brake, connection.c.name.label("connection_name"))
        .join(connection, connection.c.id == brake.c.connection_id)
        .where(brake.c.tenant_id == unit.tenant_id)
    )


def _people_of(brake_id: str) -> sa.Select[tuple[str]]:
    return (
        sa.select(withdrawn_consumer.c.consumer_id)
        .join(
            withdrawal,
            (withdrawal.c.tenant_id == withdrawn_consumer.c.tenant_id)
            & (withdrawal.c.moment == withdrawn_consumer.c.moment),
        )
        .where(withdrawal.c.brake_id == brake_id)
        .distinct()
    )


def _counted(unit: Unit, rows: Sequence[sa.Row[Any]]) -> list[Brake]:
    found = []
    for row in rows:
        people = unit.execute(
            sa.select(sa.func.count()).select_from(_people_of(row.id).subquery())
        ).scalar_one()
        uncounted = unit.execute(
            sa.select(sa.func.coalesce(sa.func.sum(withdrawal.c.uncounted), 0)).where(
                withdrawal.c.brake_id == row.id
            )
        ).scalar_one()
        found.append(
            Brake(
                id=row.id,
                connection_id=row.connection_id,
                connection_name=row.connection_name,
                engaged_at=row.engaged_at,
                active=row.active,
                threshold=row.threshold,
                decision=row.decision,
                decided_at=row.decided_at,
                holds_until=None if row.holds_until == FOREVER else row.holds_until,
                people=int(people),
                uncounted=int(uncounted),
            )
        )
    return found
