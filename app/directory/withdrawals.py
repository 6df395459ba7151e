"""What connections take away, counted in people: above the threshold of a connection its brake engages.

The brake delays no withdrawal. What is taken holds at once; only that a gap becomes final waits for an
operator. A gap is told by the moment that it began at, so what is kept is a row for each write of a
connection that ended something: a withdrawal from a million people is one.

A person counts when a write takes the last from them: they are active no more (or deleted), or hold no grant
any more where they held one. What a change leaves to a follow-up is estimated until that has counted it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from app.ledger.events import Event, record
from app.rights.grants import granted, present
from app.store.batches import batches
from app.store.tables import FOREVER, activity, brake, connection, withdrawal, withdrawn_consumer
from app.store.unit_of_work import Unit, new_id

MOST_ESTIMATED: Final = 10_000
"""From how many people on a change that is left to a follow-up is braked before anybody has counted it."""

LIFTED: Final = "lifted"


def note(unit: Unit) -> None:
    """Note that this write of a connection ended something, if the brake of the connection is on."""
    if unit.connection_id is None:
        return
    waiting = sa.select(brake.c.id).where(
        brake.c.connection_id == connection.c.id, brake.c.decision.is_(None)
    )
    noted = sa.exists().where(_here(unit, unit.now))
    row = sa.select(
        connection.c.tenant_id,
        sa.literal(unit.now, sa.BigInteger),
        connection.c.id,
        sa.literal(0),
        sa.literal(0),
        waiting.scalar_subquery(),
    ).where(
        connection.c.tenant_id == unit.tenant_id,
        connection.c.id == unit.connection_id,
        connection.c.brake_percent > 0,
        ~noted,
    )
    columns = ["tenant_id", "moment", "connection_id", "people", "uncounted", "brake_id"]
    if unit.execute(sa.insert(withdrawal).from_select(columns, row)).rowcount:
        _prune(unit, unit.connection_id)


def count(unit: Unit, people: Sequence[str]) -> None:
    """Count from whom of some people this write took the last, and engage the brake if that is too many."""
    row = None if unit.connection_id is None else _noted(unit, unit.now)
    if row is not None and _count(unit, unit.now, people, counted_before=0):
        _judge(unit, row)


def estimate(unit: Unit, people: int) -> None:
    """Note how many people a follow-up of this write will look at; engage the brake if that is too many."""
    row = None if unit.connection_id is None else _noted(unit, unit.now)
    if row is not None and people:
        unit.execute(
            sa.update(withdrawal)
            .where(_here(unit, unit.now))
            .values(uncounted=withdrawal.c.uncounted + people)
        )
        _judge(unit, row)


def count_followed(unit: Unit, moment: int, people: Sequence[str]) -> None:
    """Count from whom of some people the write at a moment took the last, which a follow-up comes to now."""
    row = None if unit.connection_id is None else _noted(unit, moment)
    if row is not None and _count(unit, moment, people, counted_before=len(people)):
        _judge(unit, row)


def finish_counting(unit: Unit, moment: int) -> None:
    """Note that the write at a moment is counted; a brake that only its estimate engaged is lifted."""
    row = None if unit.connection_id is None else _noted(unit, moment)
    if row is None:
        return
    unit.execute(sa.update(withdrawal).where(_here(unit, moment)).values(uncounted=0))
    engaged = unit.execute(
        sa.select(brake, connection.c.brake_span)
        .join(connection, connection.c.id == brake.c.connection_id)
        .where(brake.c.id == row.brake_id, brake.c.decision.is_(None), brake.c.estimated)
    ).one_or_none()
    if engaged is None:
        return
    counted = unit.execute(
        sa.select(
            sa.func.sum(withdrawal.c.people).label("people"),
            sa.func.sum(withdrawal.c.uncounted).label("left"),
        ).where(
            withdrawal.c.connection_id == engaged.connection_id,
            withdrawal.c.moment > engaged.engaged_at - engaged.brake_span,
        )
    ).one()
    if not counted.left and counted.people < engaged.threshold:
        unit.execute(
            sa.update(brake)
            .where(brake.c.id == engaged.id)
            .values(decision=LIFTED, decided_at=unit.now, holds_until=unit.now)
        )
        data = {"connection": engaged.connection_id, "people": int(counted.people)}
        record(unit, [Event("brake.lifted", f"brake/{engaged.id}", data)])


def _prune(unit: Unit, connection_id: str) -> None:
    """Forget withdrawals that count no more and that no brake holds."""
    span = sa.select(connection.c.brake_span).where(connection.c.id == connection_id).scalar_subquery()
    over = sa.and_(
        withdrawal.c.connection_id == connection_id,
        withdrawal.c.moment <= unit.now - span,
        withdrawal.c.brake_id.is_(None),
    )
    moments = sa.select(withdrawal.c.moment).where(over)
    unit.execute(
        sa.delete(withdrawn_consumer).where(
            withdrawn_consumer.c.tenant_id == unit.tenant_id, withdrawn_consumer.c.moment.in_(moments)
        )
    )
    unit.execute(sa.delete(withdrawal).where(over))


def _here(unit: Unit, moment: int) -> sa.ColumnElement[bool]:
    return sa.and_(withdrawal.c.tenant_id == unit.tenant_id, withdrawal.c.moment == moment)


def _noted(unit: Unit, moment: int) -> sa.Row[Any] | None:
    return unit.execute(sa.select(withdrawal).where(_here(unit, moment))).one_or_none()


def _count(unit: Unit, moment: int, people: Sequence[str], *, counted_before: int) -> bool:
    """Add those who lost the last to a withdrawal; return whether there were any.

    :param counted_before: how many of them the estimate has counted already.
    """
    lost = sorted({each for some in batches(people) for each in _lost(unit, moment, some)})
    known = sa.select(withdrawn_consumer.c.consumer_id).where(
        withdrawn_consumer.c.tenant_id == unit.tenant_id, withdrawn_consumer.c.moment == moment
    )
    for some in batches(lost):
        already = set(unit.execute(known.where(withdrawn_consumer.c.consumer_id.in_(some))).scalars())
        lost = [each for each in lost if each not in already]
    if lost:
        rows = [{"tenant_id": unit.tenant_id, "moment": moment, "consumer_id": each} for each in lost]
        unit.connection.execute(sa.insert(withdrawn_consumer), rows)
    if lost or counted_before:
        left = withdrawal.c.uncounted - counted_before
        unit.execute(
            sa.update(withdrawal)
            .where(_here(unit, moment))
            .values(people=withdrawal.c.people + len(lost), uncounted=sa.case((left > 0, left), else_=0))
        )
    return bool(lost)


def _lost(unit: Unit, moment: int, people: Sequence[str]) -> set[str]:
    """Return from whom of some people the write at a moment took the last."""
    were_here = present(unit, people, at=moment - 1)
    are_here = present(unit, were_here, at=moment)
    held = granted(unit, are_here, at=moment - 1)
    return (were_here - are_here) | (held - granted(unit, held, at=moment))


def _judge(unit: Unit, row: sa.Row[Any]) -> None:
    """Engage the brake of a withdrawal's connection if too many were withdrawn within its time.

    :param row: the withdrawal, as it was before it was counted.
    """
    if row.brake_id is not None and not _is_lifted(unit, row.brake_id):
        return
    settings = unit.execute(sa.select(connection).where(connection.c.id == row.connection_id)).one()
    if not settings.brake_percent:
        return
    within = _within(unit, settings)
    counted = unit.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(withdrawal.c.people), 0).label("people"),
            sa.func.coalesce(sa.func.sum(withdrawal.c.uncounted), 0).label("left"),
            sa.func.max(withdrawal.c.active).label("active"),
            sa.func.max(withdrawal.c.uncounted).label("most"),
        ).where(within)
    ).one()
    people, left, active = int(counted.people), int(counted.left), counted.active
    if people + left < settings.brake_minimum:
        return
    if active is None:
        # Once for each time of the brake: it looks through the tenant's people.
        active = _active_since(unit, unit.now - settings.brake_span)
        unit.execute(sa.update(withdrawal).where(_here(unit, row.moment)).values(active=active))
    threshold = max(settings.brake_minimum, -(-active * settings.brake_percent // 100))
    if people + left >= threshold or counted.most >= MOST_ESTIMATED:
        _engage(unit, settings, within, active, threshold, people, left)


def _within(unit: Unit, settings: sa.Row[Any]) -> sa.ColumnElement[bool]:
    """Return the condition "a withdrawal of the connection that counts now"."""
    lifted = sa.select(brake.c.id).where(brake.c.connection_id == settings.id, brake.c.decision == LIFTED)
    return sa.and_(
        withdrawal.c.connection_id == settings.id,
        withdrawal.c.moment > unit.now - settings.brake_span,
        withdrawal.c.brake_id.is_(None) | withdrawal.c.brake_id.in_(lifted),
    )


def _engage(
    unit: Unit,
    settings: sa.Row[Any],
    within: sa.ColumnElement[bool],
    active: int,
    threshold: int,
    people: int,
    left: int,
) -> None:
    brake_id = f"brk_{new_id()}"
    unit.execute(
        sa.insert(brake).values(
            id=brake_id,
            tenant_id=unit.tenant_id,
            connection_id=settings.id,
            engaged_at=unit.now,
            active=active,
            threshold=threshold,
            estimated=people < threshold,
            holds_until=FOREVER,
        )
    )
    # What is final already stays so (P8): only a gap whose recovery window is open can be held open.
    open_still = (withdrawal.c.moment > unit.now - unit.recovery_window) | (withdrawal.c.moment == unit.now)
    unit.execute(sa.update(withdrawal).where(within, open_still).values(brake_id=brake_id))
    data = {
        "connection": settings.id,
        "people": people + left,
        "active": active,
        "threshold": threshold,
        "withinSeconds": settings.brake_span // 1_000_000,
    }
    record(unit, [Event("brake.engaged", f"brake/{brake_id}", data)])


def _is_lifted(unit: Unit, brake_id: str) -> bool:
    return unit.execute(sa.select(brake.c.decision).where(brake.c.id == brake_id)).scalar() == LIFTED


def _active_since(unit: Unit, moment: int) -> int:
    """Return how many consumers were active at a moment or have been since."""
    counted = sa.select(sa.func.count(sa.distinct(activity.c.consumer_id))).where(
        activity.c.tenant_id == unit.tenant_id, activity.c.until > moment
    )
    return int(unit.execute(counted).scalar_one())
