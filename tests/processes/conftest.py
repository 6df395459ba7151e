"""A real server: the ``keysteward`` command as its own process, with its worker processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from app import folding_process
from app.cli.first_start import as_json, found_default_tenant
from app.cli.installation import open_installation
from app.settings import Settings
from tests.processes.forked import serving


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def http_client(**settings: Any) -> httpx2.Client:
    """Return a client for plain HTTP: it loads no certificates, which would take longer than most answers."""
    return httpx2.Client(verify=False, **{"timeout": 60, **settings})


def answered(url: str) -> int | None:
    """Return the status that a server answers with; None when it does not answer."""
    with http_client() as client, contextlib.suppress(httpx2.TransportError):
        return client.get(url).status_code
    return None


def folding_of(server: int) -> list[psutil.Process]:
    """Return the processes of a server that do nothing but fold."""
    return [each for each, folds in _living(server).items() if folds]


def workers_of(server: int) -> list[psutil.Process]:
    """Return the worker processes of a server."""
    return [each for each, folds in _living(server).items() if not folds]


def _living(server: int) -> dict[psutil.Process, bool]:
    """Return the processes that a server began and that have not ended, each with whether it only folds."""
    found = {}
    for each in psutil.Process(server).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE:
                found[each] = each.name() == folding_process.NAME
    return found


@dataclass
class LiveServer:
    """A server under test: its environment, what ``keysteward init --json`` printed, and its process."""

    environment: dict[str, str]
    credentials: dict[str, Any]
    process: BaseProcess | None = field(default=None)

    @property
    def root(self) -> str:
        return self.environment["KEYSTEWARD_PUBLIC_URL"]

    @property
    def log(self) -> Path:
        """What it has printed."""
        return Path(self.environment["KEYSTEWARD_DATA_DIR"]) / "serve.log"

    def start(self, *, as_program: bool = False) -> None:
        self.process = serving(self.environment, self.log, as_program=as_program)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.exitcode is not None:
                raise AssertionError(f"the server ended: {self.log.read_text()}")
            if answered(f"{self.root}/readyz") == 200:
                return
            time.sleep(0.02)
        raise AssertionError("the server did not come up")

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    def workers(self) -> list[psutil.Process]:
        return workers_of(self.pid)

    def folding(self) -> list[psutil.Process]:
        return folding_of(self.pid)

    def kill(self) -> None:
        """End all of its processes as a power cut would."""
        assert self.process is not None
        born = psutil.Process(self.pid).children(recursive=True)
        os.killpg(self.pid, signal.SIGKILL)
        self.process.join()
        # Until then they have the port, and the lock of the spool.
        psutil.wait_procs(born, 20)

    def stop(self) -> None:
        if self.process is not None and self.process.exitcode is None:
            os.killpg(self.pid, signal.SIGTERM)
            self.process.join(20)
            if self.process.exitcode is None:
                self.kill()

    def scim(self) -> httpx2.Client:
        return self._client("scim")

    def operator(self) -> httpx2.Client:
        return self._client("operator")

    def gate(self) -> httpx2.Client:
        token = self.credentials["gate"]["token"]
        return http_client(base_url=self.root, headers={"X-Gate-Authorization": f"Bearer {token}"})

    def _client(self, face: str) -> httpx2.Client:
        credentials = self.credentials[face]
        return http_client(base_url=credentials["url"], headers=bearer(credentials["token"]))


def on_the_same_folder(first: LiveServer, **settings: str) -> LiveServer:
    """Return another server with the data folder of the first, not started yet."""
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    changed = {"KEYSTEWARD_PORT": str(port), "KEYSTEWARD_PUBLIC_URL": root, **settings}
    credentials = json.loads(json.dumps(first.credentials).replace(first.root, root))
    return LiveServer({**first.environment, **changed}, credentials)


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """Return what sets up a server, with settings of its own, and starts it unless told not to.

    ``beside`` makes it another node of an installation, on the same database.
    """
    servers: list[LiveServer] = []

    def make(*, start: bool = True, beside: LiveServer | None = None, **settings: str) -> LiveServer:
        port = free_port()
        folder = tmp_path / f"data{len(servers)}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")},
            "KEYSTEWARD_DATA_DIR": str(folder),
            "KEYSTEWARD_PORT": str(port),
            "KEYSTEWARD_PUBLIC_URL": f"http://127.0.0.1:{port}",
            **settings,
        }
        if beside is None:
            server = LiveServer(environment, _installed(environment))
        else:
            # Of what an installation has on its own disk, another node needs the peppers and nothing else.
            folder.mkdir(mode=0o700)
            shutil.copy(Path(beside.environment["KEYSTEWARD_DATA_DIR"]) / "peppers.json", folder)
            environment["KEYSTEWARD_DATABASE_URL"] = beside.environment["KEYSTEWARD_DATABASE_URL"]
            server = LiveServer(environment, beside.credentials)
        servers.append(server)
        if start:
            server.start()
        return server

    yield make
    for server in servers:
        server.stop()


def _installed(environment: dict[str, str]) -> dict[str, Any]:
    """Set an installation up as ``keysteward init --json`` does, and return what that prints."""
    settings = Settings.from_environment(environment)
    installation = open_installation(settings)
    try:
        tokens = found_default_tenant(installation)
    finally:
        installation.store.engine.dispose()
    assert tokens is not None
    return as_json(tokens, settings.root_url)
