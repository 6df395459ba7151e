"""What tells that something was committed to SQLite, and how a database that does not answer is found out."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.store import prepared_reads as prepared
from app.store.engine import create_engine
from app.store.patience import StoreUnavailable
from app.store.prepared_reads import PreparedReads, prepared_reads

COUNT = sa.select(sa.func.count().label("number")).select_from(sa.table("thing"))
INSERT = "INSERT INTO thing VALUES (1)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "database.sqlite3"
    engine = create_engine(f"sqlite:///{made}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE thing (number INTEGER)")
    engine.dispose()
    return made


@pytest.fixture
def reads(path: Path) -> PreparedReads:
    return prepared_reads(create_engine(f"sqlite:///{path}"))


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file at every use."""
    monkeypatch.setattr(prepared, "FILE_LOOKED_AT_EVERY", 0)


def number(reads: PreparedReads) -> int:
    (row,) = reads.rows(reads.prepare(COUNT))
    return int(row.number)


def test_every_commit_by_whomever_changes_the_version(path: Path, reads: PreparedReads) -> None:
    seen = [reads.version()]
    assert reads.version() == seen[0]
    with create_engine(f"sqlite:///{path}").begin() as connection:
        connection.exec_driver_sql(INSERT)
    seen.append(reads.version())
    statement = f"import sqlite3; c = sqlite3.connect({str(path)!r}); c.execute({INSERT!r}); c.commit()"
    subprocess.run([sys.executable, "-c", statement], check=True)
    seen.append(reads.version())
    with sqlite3.connect(path) as other:
        for mode in ("PASSIVE", "TRUNCATE"):
            other.execute(f"PRAGMA wal_checkpoint({mode})")
            other.execute(INSERT)
            other.commit()
            seen.append(reads.version())
    assert len(set(seen)) == len(seen)
    assert number(reads) == 4


def test_what_is_not_committed_yet_changes_nothing(path: Path, reads: PreparedReads) -> None:
    before = reads.version()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute(INSERT)
    assert (reads.version(), number(reads)) == (before, 0)
    writer.execute("COMMIT")
    assert (reads.version() != before, number(reads)) == (True, 1)


def test_the_version_is_read_without_asking_sqlite(
    path: Path, reads: PreparedReads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared, "FILE_LOOKED_AT_EVERY", 3600)
    before = reads.version()
    monkeypatch.setattr(prepared._Sqlite, "_version", None)
    assert reads.version() == before
    with sqlite3.connect(path) as other:
        other.execute(INSERT)
    assert reads.version() != before


@pytest.fixture
def inattentive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the file once, for however long a test may take."""
    monkeypatch.setattr(prepared, "FILE_LOOKED_AT_EVERY", 10**6)


@pytest.mark.usefixtures("inattentive")
def test_a_version_is_current_until_the_next_commit(path: Path, reads: PreparedReads) -> None:
    version = reads.version()
    assert reads.is_current(version)
    assert number(reads) == 0
    assert reads.is_current(version)
    with sqlite3.connect(path) as other:
        other.execute(INSERT)
    assert not reads.is_current(version)
    assert reads.is_current(reads.version())
    assert not reads.is_current(None)


@pytest.mark.usefixtures("inattentive")
def test_a_version_of_another_file_is_not_current(path: Path, reads: PreparedReads) -> None:
    with closing(sqlite3.connect(path)) as kept:
        kept.execute("SELECT * FROM thing")
        version = reads.version()
        copies = [path.with_name(f"copy.sqlite3{suffix}") for suffix in ("", "-wal", "-shm")]
        for copy in copies:
            shutil.copy(path.with_name(copy.name.replace("copy.sqlite3", path.name)), copy)
        other = prepared_reads(create_engine(f"sqlite:///{copies[0]}"))
        other.version()
        assert not other.is_current(version)


@pytest.mark.usefixtures("inattentive")
def test_after_an_outage_that_another_thread_met_nothing_is_current(path: Path, reads: PreparedReads) -> None:
    version = reads.version()
    away = path.with_name("away")
    with ThreadPoolExecutor(1) as another:
        assert not another.submit(reads.is_current, version).result()
        path.rename(away)
        with pytest.raises(StoreUnavailable):
            another.submit(reads.version).result()
        away.rename(path)
    assert not reads.is_current(version)
    assert reads.version() != version
    assert not reads.is_current(version)


@pytest.mark.usefixtures("attentive")
def test_a_file_that_was_replaced_is_read(path: Path, reads: PreparedReads) -> None:
    before = reads.version()
    copy = path.with_name("restored.sqlite3")
    with closing(sqlite3.connect(path)) as origin, closing(sqlite3.connect(copy)) as restored:
        origin.backup(restored)
        restored.execute(INSERT)
        restored.commit()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.move(copy, path)
    assert reads.version() != before
    assert number(reads) == 1


@pytest.mark.usefixtures("attentive")
def test_a_file_that_is_gone_is_an_outage_until_it_is_back(path: Path, reads: PreparedReads) -> None:
    before = reads.version()
    away = path.with_name("away")
    path.rename(away)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            reads.version()
    assert not path.exists()
    away.rename(path)
    assert reads.version() != before
    assert number(reads) == 0


def test_a_locked_file_is_an_outage_until_it_is_free(path: Path, reads: PreparedReads) -> None:
    locking = sqlite3.connect(path, isolation_level=None)
    locking.execute("PRAGMA locking_mode=EXCLUSIVE")
    locking.execute("BEGIN EXCLUSIVE")
    locking.execute(INSERT)
    locking.execute("COMMIT")
    with pytest.raises(StoreUnavailable):
        reads.version()
    locking.close()
    reads.version()
    assert number(reads) == 1
