"""A server of the tour's own: a folder that goes away, a free port, the real ``keysteward serve``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx2

from app.cli.failures import Unable
from app.cli.tour_faces import Credentials
from app.settings import PREFIX

KEYSTEWARD: Final = (sys.executable, "-m", "app.cli")
PATIENCE: Final = 60.0
"""How many seconds the server has to start, and to end."""


@contextmanager
def own_server() -> Iterator[Credentials]:
    """Set up and start a server; end it and remove all that it wrote, whatever happens meanwhile.

    :raises Unable: when it cannot be set up, or does not become ready in time.
    """
    with tempfile.TemporaryDirectory(prefix="keysteward-tour-", ignore_cleanup_errors=True) as folder:
        port = _free_port()
        # Nothing of an installation's own settings: the tour must not touch its database or its peppers.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        environment |= {
            "KEYSTEWARD_DATA_DIR": str(Path(folder, "data")),
            "KEYSTEWARD_HOST": "127.0.0.1",
            "KEYSTEWARD_PORT": str(port),
            "KEYSTEWARD_WORKERS": "2",
            "KEYSTEWARD_LOG_LEVEL": "warning",
        }
        printed = subprocess.run(  # noqa: S603, our own command
            [*KEYSTEWARD, "init", "--json"], env=environment, capture_output=True, timeout=PATIENCE
        )
        if printed.returncode:
            raise Unable(f"keysteward init failed: {_last_line(printed.stderr)}")
        with _serving(environment, Path(folder, "log"), f"http://127.0.0.1:{port}"):
            yield Credentials.parse(printed.stdout)


@contextmanager
def _serving(environment: Mapping[str, str], log: Path, root: str) -> Iterator[None]:
    with log.open("wb") as said:
        process = subprocess.Popen(  # noqa: S603, our own command
            [*KEYSTEWARD, "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            # A Ctrl-C is for the tour, which still has to clean up with the server's help.
            start_new_session=True,
        )
    try:
        _await(process, root, log)
        yield
    finally:
        _end(process)


def _await(process: subprocess.Popen[bytes], root: str, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    with httpx2.Client(base_url=root, trust_env=False) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Unable(f"keysteward serve ended: {_last_line(log.read_bytes())}")
            with suppress(httpx2.TransportError):
                if client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.05)
    raise Unable(f"keysteward serve was not ready in {PATIENCE:.0f} seconds")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server with its worker processes: by request and, when that is not heeded, by force."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_line(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
