"""A key counts for a right only while that has been there without too long a gap since the key's issue."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.rights.continuity import Continuity, Dormant, Held, Interval, Lapsed, continuity
from app.rights.stretches import Stretch, stretches

END = 30
"""How many seconds the simulated times are long."""


@pytest.mark.parametrize(
    ("intervals", "judged"),
    [
        pytest.param([(0, 99)], Held(), id="always there"),
        pytest.param([(5, 99)], Held(), id="there from the issue on"),
        pytest.param([(6, 99)], Lapsed(), id="there a second after the issue"),
        pytest.param([], Lapsed(), id="never there"),
        pytest.param([(0, 5)], Lapsed(), id="gone at the issue"),
        pytest.param([(0, 10), (10, 99)], Held(), id="moved from one path to another"),
        pytest.param([(0, 12), (10, 99)], Held(), id="two paths overlap"),
        pytest.param([(0, 10), (13, 99)], Held(), id="back in time"),
        pytest.param([(0, 10), (14, 99)], Lapsed(), id="back as the window closes"),
        pytest.param([(0, 10), (14, 99), (0, 99)], Held(), id="another path was there all the time"),
        pytest.param([(0, 17)], Dormant(17), id="away, and the window is open"),
        pytest.param([(0, 16)], Lapsed(), id="away, and the window has just closed"),
        pytest.param([(0, 10), (13, 15), (18, 99)], Held(), id="back in time, twice"),
        pytest.param([(0, 99), (21, 99)], Held(), id="a path that begins later than now"),
        pytest.param([(0, 20)], Dormant(20), id="goes at this very moment"),
    ],
)
def test_a_right_is_judged_by_its_gaps(intervals: list[tuple[int, int]], judged: Continuity) -> None:
    carried = [Interval(since, until, 4) for since, until in intervals]
    assert continuity(carried, issued_at=5, now=20, recovery_window=4) == judged


def test_a_gap_is_judged_by_the_window_of_its_end_not_by_that_of_now() -> None:
    back_under_a_short_window = [Interval(0, 10, 4), Interval(15, 99, 4)]
    assert continuity(back_under_a_short_window, issued_at=5, now=20, recovery_window=50) == Lapsed()
    back_under_a_long_window = [Interval(0, 10, 4), Interval(15, 99, 50)]
    assert continuity(back_under_a_long_window, issued_at=5, now=20, recovery_window=0) == Held()


def test_without_a_window_every_gap_is_too_long() -> None:
    assert continuity([Interval(0, 10, 0)], issued_at=5, now=10, recovery_window=0) == Lapsed()
    assert continuity([Interval(0, 10, 0), Interval(11, 99, 0)], issued_at=5, now=20, recovery_window=0) == (
        Lapsed()
    )
    assert (
        continuity([Interval(0, 10, 0), Interval(10, 99, 0)], issued_at=5, now=20, recovery_window=0)
        == Held()
    )


@pytest.mark.parametrize(
    ("intervals", "judged"),
    [
        pytest.param([(0, 10, 30)], Dormant(10, 30), id="away, and the brake holds"),
        pytest.param([(0, 10, 20)], Lapsed(), id="away, and the brake has just ended"),
        pytest.param([(0, 17, 18)], Dormant(17, 18), id="away, the brake ended, and the window is open"),
        pytest.param([(0, 10, 30), (15, 99, 0)], Held(), id="back while the brake holds"),
        pytest.param([(0, 10, 16), (15, 99, 0)], Held(), id="back while it held"),
        pytest.param([(0, 10, 15), (15, 99, 0)], Lapsed(), id="back as it ended"),
        pytest.param([(0, 8, 30), (0, 10, 0), (15, 99, 0)], Lapsed(), id="what went last is not held"),
        pytest.param(
            [(0, 9, 0), (0, 8, 30), (10, 11, 0), (16, 99, 0)], Lapsed(), id="a later gap is not held"
        ),
    ],
)
def test_a_gap_that_a_brake_holds_is_open_as_long_as_it_does(
    intervals: list[tuple[int, int, int]], judged: Continuity
) -> None:
    carried = [Interval(since, until, 4, held_until) for since, until, held_until in intervals]
    assert continuity(carried, issued_at=5, now=20, recovery_window=4) == judged
    assert (len(stretches(carried, now=20)) > 1) is (isinstance(judged, Lapsed) and len(intervals) > 1)


times = st.integers(0, END)
# Carriers that begin at one moment were written by one unit of work, under one recovery window.
windows = st.lists(st.integers(0, 8), min_size=END + 1, max_size=END + 1)
spans = st.lists(st.tuples(times, st.integers(0, END + 5)), max_size=6)


@given(spans=spans, windows=windows, issued_at=times, later=times, recovery_window=st.integers(0, 8))
@example(spans=[(0, 5), (7, 9)], windows=[2] * (END + 1), issued_at=1, later=7, recovery_window=2)
@example(spans=[(0, 5), (8, 35)], windows=[3] * (END + 1), issued_at=1, later=9, recovery_window=8)
def test_it_is_what_looking_at_every_second_finds(
    spans: list[tuple[int, int]], windows: list[int], issued_at: int, later: int, recovery_window: int
) -> None:
    now = min(issued_at + later, END)
    carried = [Interval(since, until, windows[since]) for since, until in spans]
    judged = continuity(carried, issued_at=issued_at, now=now, recovery_window=recovery_window)
    assert judged == second_by_second(spans, windows, issued_at, now, recovery_window)


def second_by_second(
    spans: list[tuple[int, int]], windows: list[int], issued_at: int, now: int, recovery_window: int
) -> Continuity:
    def there(second: int) -> bool:
        return any(since <= second < until for since, until in spans)

    if not there(issued_at):
        return Lapsed()
    went: int | None = None
    for second in range(issued_at, now + 1):
        if not there(second):
            went = second if went is None else went
        elif went is not None:
            if second - went >= windows[second]:
                return Lapsed()
            went = None
    if went is None:
        return Held()
    return Dormant(went) if now - went < recovery_window else Lapsed()


@given(spans=spans, windows=windows, now=times)
def test_the_stretches_are_the_seconds_that_are_there_and_the_gaps_that_are_bridged(
    spans: list[tuple[int, int]], windows: list[int], now: int
) -> None:
    found = stretches([Interval(since, until, windows[since]) for since, until in spans], now=now)
    begun = [(since, until) for since, until in spans if since <= now and since < until]
    for second in range(END + 6):
        if any(since <= second < until for since, until in begun):
            assert any(each.since <= second < each.until for each in found)
    for before, after in pairwise(found):
        assert after.since - before.until >= max(windows[after.since], 1)


def test_a_bridged_gap_does_not_end_a_stretch() -> None:
    carried = [Interval(0, 10, 4), Interval(13, 20, 4), Interval(24, 30, 4)]
    assert stretches(carried, now=29) == [Stretch(0, 20), Stretch(24, 30)]
