"""The database engine: one URL in, a configured SQLAlchemy engine out."""

from __future__ import annotations

import sqlite3
import time
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from app.store.patience import deadline, heed_patience

_PATIENCE: Final = 30
"""For how many seconds a connection to SQLite waits for others' locks, where nothing says less."""


def create_engine(database_url: str) -> Engine:
    """Return an engine for a SQLite or PostgreSQL URL, set up so that a commit means "on disk".

    SQLite runs in WAL mode with ``synchronous=FULL``; transactions begin where SQLAlchemy says so, and a
    writing one takes the write lock at its start. ``postgresql://`` URLs use psycopg 3. Errors do not repeat
    the parameters of their statements, which may be personal or secret. Within a block of ``patience`` its
    connections wait no longer than that says.

    :raises sqlalchemy.exc.ArgumentError: when the URL is malformed or names another database.
    """
    url = make_url(database_url)
    backend = url.get_backend_name()
    if backend == "postgresql":
        # With the server's own placeholders, of which the driver need not make others: it would do so anew
        # each time in a text of more than 4,096 bytes, which took a seventh of what a SCIM request takes.
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            paramstyle="numeric_dollar",
            connect_args={"cursor_factory": psycopg.RawCursor},
            pool_size=16,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        heed_patience(engine)
        return engine
    if backend != "sqlite":
        raise sa.exc.ArgumentError(f"unsupported database {backend!r}: use sqlite:/// or postgresql://")
    engine = sa.create_engine(
        url, connect_args={"timeout": _PATIENCE}, pool_size=32, max_overflow=32, hide_parameters=True
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    heed_patience(engine)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # sqlite3 would otherwise begin transactions by its own rules, too late for BEGIN IMMEDIATE.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")
    until = deadline(_PATIENCE)
    connection.execute(f"PRAGMA busy_timeout={max(0, round((until - time.monotonic()) * 1000))}")
    _use_write_ahead_log(connection, until)
    connection.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000}")


def _use_write_ahead_log(connection: sqlite3.Connection, until: float) -> None:
    # Of several connections that switch a new database over at the same time, one succeeds; SQLite refuses
    # the others as "locked" at once, whatever their timeout.
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)


def _begin_sqlite(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
