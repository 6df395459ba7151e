"""A process of its own folds what the workers decided; without it, one of them does."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from app.gate.folding import INTERVAL
from tests.processes.conftest import LiveServer, bearer, on_the_same_folder
from tests.processes.directory_of_people import Holder, populate

PATIENCE = 60.0
TOKEN = "the-metrics-token-of-a-test-of-folding"


def populated(server: LiveServer) -> Holder:
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    return holder


def until(happened: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def ask(server: LiveServer, holder: Holder) -> str:
    """Ask about the holder's key; return the decision's id."""
    with server.gate() as gate:
        answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {holder.secret}"})
    assert answer.status_code == 200
    return str(answer.headers["X-Auth-Decision-Id"])


def recorded(server: LiveServer) -> list[str]:
    with server.operator() as operator:
        return [each["id"] for each in operator.get("/decisions").json()["Resources"]]


def oldest_unfolded(server: LiveServer) -> float:
    answer = httpx2.get(f"{server.root}/metrics", headers=bearer(TOKEN))
    (found,) = re.findall(r"^keysteward_spool_oldest_unfolded_seconds (\S+)", answer.text, re.MULTILINE)
    return float(found)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_it_folds_and_the_workers_need_not(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2", KEYSTEWARD_METRICS_TOKEN=TOKEN)
    holder = populated(server)
    (process,) = server.folding()
    # It stands still, but it is the one that folds: no worker does.
    process.suspend()
    decision = ask(server, holder)
    until(lambda: oldest_unfolded(server) > 3 * INTERVAL, "somebody folded")
    assert decision not in recorded(server)
    process.resume()
    until(lambda: decision in recorded(server), "nothing was folded")


def test_a_worker_folds_when_it_has_ended(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    holder = populated(server)
    before = ask(server, holder)
    server.folding()[0].kill()
    after = ask(server, holder)
    until(lambda: {before, after} <= set(recorded(server)), "no worker folded instead")


def test_a_spool_that_cannot_be_had_denies_and_does_not_keep_the_server_from_starting(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(start=False)
    Path(server.environment["KEYSTEWARD_DATA_DIR"], "spool").write_text("no folder")
    server.start()
    assert server.folding() == []
    holder = populated(server)
    with server.gate() as gate:
        answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {holder.secret}"})
    assert answer.headers["X-Auth-Reason"] == "store_unavailable"


def test_it_ends_with_those_that_serve(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    (process,) = server.folding()
    workers = server.workers()
    assert server.process is not None
    server.process.kill()
    server.process.join()
    # The workers may go on without the process that began them, and what they decide is folded.
    for each in workers:
        assert not ended(process)
        each.kill()
    until(lambda: ended(process), "it outlived the workers")


def test_it_ends_when_the_server_is_told_to_stop(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    (process,) = server.folding()
    assert server.process is not None
    server.process.terminate()
    server.process.join(PATIENCE)
    assert server.process.exitcode == 0
    assert ended(process)


def test_of_two_servers_on_one_folder_one_has_it(
    new_server: Callable[..., LiveServer], request: pytest.FixtureRequest
) -> None:
    first = new_server()
    holder = populated(first)
    second = on_the_same_folder(first)
    request.addfinalizer(second.stop)
    second.start()
    assert [len(each.folding()) for each in (first, second)] == [1, 0]
    decision = ask(second, holder)
    first.stop()
    until(lambda: decision in recorded(second), "the second server did not fold")
