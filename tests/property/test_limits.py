"""Rates and quotas counted on generated moments as a plain reading of docs/conditions.md counts them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from app.gate.decision import Allow, Holding, Right
from app.gate.limits import CountedLimits
from app.store.limit_use import limit_uses
from app.store.moments import EPOCH
from app.store.unit_of_work import new_id

MICROSECOND: Final = timedelta(microseconds=1)
BERLIN: Final = ZoneInfo("Europe/Berlin")
BEGIN: Final = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
"""Half an hour before a day of 23 hours begins in Berlin, and three days before a month ends."""


@pytest.fixture(scope="session")
def limits(shared_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> CountedLimits:
    return CountedLimits(limit_uses(shared_engine, tmp_path_factory.mktemp("limits") / "limits.sqlite3"))


def allowed(**conditions: str) -> Allow:
    """Return a decision for a user whom nobody has seen, by a right with limits."""
    right = Right(new_id(), "orders", None, (), conditions, ())
    holding = Holding(
        *("key", "tenant", new_id(), "ada", 0, None, None, None, "secret", None, None, None),
        *(True, False, None, None, 0, (right,)),
    )
    return Allow(holding, (right,))


@dataclass
class Bucket:
    """A bucket of requests that fills by a fraction of one in each nanosecond.

    A clock that is behind counts as the one by which the last request passed.
    """

    requests: int
    seconds: int
    burst: int
    left: Fraction = Fraction(0)
    passed_at: datetime | None = None

    @property
    def between(self) -> int:
        """After how many nanoseconds there is one more: a whole number, so that there is never more."""
        return -(-self.seconds * 10**9 // self.requests)

    def held(self, now: datetime) -> Fraction:
        if self.passed_at is None:
            return Fraction(self.burst)
        waited = max(now - self.passed_at, timedelta(0)) // MICROSECOND * 1000
        return min(Fraction(self.burst), self.left + Fraction(waited, self.between))

    def take(self, now: datetime) -> datetime:
        self.left = self.held(now) - 1
        self.passed_at = now if self.passed_at is None else max(now, self.passed_at)
        return self.passed_at


@dataclass
class Calendar:
    """Requests on each day and in each month of Berlin; a clock that is behind counts as of the last day."""

    by_day: int
    by_month: int
    counted: Counter[str] = field(default_factory=Counter)
    passed_on: str = ""

    def names(self, now: datetime) -> tuple[str, str]:
        day = max(self.passed_on, f"{now.astimezone(BERLIN):%Y-%m-%d}")
        return day, day[:7]

    def left(self, now: datetime) -> int:
        day, month = self.names(now)
        return min(self.by_day - self.counted[day], self.by_month - self.counted[month])

    def take(self, now: datetime) -> None:
        self.counted.update(self.names(now))
        self.passed_on, _ = self.names(now)


gaps = st.one_of(
    st.just(0),
    st.integers(0, 3_000_000),
    st.integers(1, 60),
    st.sampled_from([999_999, 1_000_000, 1_000_001, 333_333, 333_334, 20_000_000]),
    # Of nodes whose clocks differ.
    st.integers(-2_000_000, -1),
).map(lambda each: each * MICROSECOND)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.integers(1, 7) | st.sampled_from([600_000, 999_999]),
    seconds=st.integers(1, 7),
    burst=st.integers(1, 5),
    waits=st.lists(gaps, min_size=1, max_size=25),
)
@example(requests=600_000, seconds=1, burst=3, waits=[each * MICROSECOND for each in (0, 0, 0, 5, 0, 0)])
def test_a_rate_is_a_bucket(
    limits: CountedLimits, requests: int, seconds: int, burst: int, waits: list[timedelta]
) -> None:
    decision = allowed(rate=f"{requests}/{seconds}s burst {burst}")
    bucket, now, passed = Bucket(requests, seconds, burst), BEGIN, []
    for each in waits:
        now += each
        said = limits.take(decision, (now - EPOCH) // MICROSECOND)
        assert isinstance(said, Allow) == (bucket.held(now) >= 1), (now, bucket)
        if isinstance(said, Allow):
            passed.append(bucket.take(now))
        (state,) = said.limits
        left = int(bucket.held(now))
        assert (state.quota, state.window, state.left) == (requests, seconds, left)
        # Told in whole seconds, never too early.
        missing = (1 - (bucket.held(now) - left)) * bucket.between
        assert 0 <= state.resets_in * 10**9 - missing < 10**9
    # In any stretch of time no more than the rate and the burst say, however they are counted.
    for place, first in enumerate(passed):
        for number, last in enumerate(passed[place:], 1):
            most = burst + Fraction((last - first) // MICROSECOND * requests, seconds * 10**6)
            assert number <= most


days = st.one_of(
    st.just(0),
    st.integers(0, 3 * 86_400),
    st.sampled_from([1799, 1800, 1801, 23 * 3600, 24 * 3600]),
    st.integers(-3600, -1),
    st.sampled_from([-1801, -1800, -1]),
).map(lambda each: timedelta(seconds=each))


@settings(max_examples=40, deadline=None)
@given(
    by_day=st.integers(1, 3),
    by_month=st.integers(1, 6),
    waits=st.lists(days, min_size=1, max_size=25),
)
def test_a_quota_is_a_count_for_each_day_and_month(
    limits: CountedLimits, by_day: int, by_month: int, waits: list[timedelta]
) -> None:
    decision = allowed(quota=f"{by_day}/day {by_month}/month Europe/Berlin")
    calendar, now = Calendar(by_day, by_month), BEGIN
    for each in waits:
        now += each
        left = calendar.left(now)
        said = limits.take(decision, (now - EPOCH) // MICROSECOND)
        assert isinstance(said, Allow) == (left > 0), (now, calendar)
        if isinstance(said, Allow):
            calendar.take(now)
        day, month = said.limits
        today, this_month = calendar.names(now)
        assert day.left == by_day - calendar.counted[today]
        assert month.left == by_month - calendar.counted[this_month]
        midnight = (now.astimezone(BERLIN) + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        assert day.resets_in == max(1, round((midnight.astimezone(UTC) - now).total_seconds()))
