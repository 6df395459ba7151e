"""Secrets that a test knows, and the search for them in everything that a server leaves behind."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from app.keys.decisions import unpacked
from app.store.engine import create_engine
from app.store.secrets import PATTERN
from tests.processes.conftest import LiveServer, http_client

HANDING_OUT = re.compile(
    r"POST /operator/v1/(keys/[^/]+/(claim|rotate|claim-link)|connections|connections/[^/]+/tokens)"
    r"|POST /oauth2/token|POST /claim"
)
"""The requests that are answered with a secret."""


@dataclass
class Planted:
    """The secrets that there are by now, and where one was found although it may not be there."""

    secrets: dict[str, str] = field(default_factory=dict)
    found: list[tuple[str, str]] = field(default_factory=list)

    def plant(self, name: str, text: str) -> str:
        self.secrets[text] = name
        return text

    def search(self, place: str, text: str | bytes) -> None:
        """Note every secret in a text, as it is, in hexadecimal or base64, or the secret part alone."""
        where = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        self.found += [
            (name, place)
            for secret, name in self.secrets.items()
            if any(each in where for each in _forms(secret))
        ]

    def hear(self, answer: httpx2.Response) -> None:
        """Search an answer, unless it is the one that hands a secret out."""
        answer.read()
        request = answer.request
        asked = f"{request.method} {request.url.path}"
        whole = "\n".join([answer.text, *(f"{name}: {value}" for name, value in answer.headers.items())])
        if answer.is_error or not HANDING_OUT.fullmatch(asked):
            self.search(f"{asked} → {answer.status_code}", whole)


def _forms(secret: str) -> Iterator[bytes]:
    whole = secret.encode()
    yield whole
    yield whole.hex().encode()
    yield base64.b64encode(whole).rstrip(b"=")
    if PATTERN.fullmatch(secret):
        # Its identifier is public; what follows it is not.
        yield secret[-49:].encode()


@contextmanager
def client(server: LiveServer, planted: Planted, headers: dict[str, str]) -> Iterator[httpx2.Client]:
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [planted.hear]}
    with http_client(base_url=server.root, headers=headers, event_hooks=hooks) as made:
        yield made


def processes_of(group: int) -> list[Path]:
    """Return the entries in /proc of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[2]) == group:
                found.append(entry)
    return found


def search_processes(server: LiveServer, planted: Planted) -> None:
    found = processes_of(server.pid)
    assert len(found) >= 3
    for entry in found:
        planted.search(f"{entry.name} cmdline", (entry / "cmdline").read_bytes())
        planted.search(f"{entry.name} environ", (entry / "environ").read_bytes())


def search_database(url: str, planted: Planted) -> int:
    """Search every column of every row, as text and as bytes; return how many values there were."""
    engine, searched = create_engine(url), 0
    with engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table}"').mappings():
                for column, value in row.items():
                    searched += 1
                    raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value)
                    planted.search(f"table {table}.{column}", raw)
                    if (table, column) == ("decision_batch", "records"):
                        planted.search(f"table {table}.{column}", unpacked(bytes(value)))
    engine.dispose()
    return searched


def search_files(folder: Path, planted: Planted, *, but: Iterable[str] = ()) -> None:
    for file in folder.rglob("*"):
        if file.is_file() and not any(name in str(file) for name in but):
            planted.search(f"file {file.name}", file.read_bytes())
