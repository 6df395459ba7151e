"""P5 with real processes: a store that was killed or stands still lets nothing pass, and is found again."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import Holder, populate
from tests.processes.own_postgresql import OwnPostgresql, own_postgresql

ASKERS = 3
ENOUGH = 12
PATIENCE_SECONDS = 5.0
"""Many times the 200 ms in which a gateway is to hear of a store that does not answer."""


@dataclass(frozen=True)
class Seen:
    """One verification: when it was sent and when its answer was there; status 0 when none came in time."""

    started: float
    finished: float
    status: int
    reason: str | None


@dataclass
class Load:
    """Verifications without a pause, on several threads."""

    server: LiveServer
    holder: Holder
    seen: list[Seen] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        while not self.stopping.is_set():
            with self.server.gate() as gate:
                gate.timeout = httpx2.Timeout(PATIENCE_SECONDS)
                gate.headers["Authorization"] = f"Bearer {self.holder.secret}"
                while not self.stopping.is_set():
                    started = time.monotonic()
                    try:
                        answer = gate.get("/gate/verify")
                        said = answer.status_code, answer.headers.get("X-Auth-Reason")
                    except httpx2.TransportError:
                        said = 0, None
                    self.seen.append(Seen(started, time.monotonic(), *said))
                    if said[0] == 0:
                        break

    def wait_for(self, enough: Callable[[list[Seen]], bool]) -> list[Seen]:
        """Return what was seen since now, as soon as it is enough."""
        began, deadline = time.monotonic(), time.monotonic() + 90
        while time.monotonic() < deadline:
            since = [each for each in list(self.seen) if each.started >= began]
            if enough(since):
                return since
            self.stopping.wait(0.02)
        raise AssertionError(f"not seen in time: {since[-20:]}")


@pytest.fixture
def postgresql() -> Iterator[OwnPostgresql]:
    with own_postgresql() as own:
        yield own


@pytest.fixture
def load(new_server: Callable[..., LiveServer], postgresql: OwnPostgresql) -> Iterator[Load]:
    server = new_server(KEYSTEWARD_DATABASE_URL=postgresql.url)
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    put = Load(server, holder)
    threads = [threading.Thread(target=put.ask) for _ in range(ASKERS)]
    for each in threads:
        each.start()
    yield put
    postgresql.resume()
    put.stopping.set()
    for each in threads:
        each.join()


def enough(seen: list[Seen]) -> bool:
    return len(seen) >= ENOUGH


def some_allowed(seen: list[Seen]) -> bool:
    return any(each.status == 200 for each in seen)


def test_a_killed_store_lets_nothing_pass_and_comes_back(load: Load, postgresql: OwnPostgresql) -> None:
    load.wait_for(some_allowed)
    postgresql.kill()
    down = load.wait_for(enough)
    assert {(each.status, each.reason) for each in down} == {(403, "store_unavailable")}
    assert max(each.finished - each.started for each in down) < PATIENCE_SECONDS
    postgresql.start()
    load.wait_for(some_allowed)


def test_a_store_that_stands_still_lets_nothing_pass_and_comes_back(
    load: Load, postgresql: OwnPostgresql
) -> None:
    load.wait_for(some_allowed)
    postgresql.pause()
    # Without an answer a gateway lets nothing pass either.
    still = load.wait_for(lambda seen: len(seen) >= ASKERS)
    assert {each.status for each in still} <= {0, 403}
    postgresql.resume()
    load.wait_for(some_allowed)


def test_a_store_that_stands_still_is_told_of_in_time(load: Load, postgresql: OwnPostgresql) -> None:
    load.wait_for(some_allowed)
    postgresql.pause()
    still = load.wait_for(enough)
    assert {(each.status, each.reason) for each in still} == {(403, "store_unavailable")}


def test_a_store_that_somebody_else_writes_to_without_end_still_answers(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    path = Path(server.environment["KEYSTEWARD_DATA_DIR"]) / "keysteward.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other, server.gate() as gate:
        other.execute("BEGIN EXCLUSIVE")
        gate.timeout = httpx2.Timeout(PATIENCE_SECONDS)
        answers = [gate.get("/gate/verify", headers={"Authorization": f"Bearer {holder.secret}"})]
        answers += [gate.get("/gate/verify", headers={"Authorization": "Bearer nonsense"})]
        assert [each.status_code for each in answers] == [200, 401]
