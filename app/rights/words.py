"""The words in which a broken link is told to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from app.store.moments import rfc3339

_REVOKED_BECAUSE: Final = {
    "right_lapsed": "its rights were away for longer than the recovery window",
    "consumer_deleted": "the user was deleted",
    "entitlement_deleted": "the entitlement that it was for was deleted",
    "operator": "an operator revoked it",
    "token_revoked": "its secret was handed over to be revoked",
    "global_token_revocation": "all keys of the user were to end at once",
    "pepper_dropped": "the pepper of its digest was dropped",
}

_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def at(moment: int) -> str:
    """Return a time to the second."""
    return rfc3339(moment, precision="seconds")


def because(reason: str | None) -> str:
    """Return why a key was revoked; a reason that somebody wrote is said as it is."""
    return _REVOKED_BECAUSE.get(reason or "", f"the reason given is {reason!r}")


def duration(microseconds: int) -> str:
    """Return a span of time in the largest unit that measures it without a rest."""
    seconds = microseconds // 1_000_000
    for unit, length in _UNITS:
        if seconds and seconds % length == 0:
            return _counted(seconds // length, unit)
    return _counted(seconds, "second")


def listed(words: Sequence[str], most: int = 5) -> str:
    """Return some words as a list in a sentence; of many, the first few and how many more there are."""
    told = list(words[:most])
    if len(words) > most:
        told.append(f"{len(words) - most} more")
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
