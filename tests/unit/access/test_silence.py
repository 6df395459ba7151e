"""What is usual for a connection is learned; what is silence follows from it."""

from __future__ import annotations

import itertools

import pytest

from app.access.connections import BrakeSettings, Connection
from app.access.silence import (
    CYCLES,
    FORGOTTEN_BY_HALF,
    LONGEST_CYCLE,
    PAUSE,
    PRESUMED_CYCLE,
    SHORTEST_SILENCE,
    silent_since,
    usual_cycle,
)

MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def connection(last_call_at: int | None, cycle: int | None, disabled_at: int | None = None) -> Connection:
    return Connection(
        "con_1", "t", "idp", "field", 0, disabled_at, BrakeSettings(10, 20, HOUR), last_call_at, cycle
    )


def test_what_is_usual_is_the_longest_pause_slowly_forgotten() -> None:
    weekend = usual_cycle(None, 60 * HOUR)
    assert weekend == 60 * HOUR
    week = weekend
    for _hour in range(5 * 24):
        week = usual_cycle(week, HOUR)
    assert week is not None
    assert 40 * HOUR < week < 60 * HOUR, "on Friday the last weekend is remembered"
    assert usual_cycle(2 * LONGEST_CYCLE, PAUSE) == pytest.approx(2 * LONGEST_CYCLE, rel=0.001)
    kept = LONGEST_CYCLE
    for _hour in range(FORGOTTEN_BY_HALF // HOUR):
        kept = usual_cycle(kept, HOUR) or 0
    assert kept == pytest.approx(LONGEST_CYCLE / 2, rel=0.001)
    assert usual_cycle(HOUR, PAUSE - 1) == HOUR


def test_an_outage_teaches_little_and_a_new_habit_is_learned() -> None:
    assert usual_cycle(40 * MINUTE, 30 * DAY) == CYCLES * 40 * MINUTE
    assert usual_cycle(6 * MINUTE, 45 * MINUTE) == 45 * MINUTE, "that was no silence"
    assert usual_cycle(None, 365 * DAY) == LONGEST_CYCLE
    cycle: int | None = 40 * MINUTE
    alarms = 0
    # Now it calls once a day.
    for day in itertools.count(1):
        alarms += silent_since(connection(0, cycle), DAY) is not None
        cycle = usual_cycle(cycle, DAY)
        if cycle == DAY:
            break
        assert day < 10
    assert alarms == 3
    assert silent_since(connection(0, cycle), DAY) is None


def test_silence_is_some_cycles_and_an_hour_at_least() -> None:
    last = 5 * DAY
    for cycle in (PAUSE, HOUR, DAY):
        silence = max(CYCLES * cycle, SHORTEST_SILENCE)
        assert silent_since(connection(last, cycle), last + silence) is None
        assert silent_since(connection(last, cycle), last + silence + 1) == last
    assert silent_since(connection(last, HOUR), last + 5 * HOUR, 6) is None
    assert silent_since(connection(last, None), last + CYCLES * PRESUMED_CYCLE + 1) == last


def test_the_disabled_and_the_unused_are_not_silent() -> None:
    assert silent_since(connection(0, HOUR, disabled_at=1), 30 * DAY) is None
    assert silent_since(connection(None, None), 30 * DAY) is None
