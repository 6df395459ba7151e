"""One unit of work is one transaction: everything a request does commits together or not at all (P2)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from app.store.tables import tenant

# How far the wall clock may lie behind the last write before the store is no longer believed.
CLOCK_SLACK = 300 * 1_000_000


class StoreError(Exception):
    """Something is wrong with the store itself, not with the request."""


class ClockAbsurd(StoreError):
    """The wall clock lies far behind the last write: times taken now would be wrong."""


class TenantUnknown(StoreError):
    """No tenant has this id."""


@dataclass(frozen=True)
class Unit:
    """An open transaction on behalf of one tenant.

    ``now`` is the moment of the transaction in microseconds, later than that of every earlier write of the
    tenant. ``txn`` names the transaction in events and receipts; ``actor`` says who asked for it.
    """

    connection: Connection
    tenant_id: str
    now: int
    recovery_window: int
    unmatched_values: str
    actor: str
    txn: str

    @property
    def connection_id(self) -> str | None:
        """The identity provider's connection that asked for it; None when somebody else did."""
        kind, _, actor_id = self.actor.partition(":")
        return actor_id if kind == "connection" else None

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Execute a statement in the transaction."""
        return self.connection.execute(statement, parameters)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Enclose one step that may fail by itself: an exception undoes the step, not the unit."""
        with self.connection.begin_nested():
            yield


def wall_clock() -> int:
    """Return the time now, in microseconds."""
    return time.time_ns() // 1000


def moment_after(last_write_at: int) -> int:
    """Return the time now as a reader of a tenant takes it: never before the tenant's last write.

    So a clock that was set back cannot bring back what a write has ended (P1).

    :raises ClockAbsurd: when the wall clock is more than five minutes behind the last write.
    """
    now = wall_clock()
    if last_write_at > now + CLOCK_SLACK:
        raise ClockAbsurd("the clock of this machine is more than 5 minutes behind the last write")
    return now if now > last_write_at else last_write_at


def new_id() -> str:
    """Return a new identifier: unguessable, unique over the whole installation, never reused."""
    return secrets.token_hex(16)


class Store:
    """Gives out units of work on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(writing=True)

    @contextmanager
    def writing(self, tenant_id: str, *, actor: str, txn: str | None = None) -> Iterator[Unit]:
        """Open a unit of work that writes; commit at the end, roll back on any exception.

        The writes of one tenant follow one another: the unit holds the tenant's row until it ends.

        :raises TenantUnknown: when there is no such tenant.
        :raises ClockAbsurd: when the wall clock is more than five minutes behind the tenant's last write.
        """
        with self._writing.begin() as connection:
            yield _begun(connection, tenant_id, actor, txn)

    @contextmanager
    def writing_each(
        self, tenant_ids: Iterable[str], *, actor: str
    ) -> Iterator[tuple[Connection, list[Unit]]]:
        """Open one transaction with a unit of work for each of some tenants, in the order of their ids.

        It holds the row of each until it ends. That order keeps two such transactions from waiting for each
        other.

        :raises TenantUnknown: when there is no such tenant.
        :raises ClockAbsurd: when the wall clock is more than five minutes behind a tenant's last write.
        """
        with self._writing.begin() as connection:
            yield connection, [_begun(connection, each, actor, None) for each in sorted(set(tenant_ids))]

    @contextmanager
    def rehearsing(self, tenant_id: str, *, actor: str) -> Iterator[Callable[[], Unit]]:
        """Open a transaction that is always rolled back, and yield what begins a unit of work in it.

        The units follow one another as those of :meth:`writing` do, each at a later moment that sees what the
        earlier ones did. Until the end nobody else writes to the tenant and, with SQLite, to the database.

        :raises TenantUnknown: from beginning a unit, when there is no such tenant.
        :raises ClockAbsurd: from it, when the wall clock is more than five minutes behind the last write.
        """
        with self._writing.connect() as connection:
            transaction = connection.begin()
            try:
                yield lambda: _begun(connection, tenant_id, actor, None)
            finally:
                transaction.rollback()

    @contextmanager
    def reading(self, tenant_id: str) -> Iterator[Unit]:
        """Open a unit of work that only reads, on one consistent snapshot.

        :raises TenantUnknown: when there is no such tenant.
        """
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                row = connection.execute(
                    sa.select(
                        tenant.c.last_write_at, tenant.c.recovery_window, tenant.c.unmatched_values
                    ).where(tenant.c.id == tenant_id)
                ).one_or_none()
                if row is None:
                    raise TenantUnknown(tenant_id)
                last_write_at, recovery_window, unmatched_values = row
                now = moment_after(last_write_at)
                yield Unit(
                    connection, tenant_id, now, recovery_window, unmatched_values, actor="reader", txn=""
                )


def _begun(connection: Connection, tenant_id: str, actor: str, txn: str | None) -> Unit:
    """Begin a unit that writes: take the tenant's row, and the next moment."""
    previous = connection.execute(
        sa.select(tenant.c.last_write_at).where(tenant.c.id == tenant_id).with_for_update()
    ).scalar_one_or_none()
    if previous is None:
        raise TenantUnknown(tenant_id)
    now, recovery_window, unmatched_values = connection.execute(
        sa.update(tenant)
        .where(tenant.c.id == tenant_id)
        .values(last_write_at=moment_after(previous + 1))
        .returning(tenant.c.last_write_at, tenant.c.recovery_window, tenant.c.unmatched_values)
    ).one()
    return Unit(connection, tenant_id, now, recovery_window, unmatched_values, actor, txn or new_id())
