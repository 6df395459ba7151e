"""Reads on the hottest path: statements compiled once and run on the driver itself, with a short patience.

The one place that goes past SQLAlchemy's execution. Measured with ``SELECT 1`` on SQLite, the machine
being busy: 6 µs here, 290 µs by a connection of SQLAlchemy's pool.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque, namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote, urlsplit

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert

from app.store.patience import PATIENCE, Impatient, StoreUnavailable, deadline
from app.store.wal_index import WalIndexHeader, wal_index_header

FILE_LOOKED_AT_EVERY: Final = 0.01
"""How often, in seconds, it is asked whether the file of the database is still the same one. A commit is seen
at once; a file that was put in the place of another one, as soon as this."""

_Result = TypeVar("_Result")


Statement = sa.Select[Any] | ReturningDelete[Any] | ReturningInsert[Any]
"""What returns rows; of those that write, a reader of PostgreSQL alone can run one."""


class Prepared:
    """A statement compiled once for one kind of database; its rows come as named tuples."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self.text: Final = str(compiled)
        self._constants: Final[dict[str, Any]] = {
            name: _in_driver_s_form(bind.type, bind.effective_value, dialect)
            for bind, name in compiled.bind_names.items()
            if bind.effective_value is not None
        }
        self._order: Final[list[str] | None] = compiled.positiontup
        columns = list(statement.exported_columns)
        self._columns: Final = len(columns)
        row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]
        self._row: Final = row._make
        processors = (column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns)
        self._processors: Final = [(place, each) for place, each in enumerate(processors) if each is not None]

    def bound(self, parameters: Mapping[str, Any]) -> Any:
        """Return parameters in the form that the driver takes."""
        values = {**self._constants, **parameters}
        return values if self._order is None else [values[name] for name in self._order]

    def row(self, wider: Sequence[Any]) -> Any:
        """Return the row that a row of another statement begins with, whose first columns are this one's."""
        return self._row(wider[: self._columns])

    def rows(self, fetched: list[tuple[Any, ...]]) -> list[Any]:
        """Return what the driver fetched as rows, with the types of the statement's columns."""
        rows = []
        for each in fetched:
            values = list(each)
            for place, process in self._processors:
                values[place] = process(values[place])
            rows.append(self._row(values))
        return rows


def _in_driver_s_form(type_: sa.types.TypeEngine[Any], value: Any, dialect: Dialect) -> Any:
    process = type_.dialect_impl(dialect).bind_processor(dialect)
    return value if process is None else process(value)


class PreparedReads(Protocol):
    """Reads one database, from any thread."""

    def prepare(self, statement: sa.Select[Any]) -> Prepared:
        """Compile a statement for this database."""

    def version(self) -> Hashable | None:
        """Return a value that every commit, by whomever, makes another one; None where nothing tells that.

        What was read, on any thread, after one got a value is current for as long as one gets the same again.

        :raises StoreUnavailable: when the database does not answer.
        """

    def is_current(self, version: Hashable | None) -> bool:
        """Say whether a version is still the newest; False also where that is not to be had in a moment."""

    def rows(self, prepared: Prepared, **parameters: Any) -> list[Any]:
        """Run a statement on a snapshot of its own, and return its rows.

        :raises StoreUnavailable: when the database does not answer.
        """


def prepared_reads(engine: Engine) -> PreparedReads:
    """Return what reads the database of an engine, over connections of its own."""
    return _Sqlite(engine) if engine.dialect.name == "sqlite" else _Postgresql(engine)


class _Outage:
    """Keeps threads from waiting, one after the other, for a database that does not answer.

    While it does not, one thread at a time finds out whether it does again; the others fail at once.
    """

    def __init__(self) -> None:
        self.lasts = False
        self._trial = threading.Lock()

    def attempt(self, read: Callable[..., _Result], *arguments: Any) -> _Result:
        if self.lasts:
            return self._try(read, *arguments)
        try:
            return read(*arguments)
        except StoreUnavailable:
            self.lasts = True
            raise

    def _try(self, read: Callable[..., _Result], *arguments: Any) -> _Result:
        if not self._trial.acquire(blocking=False):
            raise StoreUnavailable("the database does not answer")
        try:
            result = read(*arguments)
            self.lasts = False
        finally:
            self._trial.release()
        return result


@dataclass(slots=True)
class _Opened:
    """A thread's connection to a file. ``outages``: how many there had been when it was opened."""

    file: tuple[int, int]
    outages: int
    cursor: sqlite3.Cursor
    header: WalIndexHeader | None
    looked_at: float


class _OfThread(threading.local):
    opened: _Opened | None = None


class _Version(NamedTuple):
    """A version of a file that tells by its header which is the newest."""

    file: tuple[int, int]
    outages: int
    header: bytes


