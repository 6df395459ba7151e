"""The HR emulator on a live Keysteward: directory, grants and keys follow each decision."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.company.company import Company
from conformance.hr.connector import HrConnector
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

LEAVING = {
    "hr-leave-patch-pathless",
    "hr-leave-patch-path",
    "hr-leave-patch-text",
    "hr-leave-put",
    "hr-leave-delete",
    "hr-leave-delete-groups",
    "hr-leave-end-date",
}
RETURNING = {
    "hr-return-patch-pathless",
    "hr-return-patch-text",
    "hr-return-put",
    "hr-return-end-date",
    "hr-return-after-delete",
}


def test_the_suite_passes_in_the_field_dialect(new_server: Callable[..., LiveServer]) -> None:
    target = connect(new_server(), "field")
    findings = list(load_suite("hr").run(target, Options(employees=6, days=12)))
    assert counting_against(findings) == []
    passed = {each.requirement.id for each in findings if str(each.outcome) == "passed"}
    assert passed >= LEAVING | RETURNING | {"hr-inbound-all", "hr-inbound-changed", "hr-directory-users"}
    assert target.clean_up() == []


def live_through(server: LiveServer, employees: int, days: int, *, daily: bool = False) -> HrConnector:
    """Play a company's life in the field dialect, and compare directory, grants and keys with its truth."""
    offer(server)
    connector = HrConnector(connect(server, "field"), Company(1, employees, "people"))
    connector.enable()
    mapped = list(connector.truth.groups)
    map_teams(server, connector.truth)
    follows = keys_follow(server, lambda: rights_due(connector.truth, mapped, direct=True))
    assert counting_against(connector.live(days, each_day=follows if daily else None)) == []
    due = rights_due(connector.truth, mapped, direct=True)
    assert rights_held(server, due) == due
    follows(connector.company.day)
    return connector


def test_directory_grants_and_keys_follow_every_day(new_server: Callable[..., LiveServer]) -> None:
    live_through(new_server(), 8, 30, daily=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_year_of_500_people(new_server: Callable[..., LiveServer]) -> None:
    connector = live_through(new_server(), 500, 365)
    assert len(connector.truth.users) > 400
