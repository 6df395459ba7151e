"""Whether a right has held without too long a gap since a key was issued.

A key counts for a right only while the right has been there continuously since the key's issue. Continuity
is judged on the right, not on the path that carries it: moving from one group to another that carries the
same right breaks nothing. A gap is bridged when it is shorter than the tolerance recorded on what ended
it; so a later change of settings never revives what is dead (P8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    """A time in which one path carried a right: from ``since`` (inclusive) until ``until`` (exclusive)."""

    since: int
    until: int
    tolerance: int


@dataclass(frozen=True)
class Held:
    """The right holds now, and has since the issue."""


@dataclass(frozen=True)
class Dormant:
    """The right does not hold now, but may come back in time. ``since``: when it went."""

    since: int


@dataclass(frozen=True)
class Lapsed:
    """The right was away for too long, or was not there at the issue: the key never counts for it again."""


Continuity = Held | Dormant | Lapsed


def continuity(
    intervals: Iterable[Interval], *, issued_at: int, now: int, recovery_window: int
) -> Continuity:
    """Judge a right from the times in which any path carried it.

    :param recovery_window: the tenant's setting now; it judges only a gap that has not ended yet.
    """
    covered: int | None = None
    for interval in sorted(intervals):
        if interval.until <= interval.since or interval.until <= issued_at or interval.since > now:
            continue
        if covered is None:
            if interval.since > issued_at:
                return Lapsed()
            covered = interval.until
        elif interval.since <= covered or interval.since - covered < interval.tolerance:
            covered = max(covered, interval.until)
        else:
            return Lapsed()
    if covered is None:
        return Lapsed()
    if covered > now:
        return Held()
    return Dormant(covered) if now - covered < recovery_window else Lapsed()
