"""Whether a right has held without too long a gap since a key was issued.

A key counts for a right only while the right has been there continuously since the key's issue. Continuity
is judged on the right, not on the path that carries it: moving from one group to another that carries the
same right breaks nothing. A gap is bridged when it is shorter than the tolerance recorded on what ended
it; so a later change of settings never revives what is dead (P8). A gap that a braked withdrawal began is
bridged as long as the brake holds, too, however long that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    """A time in which one path carried a right: from ``since`` (inclusive) until ``until`` (exclusive).

    ``held_until``: until when a brake holds open a gap that begins with its end; 0 where there is none.
    """

    since: int
    until: int
    tolerance: int
    held_until: int = 0


@dataclass(frozen=True)
class Held:
    """The right holds now, and has since the issue."""


@dataclass(frozen=True)
class Dormant:
    """The right does not hold now, but may come back in time. ``since``: when it went.

    ``held_until``: until when a brake lets it come back, besides the recovery window.
    """

    since: int
    held_until: int = 0


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
    held_until = 0
    for interval in sorted(intervals):
        if interval.until <= interval.since or interval.until <= issued_at or interval.since > now:
            continue
        if covered is None:
            if interval.since > issued_at:
                return Lapsed()
        elif not bridged(covered, held_until, interval):
            return Lapsed()
        if covered is None or interval.until > covered:
            covered, held_until = interval.until, interval.held_until
    if covered is None:
        return Lapsed()
    if covered > now:
        return Held()
    if now - covered < recovery_window or now < held_until:
        return Dormant(covered, held_until)
    return Lapsed()


def bridged(covered: int, held_until: int, interval: Interval) -> bool:
    """Return whether an interval goes on with what was covered before it, without too long a gap.

    :param held_until: that of the interval that was covered last.
    """
    since = interval.since
    return since <= covered or since - covered < interval.tolerance or since < held_until
