"""Events: one thing that happened, written in the same transaction as the thing (P2, P9).

``sequence`` is the place where a leaf of the ledger's Merkle tree will point to.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.store.tables import event
from app.store.unit_of_work import Unit


@dataclass(frozen=True)
class Event:
    """What an event says: its type, what it happened to (``<type>/<id>``), and the particulars.

    The particulars never hold a secret, a digest or a password.
    """

    type: str
    subject: str
    data: dict[str, Any]


@dataclass(frozen=True)
class RecordedEvent(Event):
    """An event as the table holds it; ``time`` is in microseconds."""

    sequence: int
    id: str
    time: int
    actor: str
    txn: str


def record(unit: Unit, events: Iterable[Event]) -> None:
    """Append events to the transaction, in this order."""
    rows = [
        {
            "id": secrets.token_hex(16),
            "tenant_id": unit.tenant_id,
            "time": unit.now,
            "type": each.type,
            "actor": unit.actor,
            "txn": unit.txn,
            "subject": each.subject,
            "data": each.data,
        }
        for each in events
    ]
    if rows:
        unit.connection.execute(sa.insert(event), rows)


def timeline(
    unit: Unit, *, subjects: Iterable[str] = (), after: int = 0, limit: int = 100
) -> list[RecordedEvent]:
    """Return the tenant's events after a sequence number, oldest first; of some subjects only, when given."""
    statement = (
        sa.select(event)
        .where(event.c.tenant_id == unit.tenant_id, event.c.sequence > after)
        .order_by(event.c.sequence)
        .limit(limit)
    )
    wanted = list(subjects)
    if wanted:
        statement = statement.where(event.c.subject.in_(wanted))
    return [event_of(row) for row in unit.execute(statement)]


def event_of(row: sa.Row[Any]) -> RecordedEvent:
    """Return the event that a row of the table holds."""
    return RecordedEvent(
        type=row.type,
        subject=row.subject,
        data=row.data,
        sequence=row.sequence,
        id=row.id,
        time=row.time,
        actor=row.actor,
        txn=row.txn,
    )
