"""The Entra emulator: on a live Keysteward, and on a strict server whose deviations it must find."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from conformance.company.company import Company
from conformance.entra.connector import EntraConnector
from conformance.entra.job import DAY, GIVES_UP_AFTER, Escrow, Job, State
from conformance.entra.suite import CONFIGURATIONS
from conformance.exchange import open_target
from conformance.peers.scim2_server import make_application, serve
from conformance.suites import Options, load_suite
from tests.processes.conftest import LiveServer
from tests.processes.virtual_companies import (
    connect,
    counting_against,
    keys_follow,
    map_teams,
    offer,
    rights_due,
    rights_held,
)


def test_the_suite_passes_in_the_field_dialect(new_server: Callable[..., LiveServer]) -> None:
    target = connect(new_server(), "field")
    findings = list(load_suite("entra").run(target, Options(employees=6, days=35)))
    assert counting_against(findings) == []
    assert len(findings) > 30
    assert target.clean_up() == []


def live_through(
    server: LiveServer, letter: str, employees: int, days: int, *, daily: bool = False
) -> EntraConnector:
    """Play a company's life in the entra dialect, and compare directory, grants and keys with its truth."""
    offer(server)
    company = Company(3, employees, "entra")
    connector = EntraConnector(connect(server, "entra"), company, CONFIGURATIONS[letter])
    connector.enable()
    mapped = list(connector.truth.groups)
    map_teams(server, connector.truth)
    follows = keys_follow(server, lambda: rights_due(connector.truth, mapped, direct=False))
    assert counting_against(connector.live(days, each_day=follows if daily else None)) == []
    assert not connector.job.escrow
    due = rights_due(connector.truth, mapped, direct=False)
    assert rights_held(server, due) == due
    follows(days)
    return connector


USUAL = {"entra-burst", "entra-manager", "entra-directory-users"}


# What lies in the recycle bin is deleted after thirty days, in the same way whatever the configuration.
@pytest.mark.parametrize(
    ("letter", "days", "tried"),
    [("d", 33, {*USUAL, "entra-user-delete"}), ("f", 12, USUAL), ("c", 12, USUAL)],
    ids=CONFIGURATIONS,
)
def test_directory_grants_and_keys_follow(
    new_server: Callable[..., LiveServer], letter: str, days: int, tried: set[str]
) -> None:
    connector = live_through(new_server(), letter, 8, days, daily=True)
    assert tried <= {requirement.id for requirement in connector.journal.passed}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("letter", CONFIGURATIONS)
def test_a_year_of_500_people(new_server: Callable[..., LiveServer], letter: str) -> None:
    connector = live_through(new_server(), letter, 500, 365)
    assert len(connector.truth.users) > 400


def test_the_deviations_of_entra_are_found_on_a_strict_server() -> None:
    with serve(make_application("token"), 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        target = open_target(f"http://127.0.0.1:{server.server_port}/v2", "token")
        findings = list(load_suite("entra").run(target, Options(employees=6, days=35)))
        server.shutdown()
    failed = {each.requirement.id for each in findings if each.counts_against}
    assert failed >= {
        "entra-user-create",
        "entra-user-filtered-path",
        "entra-manager",
        "entra-harness-manager",
        "entra-members-remove",
        "entra-group-create",
        "entra-roles-complex",
    }
    # The burst only sums up: each of its steps that failed is a finding of its own.
    shown = [each for each in findings if each.counts_against and each.requirement.id != "entra-burst"]
    assert all(each.exchanges for each in shown)
    passed = {each.requirement.id for each in findings if str(each.outcome) == "passed"}
    assert {"entra-test-connection", "entra-members-remove-flag", "entra-user-disable-flag"} <= passed


def test_what_failed_is_tried_after_6_12_and_24_hours_and_then_daily() -> None:
    escrow = Escrow(since=0)
    tried = []
    for hour in range(GIVES_UP_AFTER + 2):
        if escrow.due(hour) and not escrow.lost(hour):
            tried.append(hour)
            escrow.tries += 1
    assert tried[:5] == [6, 18, 42, 66, 90]
    assert tried[-1] <= GIVES_UP_AFTER < tried[-1] + DAY
    assert escrow.lost(GIVES_UP_AFTER + 1)


def test_too_many_deletions_hold_one_cycle_until_they_are_allowed() -> None:
    job = Job(deletion_threshold=3)
    assert not job.holds(3)
    assert job.holds(4)
    assert not job.cycle_due(1)
    job.allow()
    assert job.cycle_due(1)
    assert not job.holds(4)
    assert job.holds(4)


def test_a_job_that_mostly_fails_slows_down_and_ends_after_four_weeks() -> None:
    job = Job(deletion_threshold=3)
    job.judge(tried=10_000, failed=4_000, now=0)
    assert job.state is State.RUNNING
    job.judge(tried=10_000, failed=4_001, now=0)
    assert job.state is State.RUNNING  # Below 5,000 failures it is left running.
    job.judge(tried=10_000, failed=5_000, now=0)
    assert job.state is State.QUARANTINED
    assert not job.cycle_due(DAY - 1)
    assert job.cycle_due(DAY)
    job.judge(tried=10, failed=0, now=DAY)
    assert job.state is State.RUNNING
    job.quarantine(0)
    assert not job.cycle_due(GIVES_UP_AFTER + DAY)
    assert job.state is State.DISABLED
