"""Connections that have fallen silent: a silent identity provider means leavers who keep their keys.

What is usual for a connection is learned from its calls: the longest pause between them, slowly forgotten.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from app.access.connections import Connection
from app.store.tables import connection

_MINUTE: Final = 60 * 1_000_000
_DAY: Final = 24 * 60 * _MINUTE

PAUSE: Final = 5 * _MINUTE
"""A shorter time without a call is no pause, in microseconds."""

FORGOTTEN_BY_HALF: Final = 14 * _DAY
"""After this time a pause that does not occur again counts for half."""

CYCLES: Final = 3
"""A connection is silent after so many of its usual cycles without a call; a setting may differ."""

SHORTEST_SILENCE: Final = 60 * _MINUTE
"""No shorter time is called silence."""

PRESUMED_CYCLE: Final = _DAY
"""What is taken for usual as long as a connection has called, but never paused."""

LONGEST_CYCLE: Final = 7 * _DAY
"""No longer pause is learned: an outage must not teach that it is usual."""


def usual_cycle(known: int | None, pause: int) -> int | None:
    """Return what is usual after a time without a call; both in microseconds.

    A pause that was silence already is learned as the longest that was not: what happens once changes little,
    what happens again and again becomes usual.
    """
    if pause < PAUSE:
        return known
    if known is None:
        return min(pause, LONGEST_CYCLE)
    learned = min(pause, LONGEST_CYCLE, max(CYCLES * known, SHORTEST_SILENCE))
    return max(learned, int(known * 0.5 ** (pause / FORGOTTEN_BY_HALF)))


def note_call(writing: sa.Connection, connection_id: str, now: int) -> None:
    """Write down that a connection called now, and what is usual for it since."""
    row = writing.execute(
        sa.select(connection.c.last_call_at, connection.c.usual_cycle)
        .where(connection.c.id == connection_id)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None or (row.last_call_at is not None and row.last_call_at >= now):
        return
    cycle = (
        row.usual_cycle if row.last_call_at is None else usual_cycle(row.usual_cycle, now - row.last_call_at)
    )
    writing.execute(
        sa.update(connection)
        .where(connection.c.id == connection_id)
        .values(last_call_at=now, usual_cycle=cycle)
    )


def silent_since(found: Connection, now: int, cycles: int = CYCLES) -> int | None:
    """Return since when a connection is silent; None when it is not, or is disabled, or never called.

    :param cycles: after how many of its usual cycles without a call it is.
    """
    if found.disabled_at is not None or found.last_call_at is None:
        return None
    silence = max(cycles * (found.usual_cycle or PRESUMED_CYCLE), SHORTEST_SILENCE)
    return found.last_call_at if now - found.last_call_at > silence else None
