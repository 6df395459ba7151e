"""Limits on how often a right may be used: a rate, and quotas for days and months."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from app.rights.conditions.invalid import ConditionInvalid
from app.rights.conditions.windows import parse_zone

MOST_A_RATE: Final = 1_000_000
LONGEST_RATE: Final = 86_400
"""The longest time, in seconds, in which a rate counts; what is longer is a quota."""

LONGEST_FILL: Final = 31 * 86_400
"""The longest time, in seconds, that a bucket of a rate may take to fill."""

MOST_A_QUOTA: Final = 10**12

_RATE: Final = re.compile(r"(\d{1,7})/(\d{1,7})s(?: burst (\d{1,7}))?", re.ASCII)
_QUOTA: Final = re.compile(r"(?:(\d{1,13})/day )?(?:(\d{1,13})/month )?(\S+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds, evenly, and up to ``burst`` of them at once.

    A bucket of ``burst`` requests that fills steadily: whoever asks takes one out.
    """

    requests: int
    seconds: int
    burst: int

    @property
    def interval(self) -> int:
        """After how many nanoseconds one more request may come; rounded up, so that never more may."""
        return -(-self.seconds * 1_000_000_000 // self.requests)

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}s burst {self.burst}"


@dataclass(frozen=True, slots=True)
class Period:
    """A day or a month of a calendar: its number, how long it is, and when the next begins (microseconds)."""

    number: int
    seconds: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class Quota:
    """So many requests on a day, and in a month, of the calendar of a zone."""

    by_day: int | None
    by_month: int | None
    zone: ZoneInfo

    def day(self, moment: int) -> Period:
        """Return the day that a moment (microseconds) is in."""
        today = datetime.fromtimestamp(moment // 1_000_000, self.zone).date()
        return Period(today.toordinal(), 86_400, self._beginning(today + timedelta(days=1)))

    def month(self, moment: int) -> Period:
        """Return the month that a moment (microseconds) is in."""
        first = datetime.fromtimestamp(moment // 1_000_000, self.zone).date().replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
        seconds = (following - first).days * 86_400
        return Period(first.year * 12 + first.month, seconds, self._beginning(following))

    def _beginning(self, day: date) -> int:
        return int(datetime.combine(day, time.min, self.zone).timestamp()) * 1_000_000

    def __str__(self) -> str:
        day = "" if self.by_day is None else f"{self.by_day}/day "
        month = "" if self.by_month is None else f"{self.by_month}/month "
        return f"{day}{month}{self.zone.key}"


def parse_rate(text: str) -> Rate:
    """Return the rate that a text such as ``100/60s burst 20`` says; the burst is all of it unless said.

    :raises ConditionInvalid: when it says none.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ConditionInvalid(f"{text[:60]!r} is no rate: write 100/60s or 100/60s burst 20")
    requests, seconds = int(found[1]), int(found[2])
    burst = int(found[3] or requests)
    if not (1 <= requests <= MOST_A_RATE and 1 <= seconds <= LONGEST_RATE and 1 <= burst <= MOST_A_RATE):
        raise ConditionInvalid(
            f"{text[:60]!r} is out of range: 1 to {MOST_A_RATE} requests in 1 to {LONGEST_RATE} seconds, "
            f"and a burst of 1 to {MOST_A_RATE}"
        )
    if burst * seconds > LONGEST_FILL * requests:
        raise ConditionInvalid(f"{text[:60]!r} is out of range: its burst takes over 31 days to come back")
    return Rate(requests, seconds, burst)


def parse_quota(text: str) -> Quota:
    """Return the quota that a text such as ``1000/day 20000/month Europe/Berlin`` says.

    :raises ConditionInvalid: when it says none.
    """
    found = _QUOTA.fullmatch(text)
    numbers = [int(each) for each in (found.groups()[:2] if found else ()) if each is not None]
    if found is None or not numbers:
        raise ConditionInvalid(
            f"{text[:60]!r} is no quota: write 1000/day UTC or 1000/day 20000/month Europe/Berlin"
        )
    if not all(1 <= each <= MOST_A_QUOTA for each in numbers):
        raise ConditionInvalid(f"{text[:60]!r} is out of range: a quota is from 1 to {MOST_A_QUOTA}")
    by_day, by_month = (None if each is None else int(each) for each in found.groups()[:2])
    return Quota(by_day, by_month, parse_zone(found[3]))
