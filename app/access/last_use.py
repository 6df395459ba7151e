"""When a credential was last used: written now and then, and never at the expense of the request."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa

from app.access.credentials import Credential
from app.access.silence import note_call
from app.store.tables import credential
from app.store.unit_of_work import Store, wall_clock

log = logging.getLogger(__name__)

INTERVAL: Final = 60 * 1_000_000
"""How coarse the last use is, in microseconds."""


def use_is_due(used: Credential, now: int) -> bool:
    """Whether a use of a credential at a time is to be noted: the last one that was is a minute ago."""
    return use_is_due_at(used) <= now


def use_is_due_at(used: Credential) -> int:
    """From when on a use of a credential is to be noted."""
    return 0 if used.last_used_at is None else used.last_used_at + INTERVAL


def note_use(store: Store, used: Credential) -> None:
    """Write down that a credential was used now, unless that was done within the last minute.

    It gives way: where another write holds the lock, the next use is noted instead. It raises nothing.
    """
    now = wall_clock()
    if not use_is_due(used, now):
        return
    due = (
        sa.select(credential.c.id)
        .where(
            credential.c.id == used.id,
            sa.or_(credential.c.last_used_at.is_(None), credential.c.last_used_at <= now - INTERVAL),
        )
        .with_for_update(skip_locked=True)
    )
    statement = sa.update(credential).where(credential.c.id.in_(due)).values(last_used_at=now)

    def write(writing: sa.Connection) -> None:
        noted = writing.execute(statement).rowcount
        if noted and used.connection_id is not None:
            note_call(writing, used.connection_id, now)

    try:
        with store.engine.connect() as connection:
            _write_if_free(connection.execution_options(writing=True), write)
    except sa.exc.OperationalError as error:
        log.debug("a last use was not noted: %s", type(error.orig).__name__)
    except Exception:
        log.exception("a last use was not noted")


def _write_if_free(connection: sa.Connection, write: Callable[[sa.Connection], None]) -> None:
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        with connection.begin():
            write(connection)
        return
    # SQLite has one write lock: do not wait for it, as this connection otherwise would.
    (patience,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute("PRAGMA busy_timeout=0")
    try:
        with connection.begin():
            write(connection)
    finally:
        driver.execute(f"PRAGMA busy_timeout={int(patience)}")
