"""The unbroken times of a right: when it began, and which gap ended it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.rights.continuity import Interval, bridged


@dataclass(frozen=True, order=True)
class Stretch:
    """A time in which a right was there, with no gap but those that are bridged; ``until`` is exclusive."""

    since: int
    until: int


def stretches(intervals: Iterable[Interval], *, now: int) -> list[Stretch]:
    """Return the unbroken times of a right up to now, in order, bridged as ``continuity`` bridges them."""
    found: list[Stretch] = []
    held_until = 0
    for interval in sorted(intervals):
        if interval.until <= interval.since or interval.since > now:
            continue
        if not found or not bridged(found[-1].until, held_until, interval):
            found.append(Stretch(interval.since, interval.until))
            held_until = interval.held_until
        elif interval.until > found[-1].until:
            found[-1] = Stretch(found[-1].since, interval.until)
            held_until = interval.held_until
    return found
