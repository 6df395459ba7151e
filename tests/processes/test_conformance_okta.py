"""The Okta emulator on a live Keysteward: directory, grants and keys follow a company."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.company.company import Company
from conformance.okta.connector import Mode, OktaConnector
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
    findings = list(load_suite("okta").run(target, Options(employees=6, days=20)))
    assert counting_against(findings) == []
    assert len(findings) > 20
    assert target.clean_up() == []


def live_through(
    server: LiveServer, mode: Mode, employees: int, days: int, *, daily: bool = False
) -> OktaConnector:
    """Play a company's life in the okta dialect, and compare directory, grants and keys with its truth."""
    offer(server)
    company = Company(1, employees, "okta")
    connector = OktaConnector(connect(server, "okta"), company, mode)
    connector.enable()
    mapped = list(connector.truth.groups)
    map_teams(server, connector.truth)
    follows = keys_follow(server, lambda: rights_due(connector.truth, mapped, direct=True))
    assert counting_against(connector.live(days, each_day=follows if daily else None)) == []
    due = rights_due(connector.truth, mapped, direct=True)
    assert rights_held(server, due) == due
    follows(days)
    return connector


USUAL = {"okta-entitlement-discovery", "okta-entitlement-assign", "okta-directory-users"}


# An account that is gone is taken over after more than a month, and by a PUT in both modes.
@pytest.mark.parametrize(
    ("mode", "days", "tried"),
    [(Mode.CUSTOM, 40, {*USUAL, "okta-user-take-over"}), (Mode.CATALOGUE, 15, USUAL)],
)
def test_directory_grants_and_keys_follow_a_company(
    new_server: Callable[..., LiveServer], mode: Mode, days: int, tried: set[str]
) -> None:
    connector = live_through(new_server(), mode, 8, days, daily=True)
    assert tried <= {requirement.id for requirement in connector.journal.passed}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", Mode)
def test_a_year_of_500_people(new_server: Callable[..., LiveServer], mode: Mode) -> None:
    connector = live_through(new_server(), mode, 500, 365)
    assert len(connector.truth.users) > 500
