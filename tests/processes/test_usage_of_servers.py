"""What clients of real servers saw is what is counted, whatever happens to the servers' processes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes.conftest import LiveServer, bearer
from tests.processes.directory_of_people import Holder, populate

TOKEN = "t" * 32


class Caller(threading.Thread):
    """Uses keys one after another, and keeps the decisions that it was told."""

    def __init__(self, server: LiveServer, holders: list[Holder]) -> None:
        super().__init__()
        self.server = server
        self.holders = holders
        self.seen: dict[str, tuple[str, str]] = {}
        self.enough = threading.Event()
        self.stopping = threading.Event()

    def run(self) -> None:
        with self.server.gate() as gate:
            while not self.stopping.is_set():
                for number, holder in enumerate(self.holders):
                    scope = "orders.read" if number % 2 else "orders.write"
                    try:
                        answer = gate.get(
                            f"/gate/verify?scope={scope}",
                            headers=bearer(holder.secret),
                        )
                    except httpx2.TransportError:
                        continue
                    outcome = "allow" if answer.status_code == 200 else answer.headers["X-Auth-Reason"]
                    self.seen[answer.headers["X-Auth-Decision-Id"]] = (holder.key_id, outcome)
                    if len(self.seen) >= 100:
                        self.enough.set()


def metrics(server: LiveServer) -> dict[tuple[str, tuple[str, ...]], float]:
    answer = httpx2.get(f"{server.root}/metrics", headers=bearer(TOKEN), timeout=60)
    assert answer.status_code == 200
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def wait_until_folded(server: LiveServer) -> None:
    deadline = time.monotonic() + 60
    while metrics(server)["keysteward_spool_unfolded_bytes", ()] > 0:
        assert time.monotonic() < deadline, "nothing is folded"
        time.sleep(0.05)


def all_decisions(server: LiveServer) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with server.operator() as operator:
        place: dict[str, str] = {}
        while True:
            page = operator.get("/decisions", params={"limit": "1000", **place}).json()
            found += page["Resources"]
            if page["after"] is None:
                return found
            place = {"after": page["after"]}


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_counts_are_what_clients_saw(
    database: str, request: pytest.FixtureRequest, new_server: Callable[..., LiveServer]
) -> None:
    settings = {"KEYSTEWARD_METRICS_TOKEN": TOKEN}
    if database == "postgresql":
        settings["KEYSTEWARD_DATABASE_URL"] = request.getfixturevalue("postgresql_url")
    first = new_server(KEYSTEWARD_WORKERS="2", **settings)
    servers = [first]
    with first.scim() as scim, first.operator() as operator:
        holders = populate(scim, operator, 4)
    callers = [Caller(first, holders) for _ in range(2)]
    if database == "postgresql":
        second = new_server(beside=first, **settings)
        servers.append(second)
        callers.append(Caller(second, holders))
    for caller in callers:
        caller.start()
    for caller in callers:
        assert caller.enough.wait(60)
        caller.enough.clear()
    first.workers()[0].kill()
    first.folding()[0].kill()
    for caller in callers[:2]:
        caller.stopping.set()
        caller.join()
    first.kill()
    for caller in callers[2:]:
        caller.stopping.set()
        caller.join()
    first.start()
    for server in servers:
        wait_until_folded(server)
    seen = {decision: what for caller in callers for decision, what in caller.seen.items()}
    decisions = all_decisions(first)
    recorded = {
        each["id"]: (each["key"], "allow" if each["outcome"] == "allow" else each["reason"])
        for each in decisions
    }
    assert len(recorded) == len(decisions)
    assert {each: recorded[each] for each in seen} == seen
    # What was decided when a process was killed may not have been answered.
    assert len(recorded) - len(seen) <= 2 * 2
    outcomes = Counter(recorded.values())
    with first.operator() as operator:
        for holder in holders:
            usage = operator.get(f"/keys/{holder.key_id}/usage").json()
            counted = {
                each["outcome"].replace("allowed", "allow"): each["uses"]
                for each in usage["days"]
                if each["entitlement"] is None
            }
            assert counted == {
                outcome: number for (key_id, outcome), number in outcomes.items() if key_id == holder.key_id
            }
            assert usage["allowed"] == counted.get("allow", 0)
    measured = [metrics(server) for server in servers]
    for outcome in ("allow", "scope_missing"):
        labels = ("verify", *(("allow", "") if outcome == "allow" else ("deny", outcome)))
        assert sum(each.get(("keysteward_decisions_total", labels), 0) for each in measured) == sum(
            number for (_, told), number in outcomes.items() if told == outcome
        )
