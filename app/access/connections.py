"""Connections: one identity provider's way in to a tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.access.errors import ConnectionMissing, NameTaken
from app.access.names import checked_name
from app.ledger.events import Event, record
from app.store.tables import connection
from app.store.unit_of_work import Unit, new_id


@dataclass(frozen=True)
class Connection:
    """A connection; the dialect says which deviations of its client are tolerated. Times in microseconds."""

    id: str
    tenant_id: str
    name: str
    dialect: str
    created_at: int
    disabled_at: int | None
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


def _connection(row: sa.Row[Any]) -> Connection:
    return Connection(
        row.id,
        row.tenant_id,
        row.name,
        row.dialect,
        row.created_at,
        row.disabled_at,
        row.last_call_at,
        row.usual_cycle,
    )
