"""How often a connection's client deviated from SCIM in a way that its dialect tolerates."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from app.store.tables import connection, connection_deviation
from app.store.unit_of_work import Unit


@dataclass(frozen=True)
class DeviationCount:
    """In how many accepted requests a client deviated in one way, and when. Times in microseconds."""

    connection_id: str
    connection_name: str
    deviation: str
    requests: int
    first_at: int
    last_at: int


def count_deviations(unit: Unit, connection_id: str, deviations: Collection[str]) -> None:
    """Count one request in which these deviations were tolerated; it counts when the request commits."""
    if not deviations:
        return
    of_these = (connection_deviation.c.connection_id == connection_id) & (
        connection_deviation.c.deviation.in_(deviations)
    )
    known = set(unit.execute(sa.select(connection_deviation.c.deviation).where(of_these)).scalars())
    if known:
        more = {"requests": connection_deviation.c.requests + 1, "last_at": unit.now}
        unit.execute(sa.update(connection_deviation).where(of_these).values(more))
    # The writes of a tenant follow one another, so that nobody else adds a row in between.
    rows = [
        {
            "connection_id": connection_id,
            "tenant_id": unit.tenant_id,
            "deviation": deviation,
            "requests": 1,
            "first_at": unit.now,
            "last_at": unit.now,
        }
        for deviation in sorted(set(deviations) - known)
    ]
    if rows:
        unit.connection.execute(sa.insert(connection_deviation), rows)


def list_deviations(unit: Unit, connection_id: str | None = None) -> list[DeviationCount]:
    """Return what was tolerated of the tenant's connections, or of one, by name; the most frequent first."""
    statement = (
        sa.select(connection_deviation, connection.c.name)
        .join(connection, connection.c.id == connection_deviation.c.connection_id)
        .where(connection_deviation.c.tenant_id == unit.tenant_id)
        .order_by(connection.c.name, connection_deviation.c.requests.desc(), connection_deviation.c.deviation)
    )
    if connection_id is not None:
        statement = statement.where(connection_deviation.c.connection_id == connection_id)
    return [
        DeviationCount(row.connection_id, row.name, row.deviation, row.requests, row.first_at, row.last_at)
        for row in unit.execute(statement)
    ]
