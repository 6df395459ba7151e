"""A receipt agrees with what a load saw: real workers verify keys while they are withdrawn, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from app.store.secrets import parse
from conformance.deadline.asking import Decision
from conformance.deadline.judging import ACCEPTED, DENIED, judge
from conformance.deadline.routes import ROUTES, Holder, Route
from conformance.deadline.run import Options, Recorded, withdraw_under_load
from conformance.deadline.server import Server, open_server
from conformance.exchange import Answer
from tests.processes.conftest import LiveServer

STATES = {"delete": "revoked", "entitlement-deleted": "revoked", "revoked": "revoked"}
"""Where a key stands after a route, if it is not dormant."""

BY_OPERATOR = ("revoked", "rotated-at-once")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(moment: str) -> int:
    return (datetime.fromisoformat(moment) - _EPOCH) // timedelta(microseconds=1)


@dataclass
class Withdrawn:
    """A withdrawal as this end saw it: sent and answered when (microseconds), with every secret there was.

    ``clock``: what to add to the monotonic clock (nanoseconds) for the time of day, as it was then.
    """

    holder: Holder
    route: str
    secrets: list[str]
    sent: int
    answered: int
    answer: Answer
    clock: int

    def at(self, monotonic: int) -> int:
        return (monotonic + self.clock) // 1000


@dataclass
class Noting:
    """Walks the routes, and notes what the harness does not: the time of day, the answer, a second secret."""

    gate: httpx2.Client
    seen: dict[int, Withdrawn] = field(default_factory=dict)

    def walked(self, route: Route) -> Route:
        def withdraw(server: Server, holder: Holder) -> Answer:
            secrets = [holder.secret]
            if holder.number % 2 and route.name != "rotated-at-once":
                rotated = server.act(f"keys/{holder.key_id}/rotate", {"overlapSeconds": 3600})
                secrets.append(rotated.document["secret"])
                assert self.verified(secrets[1]) == ACCEPTED
            clock = time.time_ns() - time.monotonic_ns()
            sent = time.time_ns() // 1000
            answer = route.withdraw(server, holder)
            answered = time.time_ns() // 1000
            for secret in secrets:
                assert self.verified(secret) in DENIED, route.name
            self.seen[holder.number] = Withdrawn(holder, route.name, secrets, sent, answered, answer, clock)
            return answer

        return replace(route, withdraw=withdraw)

    def verified(self, secret: str) -> int:
        return self.gate.get("/gate/verify", headers={"Authorization": f"Bearer {secret}"}).status_code


@contextmanager
def under_load(server: LiveServer, *nodes: str, withdrawals: int) -> Iterator[tuple[Noting, Recorded]]:
    with server.gate() as gate:
        noting = Noting(gate)
        tokens = {name: server.credentials[name]["token"] for name in ("scim", "operator", "gate")}
        recorded = withdraw_under_load(
            open_server(server.root, tokens["scim"], tokens["operator"]),
            nodes or (server.root,),
            tokens["gate"],
            Options(2, withdrawals, tuple(noting.walked(each) for each in ROUTES), 1, "receipts"),
            lambda what, number: None,
        )
        assert len(noting.seen) == withdrawals
        yield noting, recorded


def entry(operator: httpx2.Client, told: dict[str, Any]) -> dict[str, Any]:
    """Return the event of the ledger that a receipt names."""
    after = told["ledger"]["sequence"] - 1
    (event,) = operator.get("events", params={"after": after, "limit": 1}).json()["Resources"]
    found: dict[str, Any] = event
    return found


def assert_agrees(operator: httpx2.Client, seen: Withdrawn, decisions: list[Decision]) -> None:
    told = operator.get(f"keys/{seen.holder.key_id}/receipt").json()
    secrets = {each["id"]: each for each in told["secrets"]}
    assert secrets.keys() >= {parse(each).id for each in seen.secrets}
    if seen.route == "rotated-at-once":
        assert (told["state"], told["cause"], told["ledger"]) == ("active", None, None)
        moment = microseconds(secrets[parse(seen.holder.secret).id]["endedAt"])
    else:
        assert told["state"] == STATES.get(seen.route, "dormant"), (seen.route, told)
        moment = microseconds(told["withdrawnAt"])
        ended = {each["endedAt"] for each in secrets.values()}
        assert ended == ({told["withdrawnAt"]} if told["state"] == "revoked" else {None}), told
        assert {each["deniedSince"] for each in secrets.values()} == {told["withdrawnAt"]}
        event = entry(operator, told)
        assert event["id"] == told["ledger"]["event"]
        assert event["txn"] == told["cause"]["txn"]
        assert event["time"] == told["ledger"]["time"] == told["withdrawnAt"]
        assert event["type"] == told["cause"]["event"]
        if seen.route not in BY_OPERATOR:
            assert event["txn"] == seen.answer.headers["Set-Txn"], seen.route
    # The same clock tells of both: the commit came between the request and its answer.
    assert seen.sent <= moment <= seen.answered, (seen.route, told)
    accepted = [each for each in decisions if each.status == ACCEPTED]
    denied = [each for each in decisions if each.status in DENIED]
    assert accepted
    assert denied
    assert max(seen.at(each.started) for each in accepted) <= seen.answered
    # Nobody was denied before it was withdrawn.
    assert min(seen.at(each.answered) for each in denied) >= moment


def assert_all_agree(server: LiveServer, *nodes: str, withdrawals: int) -> None:
    with (
        under_load(server, *nodes, withdrawals=withdrawals) as (noting, recorded),
        server.operator() as operator,
    ):
        assert judge(recorded.decisions, recorded.withdrawals).late == []
        for number, seen in noting.seen.items():
            assert_agrees(operator, seen, [each for each in recorded.decisions if each.number == number])


def test_receipts_agree_with_what_a_load_saw(new_server: Callable[..., LiveServer]) -> None:
    assert_all_agree(new_server(KEYSTEWARD_WORKERS="2"), withdrawals=2 * len(ROUTES))


@pytest.mark.slow
def test_receipts_agree_with_postgresql_on_two_nodes(
    new_server: Callable[..., LiveServer], postgresql_url: str
) -> None:
    first = new_server(KEYSTEWARD_DATABASE_URL=postgresql_url)
    second = new_server(beside=first)
    assert_all_agree(first, first.root, second.root, withdrawals=20 * len(ROUTES))
