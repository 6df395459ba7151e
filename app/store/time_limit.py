"""A limit on how long a database may work on what a client asked for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_QUERY_CANCELED: Final = "57014"
_INSTRUCTIONS: Final = 5_000
"""How many instructions SQLite carries out before it looks at the clock again."""


class TookTooLong(Exception):
    """A statement was given up because it took longer than allowed."""


@contextmanager
def time_limit(connection: Connection, seconds: float) -> Iterator[None]:
    """Give up the statements of a block that take longer: all together on SQLite, each on PostgreSQL.

    On PostgreSQL the limit holds until the transaction ends; a statement that was given up aborts it.

    :raises TookTooLong: when a statement is given up.
    """
    sqlite: Any = None
    if connection.dialect.name == "postgresql":
        milliseconds = str(max(1, round(seconds * 1000)))
        connection.execute(sa.select(sa.func.set_config("statement_timeout", milliseconds, True)))
    else:
        sqlite = connection.connection.driver_connection
        deadline = time.monotonic() + seconds
        sqlite.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS)
    try:
        yield
    except sa.exc.OperationalError as error:
        if _was_given_up(error.orig):
            raise TookTooLong(f"a statement took longer than {seconds} seconds") from None
        raise
    finally:
        if sqlite is not None:
            sqlite.set_progress_handler(None, 0)


def _was_given_up(error: BaseException | None) -> bool:
    if isinstance(error, sqlite3.Error):
        return error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    return getattr(error, "sqlstate", None) == _QUERY_CANCELED
