"""Connections: one identity provider's way in to a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.access.errors import ConnectionMissing, NameTaken, SettingInvalid
from app.access.names import checked_name
from app.ledger.events import Event, record
from app.store.tables import connection
from app.store.unit_of_work import Unit, new_id

LONGEST_BRAKE_SPAN: Final = 7 * 24 * 3600 * 1_000_000
"""The longest time, in microseconds, within which withdrawals can count together."""

LARGEST_BRAKE_MINIMUM: Final = 1_000_000


@dataclass(frozen=True)
class BrakeSettings:
    """When withdrawals are too many: a share of the active consumers in per cent, and how many at the least.

    ``span``: within how many microseconds they count together. With 0 per cent there is no brake.
    """

    percent: int
    minimum: int
    span: int


@dataclass(frozen=True)
class Connection:
    """A connection; the dialect says which deviations of its client are tolerated. Times in microseconds."""

    id: str
    tenant_id: str
    name: str
    dialect: str
    created_at: int
    disabled_at: int | None
    brake: BrakeSettings
    last_call_at: int | None = None
    usual_cycle: int | None = None


def create_connection(unit: Unit, name: str, dialect: str) -> Connection:
    """Create a connection of the unit's tenant. Which dialects there are, the caller knows.

    :raises NameInvalid: when the name may not be one.
    :raises NameTaken: when the tenant has a connection of that name.
    """
    connection_id = f"con_{new_id()}"
    try:
        with unit.savepoint():
            unit.execute(
                sa.insert(connection).values(
                    id=connection_id,
                    tenant_id=unit.tenant_id,
                    name=checked_name(name),
                    dialect=dialect,
                    created_at=unit.now,
                )
            )
    except sa.exc.IntegrityError:
        raise NameTaken(f"a connection {name!r} exists already") from None
    data = {"name": name, "dialect": dialect}
    record(unit, [Event("connection.created", f"connection/{connection_id}", data)])
    return get_connection(unit, connection_id)


def list_connections(unit: Unit) -> list[Connection]:
    """Return the tenant's connections, by name; disabled ones too."""
    statement = (
        sa.select(connection).where(connection.c.tenant_id == unit.tenant_id).order_by(connection.c.name)
    )
    return [_connection(row) for row in unit.execute(statement)]


def get_connection(unit: Unit, name_or_id: str) -> Connection:
    """Return the tenant's connection with this id or, where there is none, this name.

    :raises ConnectionMissing: when there is neither.
    """
    row = unit.execute(
        sa.select(connection)
        .where(
            connection.c.tenant_id == unit.tenant_id,
            sa.or_(connection.c.id == name_or_id, connection.c.name == name_or_id),
        )
        .order_by(sa.desc(connection.c.id == name_or_id))
    ).first()
    if row is None:
        raise ConnectionMissing(f"no connection {name_or_id!r}")
    return _connection(row)


def disable_connection(unit: Unit, name_or_id: str) -> Connection:
    """Disable a connection for good: from the commit on, none of its credentials opens anything.

    Saying it again changes nothing (P6).

    :raises ConnectionMissing: when the tenant has no such connection.
    """
    found = get_connection(unit, name_or_id)
    if found.disabled_at is not None:
        return found
    unit.execute(sa.update(connection).where(connection.c.id == found.id).values(disabled_at=unit.now))
    record(unit, [Event("connection.disabled", f"connection/{found.id}", {"name": found.name})])
    return get_connection(unit, found.id)


def set_brake(
    unit: Unit,
    name_or_id: str,
    *,
    percent: int | None = None,
    minimum: int | None = None,
    span: int | None = None,
) -> Connection:
    """Change the brake of a connection; what is None stays. What a brake holds already, it goes on holding.

    :param percent: of the active consumers, 0 for no brake.
    :param minimum: how many withdrawals are too many at the least.
    :param span: in microseconds.
    :raises ConnectionMissing: when the tenant has no such connection.
    :raises SettingInvalid: when a value is out of its range.
    """
    found = get_connection(unit, name_or_id)
    old = found.brake
    new = BrakeSettings(
        old.percent if percent is None else percent,
        old.minimum if minimum is None else minimum,
        old.span if span is None else span,
    )
    if not 0 <= new.percent <= 100:
        raise SettingInvalid("the share of a brake is from 0 to 100 per cent")
    if not 1 <= new.minimum <= LARGEST_BRAKE_MINIMUM:
        raise SettingInvalid(f"the minimum of a brake is from 1 to {LARGEST_BRAKE_MINIMUM} people")
    if not 1_000_000 <= new.span <= LONGEST_BRAKE_SPAN:
        raise SettingInvalid("the time of a brake is from a second to 7 days")
    if new == old:
        return found
    unit.execute(
        sa.update(connection)
        .where(connection.c.id == found.id)
        .values(brake_percent=new.percent, brake_minimum=new.minimum, brake_span=new.span)
    )
    data = {
        "brake": {
            "percent": {"from": old.percent, "to": new.percent},
            "minimum": {"from": old.minimum, "to": new.minimum},
            "withinSeconds": {"from": old.span // 1_000_000, "to": new.span // 1_000_000},
        }
    }
    record(unit, [Event("connection.changed", f"connection/{found.id}", data)])
    return get_connection(unit, found.id)


def _connection(row: sa.Row[Any]) -> Connection:
    return Connection(
        row.id,
        row.tenant_id,
        row.name,
        row.dialect,
        row.created_at,
        row.disabled_at,
        BrakeSettings(row.brake_percent, row.brake_minimum, row.brake_span),
        row.last_call_at,
        row.usual_cycle,
    )
