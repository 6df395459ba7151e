"""P1: a verification that starts after a SCIM answer was sent sees that change, in every worker process."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import httpx2
import pytest

from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import Holder, patch, populate

LEAVERS = 200
VERIFIERS = 3
NEIGHBOURHOOD = 4
"""Verifications aim at the keys next to the one that is being withdrawn, where a late answer would show."""

# What identity providers send to deactivate; see the Okta and Entra facts.
WITHDRAWALS: list[Callable[[httpx2.Client, str], httpx2.Response]] = [
    lambda scim, user: patch(scim, f"/Users/{user}", {"op": "replace", "value": {"active": False}}),
    lambda scim, user: patch(scim, f"/Users/{user}", {"op": "Replace", "path": "active", "value": "False"}),
    lambda scim, user: scim.delete(f"/Users/{user}"),
    lambda scim, user: patch(scim, f"/Users/{user}", {"op": "remove", "path": "entitlements"}),
]


def verify(
    root: str,
    gate_token: str,
    secrets: list[str],
    current: Synchronized[int],
    seed: int,
    results: Any,
) -> None:
    """Verify keys around the current one until told to stop; report (start, which key, status)."""
    chosen = random.Random(seed)
    seen: list[tuple[int, int, int]] = []
    with httpx2.Client(base_url=root, headers={"X-Gate-Authorization": f"Bearer {gate_token}"}) as gate:
        while (here := current.value) >= 0:
            which = min(max(here + chosen.randint(-NEIGHBOURHOOD, NEIGHBOURHOOD), 0), len(secrets) - 1)
            started = time.monotonic_ns()
            answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {secrets[which]}"})
            seen.append((started, which, answer.status_code))
    results.put(seen)


def withdraw_under_load(
    server: LiveServer, holders: list[Holder]
) -> tuple[list[int], list[tuple[int, int, int]]]:
    """Withdraw every holder's right while verifiers ask; return the times of the 2xx, and what they saw."""
    context = multiprocessing.get_context("spawn")
    current = context.Value("i", 0)
    results = context.Queue()
    verifiers = [
        context.Process(
            target=verify,
            args=(
                server.root,
                server.credentials["gate"]["token"],
                [holder.secret for holder in holders],
                current,
                seed,
                results,
            ),
        )
        for seed in range(VERIFIERS)
    ]
    for verifier in verifiers:
        verifier.start()
    answered = []
    with server.scim() as scim:
        for number, holder in enumerate(holders):
            current.value = number
            answer = WITHDRAWALS[number % len(WITHDRAWALS)](scim, holder.user_id)
            answered.append(time.monotonic_ns())
            assert answer.status_code in (200, 204), answer.text
    current.value = -1
    seen = [each for _ in verifiers for each in results.get(timeout=60)]
    for verifier in verifiers:
        verifier.join()
    return answered, seen


def judge(answered: list[int], seen: list[tuple[int, int, int]]) -> dict[str, Any]:
    after = [(start, which, status) for start, which, status in seen if start > answered[which]]
    return {
        "verifications": len(seen),
        "accepted before": len(
            {which for start, which, status in seen if start <= answered[which] and status == 200}
        ),
        "denied after": len({which for _, which, status in after if status == 401 or status == 403}),
        "late": [each for each in after if each[2] == 200],
        "odd": {status for _, _, status in seen} - {200, 401, 403},
    }


def test_no_verification_that_starts_after_the_answer_is_accepted(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    with server.scim() as scim, server.operator() as operator:
        holders = populate(scim, operator, LEAVERS)
    judged = judge(*withdraw_under_load(server, holders))
    print(judged)
    assert judged["late"] == []
    assert judged["odd"] == set()
    # The load was there: most keys were seen alive before, and most were asked about again afterwards.
    assert judged["accepted before"] > LEAVERS / 2
    assert judged["denied after"] > LEAVERS / 2


def test_the_same_with_postgresql(new_server: Callable[..., LiveServer], postgresql_url: str) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2", KEYSTEWARD_DATABASE_URL=postgresql_url)
    with server.scim() as scim, server.operator() as operator:
        holders = populate(scim, operator, 60)
    judged = judge(*withdraw_under_load(server, holders))
    print(judged)
    assert judged["late"] == []
    assert judged["odd"] == set()
    assert judged["accepted before"] > 30


def test_the_harness_sees_a_late_accept() -> None:
    judged = judge([100, 200], [(90, 0, 200), (150, 0, 200), (150, 1, 200), (250, 1, 401)])
    assert judged["late"] == [(150, 0, 200)]
    assert judged["denied after"] == 1


if __name__ == "__main__":
    pytest.main([__file__])