class _Sqlite:
    """Each thread has a connection, opened when it first reads and whenever the file became another one."""

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect
        (name,), options = engine.dialect.create_connect_args(engine.url)
        self._path: Final[str] = unquote(urlsplit(name).path) if options.get("uri") else name
        self._outage = _Outage()
        self._outages = 0
        self._thread = _OfThread()

    def prepare(self, statement: sa.Select[Any]) -> Prepared:
        return Prepared(statement, self._dialect)

    def version(self) -> Hashable | None:
        opened = self._thread.opened
        if opened is not None and opened.header is not None and self._is_seen(opened):
            header = opened.header.read()
            if header is not None:
                return _Version(opened.file, opened.outages, header)
        return self._outage.attempt(self._version)

    def is_current(self, version: Hashable | None) -> bool:
        opened = self._thread.opened
        return (
            opened is not None
            and opened.header is not None
            and isinstance(version, _Version)
            and version.file == opened.file
            and version.outages == opened.outages
            and self._is_seen(opened)
            and opened.header.is_still(version.header)
        )

    def rows(self, prepared: Prepared, **parameters: Any) -> list[Any]:
        fetched = self._outage.attempt(self._fetched, prepared.text, prepared.bound(parameters))
        return prepared.rows(fetched)

    def _is_seen(self, opened: _Opened) -> bool:
        """Say whether the file and the database behind a connection were seen well a moment ago."""
        return opened.outages == self._outages and time.monotonic() - opened.looked_at < FILE_LOOKED_AT_EVERY

    def _version(self) -> Hashable:
        opened = self._opened()
        try:
            version = opened.cursor.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.Error as error:
            raise self._failed(error) from error
        header = None if opened.header is None else opened.header.read()
        if header is None:
            # That number is this connection's own.
            return opened.cursor, version
        return _Version(opened.file, opened.outages, header)

    def _fetched(self, text: str, parameters: Any) -> list[tuple[Any, ...]]:
        opened = self._opened()
        try:
            return opened.cursor.execute(text, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _opened(self) -> _Opened:
        """Return the thread's connection, to the file that is there now."""
        try:
            found = os.stat(self._path)
            file = (found.st_dev, found.st_ino)
            opened = self._thread.opened
            outages = self._outages
            if opened is None or opened.file != file or opened.outages != outages:
                cursor = _sqlite_cursor(self._path)
                header = wal_index_header(self._path)
                opened = self._thread.opened = _Opened(file, outages, cursor, header, 0)
            opened.looked_at = time.monotonic()
        except (OSError, sqlite3.Error) as error:
            raise self._failed(error) from error
        return opened

    def _failed(self, error: Exception) -> StoreUnavailable:
        # What was kept until then is kept no longer, by any thread: nobody knows what was done to the file.
        self._outages += 1
        self._thread.opened = None
        return StoreUnavailable(f"the database does not answer: {type(error).__name__}")


def _sqlite_cursor(path: str) -> sqlite3.Cursor:
    # Not created where it is missing; each statement is a transaction of its own.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None
    )
    connection.execute("PRAGMA query_only=ON")
    # From the first read on, the connection keeps the write-ahead log open, and with it the index of the log.
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
    return connection.cursor()


class _Postgresql:
    """Idle connections, one of which each read takes; nothing in PostgreSQL tells of others' commits."""

    def __init__(self, engine: Engine) -> None:
        self._dialect = engine.dialect
        _, options = engine.dialect.create_connect_args(engine.url)
        # In whole seconds, and no less: so connections are opened beside the thread that waits for one.
        self._options: Final[dict[str, Any]] = {"connect_timeout": 2, **options}
        self._idle: deque[Impatient] = deque()
        self._openers = ThreadPoolExecutor(8, thread_name_prefix="opening connections")
        self._outage = _Outage()
        self._opening: Any = None

    def prepare(self, statement: sa.Select[Any]) -> Prepared:
        return Prepared(statement, self._dialect)

    def version(self) -> Hashable | None:
        return None

    def is_current(self, version: Hashable | None) -> bool:
        return False

    def rows(self, prepared: Prepared, **parameters: Any) -> list[Any]:
        return prepared.rows(self._outage.attempt(self._fetched, prepared.text, prepared.bound(parameters)))

    def _fetched(self, text: str, parameters: Any) -> list[tuple[Any, ...]]:
        until = deadline(PATIENCE)
        while True:
            connection = self._taken(until)
            connection.deadline = until
            try:
                fetched = connection.execute(text, parameters, prepare=True).fetchall()
            except psycopg.Error as error:
                connection.close()
                # A server that was restarted has ended the idle connections: the next one may do.
                if isinstance(error, psycopg.OperationalError) and time.monotonic() < until:
                    continue
                raise StoreUnavailable(f"the database does not answer: {type(error).__name__}") from error
            self._idle.append(connection)
            return fetched

    def _taken(self, until: float) -> Impatient:
        while True:
            with suppress(IndexError):
                return self._idle.pop()
            # While nothing answers, threads that come one by one wait for the same connection to be opened.
            opening = self._opening
            if opening is None or opening.done() or not self._outage.lasts:
                opening = self._opening = self._openers.submit(self._open)
            try:
                opening.result(max(0.0, until - time.monotonic()))
            except (TimeoutError, psycopg.Error) as error:
                raise StoreUnavailable(f"the database does not answer: {type(error).__name__}") from error

    def _open(self) -> None:
        connection = Impatient.connect(**self._options, autocommit=True)
        connection.deadline = time.monotonic() + 2
        # As the connections of the engine: its statements have the server's own placeholders.
        connection.cursor_factory = psycopg.RawCursor
        # What nobody waits for any more ends on the server too, also when it waits for a lock. All that is
        # looked up here has an index: a plan is made once, and not with each use, which takes longer than the
        # use; and one that was made when the tables were small does when they are large.
        connection.execute(
            f"SET statement_timeout = {round(PATIENCE * 1000)};"
            "SET plan_cache_mode = force_generic_plan;"
            "SET enable_seqscan = off"
        )
        self._idle.append(connection)
