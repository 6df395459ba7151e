"""The servers that are measured side by side: one process each, all under granian with the same settings."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app import FOLDING, create_app
from app.folding_process import folding_process
from app.gate.folding import INTERVAL, PAUSE
from app.worker import load
from benchmarks import peers
from benchmarks.scene import settings_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SETTLING: Final = PAUSE + INTERVAL + 0.2
"""In seconds: longer than what was decided waits to be folded."""

IDLE: Final = 0.05
"""The part of a processor that a server takes which has nothing to do."""


def empty(folder: Path) -> WSGIApplication:
    """Return a WSGI callable that does nothing."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    return answer


def empty_flask(folder: Path) -> WSGIApplication:
    """Return a Flask application with a view that does nothing."""
    flask = Flask("empty", static_folder=None)

    @flask.get("/gate/verify")
    def answer() -> str:
        return ""

    return flask


def door(folder: Path) -> WSGIApplication:
    """Return Keysteward as its workers run it: each decision is recorded and counted."""
    return load()


def view(folder: Path) -> WSGIApplication:
    """Return the same without the hot door: a view of Flask answers."""
    flask = create_app(settings_of(folder))
    flask.extensions[FOLDING].start()
    return flask


OURS: Final = ("door", "view")
"""Those whose decisions are folded."""

APPLICATIONS: Final[dict[str, Callable[[Path], WSGIApplication]]] = {
    "empty": empty,
    "empty_flask": empty_flask,
    "door": door,
    "view": view,
    **peers.APPLICATIONS,
}


class Server:
    """A running server of one of the applications."""

    def __init__(self, application: str, folder: Path, workers: int, threads: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: Final = int(probe.getsockname()[1])
        command = [sys.executable, "-m", "benchmarks.servers", application, str(folder)]
        self._process = subprocess.Popen([*command, str(self.port), str(workers), str(threads)])
        self._workers = workers

    def wait(self) -> None:
        """Wait until it answers; the first answer may take longer than all others.

        :raises TimeoutError: when it does not within a minute.
        """
        deadline = time.monotonic() + 60
        while (left := deadline - time.monotonic()) > 0:
            with suppress(OSError), closing(HTTPConnection("127.0.0.1", self.port, timeout=left)) as asking:
                asking.request("GET", "/gate/verify")
                asking.getresponse().read()
                return
            time.sleep(0.05)
        raise TimeoutError("a server did not come up")

    def processor_seconds(self) -> float:
        """Return how much time its processes have spent on processors."""
        ticks = 0
        for process in [self._process.pid, *_children(self._process.pid)]:
            with suppress(OSError):
                fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until it does nothing, or hardly anything: what it left for later is done.

        :raises TimeoutError: when it does not come to that within a minute.
        """
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            before = self.processor_seconds()
            time.sleep(SETTLING)
            if self.processor_seconds() - before <= IDLE * SETTLING:
                return
        raise TimeoutError("a server did not settle")

    def end(self) -> None:
        """Tell it to end."""
        self._process.terminate()

    def stop(self) -> None:
        """End it, and wait until it has ended."""
        self.end()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _children(process: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{process}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _serve(application: str, folder: Path, port: int, workers: int, threads: int) -> None:
    os.environ["KEYSTEWARD_DATA_DIR"] = str(folder)
    with folding_process(settings_of(folder)) if application in OURS else nullcontext():
        _run(application, folder, port, workers, threads)


def _run(application: str, folder: Path, port: int, workers: int, threads: int) -> None:
    Granian(
        "measured",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        websockets=False,
        log_level=LogLevels.error,
    ).serve(target_loader=lambda: APPLICATIONS[application](folder), wrap_loader=False)


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]), *(int(each) for each in sys.argv[3:6]))
