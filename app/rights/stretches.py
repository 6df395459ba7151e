"""The unbroken times of a right: when it began, and which gap ended it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.rights.continuity import Interval


@dataclass(frozen=True, order=True)
class Stretch:
    """A time in which a right was there, with no gap but those that are bridged; ``until`` is exclusive."""

    since: int
    until: int


def stretches(intervals: Iterable[Interval], *, now: int) -> list[Stretch]:
    """Return the unbroken times of a right up to now, in order, bridged as ``continuity`` bridges them."""
    found: list[Stretch] = []
    for interval in sorted(intervals):
        if interval.until <= interval.since or interval.since > now:
            continue
        gap = interval.since - found[-1].until if found else None
        if gap is not None and (gap <= 0 or gap < interval.tolerance):
            found[-1] = Stretch(found[-1].since, max(found[-1].until, interval.until))
        else:
            found.append(Stretch(interval.since, interval.until))
    return found
