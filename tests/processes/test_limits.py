"""Rates and quotas over worker processes and nodes: of calls at once as many pass as the limits say."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.processes.conftest import LiveServer, answered
from tests.processes.directory_of_people import patch, populate

ASKERS = 12
ENOUGH = 144
"""Many more calls than the limits let pass."""

RATE, QUOTA = 40, 70
"""First the rate is used up, then, without it, what is left of the quota."""


def noon_zone() -> str:
    """Return a zone in which it is about noon, so that no day ends while the test runs."""
    ahead = 12 - datetime.now(UTC).hour
    # The signs of these names are those of POSIX: to the west is plus.
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


def said(nodes: Sequence[LiveServer], secret: str, count: int) -> tuple[Counter[str], set[str]]:
    """Ask many times at once, all nodes alike; return what was said, and by which processes."""

    def ask(asker: int) -> list[tuple[str, str]]:
        answers = []
        with nodes[asker % len(nodes)].gate() as gate:
            for _ in range(count // ASKERS):
                answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {secret}"})
                # A decision's id begins with what is its process's own.
                process = answer.headers["X-Auth-Decision-Id"][:20]
                answers.append((answer.headers.get("X-Auth-Reason", "allow"), process))
        return answers

    with ThreadPoolExecutor(ASKERS) as threads:
        found = [each for mine in threads.map(ask, range(ASKERS)) for each in mine]
    return Counter(word for word, _ in found), {process for _, process in found}


def kill_worker(server: LiveServer) -> None:
    """End one of a server's worker processes without a warning, and wait until another is there."""
    before = server.workers()
    before[0].kill()
    before[0].wait()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if answered(f"{server.root}/readyz") is not None and len(server.workers()) == len(before):
            return
        time.sleep(0.02)
    raise AssertionError("no worker came in the place of one that was killed")


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_as_many_calls_pass_as_the_limits_say(
    new_server: Callable[..., LiveServer], request: pytest.FixtureRequest, database: str
) -> None:
    if database == "sqlite":
        nodes = [new_server(KEYSTEWARD_WORKERS="3")]
    else:
        url: str = request.getfixturevalue("postgresql_url")
        first = new_server(KEYSTEWARD_DATABASE_URL=url, KEYSTEWARD_WORKERS="2")
        nodes = [first, new_server(beside=first)]
    passed: Counter[str] = Counter()
    with nodes[0].scim() as scim, nodes[0].operator() as operator:
        (holder,) = populate(scim, operator, 1)
        (entitlement,) = scim.get("/Entitlements").json()["Resources"]

        def limit(**conditions: str | None) -> None:
            changed = {"op": "replace", "value": {"conditions": conditions}}
            assert patch(scim, f"/Entitlements/{entitlement['id']}", changed).is_success

        def ask(count: int) -> tuple[Counter[str], set[str]]:
            words, processes = said(nodes, holder.secret, count)
            passed.update(words)
            return words, processes

        def as_many_as(most: int) -> bool:
            # Where the counters do not answer in time, what is denied may have been counted.
            return most - passed["store_unavailable"] <= passed["allow"] <= most

        quota = f"{QUOTA}/day {QUOTA + 1}/month {noon_zone()}"
        limit(rate=f"{RATE}/86400s", quota=quota)
        words, processes = ask(ENOUGH)
        while len(processes) <= len(nodes):
            # One process may have taken every connection: ask until another has a part in it.
            words, more = ask(ASKERS)
            processes |= more
        assert as_many_as(RATE), passed
        assert passed["rate_exceeded"] > 0

        limit(rate=None, quota=quota)
        words, _ = ask(ASKERS)
        assert as_many_as(RATE + ASKERS), words
        kill_worker(nodes[0])
        words, others = ask(ENOUGH)
        assert as_many_as(QUOTA), words
        assert words["quota_exceeded"] > 0
        while not others - processes:
            # What is denied takes nothing: ask until the new process has a part in it.
            words, more = ask(ASKERS)
            assert words.keys() <= {"quota_exceeded", "store_unavailable"}, words
            others |= more

        # The month has one more than the day, and what was denied took nothing of it.
        limit(rate=None, quota=quota.partition(" ")[2])
        words, _ = ask(ASKERS)
        assert as_many_as(QUOTA + 1), words
    print(passed)
    assert passed["store_unavailable"] < passed["allow"] / 2
    assert passed.keys() <= {"allow", "rate_exceeded", "quota_exceeded", "store_unavailable"}
