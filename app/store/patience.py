"""A limit on how long somebody waits for a database, reaching it included, whatever became of it.

``app/store/time_limit.py`` lets the database give up, which one that stands still never does.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.store.time_limit import TookTooLong
from app.store.unit_of_work import StoreError

PATIENCE: Final = 0.12
"""For how many seconds a read waits for the database, reaching it included."""

ALTOGETHER: Final = 0.15
"""For how many seconds a question waits for the database that needs several reads, all of them together."""

_INTERVAL: Final = 0.1
_INSTRUCTIONS: Final = 5_000
_HURRIED: Final = "hurried"

_until: ContextVar[float | None] = ContextVar("until", default=None)


class StoreUnavailable(StoreError):
    """The database did not answer in time, or not at all."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait no longer for all that a block asks of a database; within another block, no longer than that one.

    :raises StoreUnavailable: when a database did not answer until then, or refused to.
    """
    token = _until.set(deadline(seconds))
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.TimeoutError, TookTooLong) as error:
        what = getattr(error, "orig", None) or error
        raise StoreUnavailable(f"the database does not answer: {type(what).__name__}") from error
    finally:
        _until.reset(token)


def deadline(seconds: float) -> float:
    """Return until when somebody waits who does so for some seconds, as ``monotonic`` counts."""
    until = time.monotonic() + seconds
    within = _until.get()
    return until if within is None else min(until, within)


class Impatient(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for its server until a deadline only, whatever became of the server.

    :ivar deadline: its own, as ``monotonic`` counts; None where that of a block is enough.
    """

    deadline: float | None = None

    def wait(self, gen: Any, interval: float = _INTERVAL, timeout: float | None = None) -> Any:
        ends = [each for each in (self.deadline, _until.get()) if each is not None]
        if not ends:
            return super().wait(gen, interval, timeout)
        remaining = max(0.0, min(ends) - time.monotonic())
        try:
            return super().wait(gen, interval, remaining if timeout is None else min(timeout, remaining))
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                # What comes after all would be taken for the answer to something else.
                self.pgconn.finish()
            raise


def heed_patience(engine: Engine) -> None:
    """Let the connections of an engine wait no longer than blocks of :func:`patience` say."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "checkout", _hurry)
        sa.event.listen(engine, "checkin", _take_time)
        return
    openers = ThreadPoolExecutor(8, thread_name_prefix="opening connections")

    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Impatient:
        until = _until.get()
        if until is None:
            return Impatient.connect(*arguments, **options)
        # To open one may take whole seconds and no less, so that is done beside the thread that waits for it.
        opening = openers.submit(Impatient.connect, *arguments, **{"connect_timeout": 2, **options})
        try:
            return opening.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            if not opening.cancel():
                opening.add_done_callback(_discard)
            raise psycopg.OperationalError("no connection was opened in time") from None

    sa.event.listen(engine, "do_connect", connect)


def _discard(opening: Future[Impatient]) -> None:
    if opening.exception() is None:
        opening.result().close()


def _hurry(connection: sqlite3.Connection, record: Any, _proxy: Any) -> None:
    until = _until.get()
    if until is not None:
        record.info[_HURRIED] = connection.execute("PRAGMA busy_timeout").fetchone()[0]
        _wait_for_locks(connection, max(0, round((until - time.monotonic()) * 1000)))
        connection.set_progress_handler(lambda: time.monotonic() > until, _INSTRUCTIONS)


def _take_time(connection: sqlite3.Connection | None, record: Any) -> None:
    usual = record.info.pop(_HURRIED, None)
    if usual is not None and connection is not None:
        _wait_for_locks(connection, usual)
        connection.set_progress_handler(None, 0)


def _wait_for_locks(connection: sqlite3.Connection, milliseconds: int) -> None:
    connection.execute(f"PRAGMA busy_timeout={milliseconds}")
