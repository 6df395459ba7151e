"""Windows of time: on some days of the week, from one time of day until another, by the clock of a place."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from app.rights.conditions.invalid import ConditionInvalid

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_FORM: Final = re.compile(r"(\S+)\s+([0-2]\d):([0-5]\d)-([0-2]\d):([0-5]\d)\s+(\S+)", re.ASCII)
_WHOLE_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` (inclusive) until ``end`` (exclusive), in minutes of the day, on some days (Monday: 0).

    What counts is what the clocks of the zone show. An ``end`` that is not after ``start`` is on the next
    day; the day is the one on which the window begins. A time that clocks skip in spring is in no window, and
    one that they show twice in autumn is in the window both times.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo

    def contains(self, moment: int) -> bool:
        """Return whether a moment, in microseconds since 1970, is in the window."""
        local = datetime.fromtimestamp(moment // 1_000_000, self.zone)
        minute, day = local.hour * 60 + local.minute, local.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (minute >= self.start and day in self.days) or (
            minute < self.end and (day - 1) % 7 in self.days
        )

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days))
        return f"{days} {_clock(self.start)}-{_clock(self.end)} {self.zone.key}"


def parse_window(text: str) -> Window:
    """Return the window that a text such as ``Mon-Fri 08:00-18:00 Europe/Berlin`` says.

    :raises ConditionInvalid: when it says none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ConditionInvalid(f"{text[:60]!r} is no window: write Mon-Fri 08:00-18:00 Europe/Berlin")
    start, end = int(found[2]) * 60 + int(found[3]), int(found[4]) * 60 + int(found[5])
    if start >= _WHOLE_DAY or end > _WHOLE_DAY:
        raise ConditionInvalid(f"{text[:60]!r} is no window: a day goes from 00:00 to 24:00")
    if start == end:
        raise ConditionInvalid(f"{text[:60]!r} has no length: write 00:00-24:00 for whole days")
    return Window(_days(found[1]), start, end or _WHOLE_DAY, parse_zone(found[6]))


def parse_zone(name: str) -> ZoneInfo:
    """Return the time zone of a name of the IANA database.

    :raises ConditionInvalid: when there is none of this name.
    """
    if name not in _zones():
        near = difflib.get_close_matches(name[:60], _zones(), n=1)
        meant = f"did you mean {near[0]}?" if near else "write Europe/Berlin or UTC"
        raise ConditionInvalid(f"{name[:60]!r} is no time zone: {meant}")
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            raise ConditionInvalid(f"{part[:60]!r} is no day of the week: write Mon-Fri or Sat,Sun")
        begin = DAYS.index(first)
        days.update((begin + each) % 7 for each in range((DAYS.index(last or first) - begin) % 7 + 1))
    return frozenset(days)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
