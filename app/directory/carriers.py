"""Beginning and ending carriers: the rows that carry a right for a time (see ``app.store.tables``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from app.directory.withdrawals import note
from app.store.tables import FOREVER
from app.store.unit_of_work import Unit


def begin(unit: Unit, carrier: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Begin carriers now, with the tenant's recovery window as their tolerance."""
    common = {
        "tenant_id": unit.tenant_id,
        "since": unit.now,
        "until": FOREVER,
        "tolerance": unit.recovery_window,
    }
    begun = [{**common, **row} for row in rows]
    if begun:
        unit.connection.execute(sa.insert(carrier), begun)


def end(unit: Unit, carrier: sa.Table, condition: sa.ColumnElement[bool]) -> None:
    """End now the carriers of the tenant that meet a condition and still hold."""
    ended = unit.execute(
        sa.update(carrier)
        .where(carrier.c.tenant_id == unit.tenant_id, carrier.c.until > unit.now, condition)
        .values(until=unit.now)
    )
    if ended.rowcount:
        note(unit)


def holding(unit: Unit, carrier: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition "a carrier of the tenant that holds now"."""
    return sa.and_(carrier.c.tenant_id == unit.tenant_id, carrier.c.until > unit.now)
