"""What the deadline harness makes of recorded times, and what its page of documentation says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.deadline.__main__ import TOKENS, main
from conformance.deadline.asking import NO_ANSWER, Decision
from conformance.deadline.judging import Withdrawal, judge, spread
from conformance.deadline.routes import ROUTES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "deadline.md").read_text(encoding="utf-8")
MS = 1_000_000


def decision(started: int, number: int, status: int) -> Decision:
    return Decision(started, number, 0, status, started + 1)


def test_an_accept_is_late_when_it_started_after_the_answer() -> None:
    withdrawals = [Withdrawal(0, "put", 50, 100), Withdrawal(1, "delete", 150, 200)]
    late = decision(150, 0, 200)
    judged = judge(
        [decision(90, 0, 200), decision(100, 0, 200), late, decision(150, 1, 200), decision(190, 1, 401)],
        withdrawals,
    )
    assert judged.late == [(withdrawals[0], late)]
    first, second = judged.outcomes
    assert (first.first_deny, first.last_accept) == (None, 50)
    assert (second.first_deny, second.last_accept) == (-10, -50)
    assert judged.blind == []


@pytest.mark.parametrize("seen", [[], [decision(90, 0, 200)], [decision(110, 0, 403)]])
def test_a_key_that_was_not_asked_about_before_and_after_shows_nothing(seen: list[Decision]) -> None:
    withdrawal = Withdrawal(0, "put", 50, 100)
    assert judge(seen, [withdrawal]).blind == [withdrawal]


def test_what_is_no_decision_is_counted_and_judged_as_none() -> None:
    judged = judge([decision(110, 0, 500), decision(110, 0, NO_ANSWER)], [Withdrawal(0, "put", 50, 100)])
    assert judged.strange == {500: 1}
    assert judged.outcomes[0].first_deny is None
    assert judged.answers.total() == 2


def test_a_distribution_is_of_milliseconds() -> None:
    found = spread([*(each * MS for each in range(101)), None])
    assert found is not None
    assert (found.count, found.p50, found.p90, found.p99, found.largest) == (101, 50, 90, 99, 100)
    assert spread([None]) is None
    one = spread([-3 * MS])
    assert one is not None
    assert (one.p50, one.largest) == (-3, -3)


def test_every_option_and_route_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    offered = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert set(re.findall(r"`(--[a-z][a-z-]+)", DOCUMENT)) == offered
    assert all(f"`{each.name}`" in DOCUMENT for each in ROUTES)
    assert all(variable in DOCUMENT for variable in TOKENS.values())


def test_nothing_is_run_without_tokens(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in TOKENS.values():
        monkeypatch.delenv(variable, raising=False)
    assert main(["--url", "http://127.0.0.1:1"]) == 2
    assert "CONFORMANCE_TOKEN" in capsys.readouterr().err
