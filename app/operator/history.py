"""What happened: the events of everything, of one subject, or of one consumer and its keys."""

from __future__ import annotations

import sqlalchemy as sa

from app.ledger.events import RecordedEvent, timeline
from app.operator.pages import Page, Window
from app.store.tables import event, key
from app.store.unit_of_work import Unit


def find_events(
    unit: Unit,
    *,
    subject: str | None = None,
    consumer_id: str | None = None,
    after: int | None = None,
    limit: int | None = None,
) -> Page[RecordedEvent]:
    """Return the tenant's events in the order in which they happened, and how many there are.

    :param subject: what they happened to, as ``<type>/<id>``.
    :param consumer_id: whose they are: those of the user and of its keys.
    :param after: a sequence number; only later events are returned and counted.
    :param limit: how many at the most, up to 1000.
    """
    subjects = [] if subject is None else [subject]
    if consumer_id is not None:
        keys = sa.select(key.c.id).where(key.c.tenant_id == unit.tenant_id, key.c.consumer_id == consumer_id)
        subjects = [f"User/{consumer_id}", *(f"key/{each}" for each in unit.execute(keys).scalars())]
    begin, most = max(0, after or 0), Window.of(1, limit).count
    counted = (
        sa.select(sa.func.count())
        .select_from(event)
        .where(event.c.tenant_id == unit.tenant_id, event.c.sequence > begin)
    )
    if subjects:
        counted = counted.where(event.c.subject.in_(subjects))
    found = timeline(unit, subjects=subjects, after=begin, limit=most)
    return Page(unit.execute(counted).scalar_one(), 1, tuple(found))
