"""Whether a call meets the conditions of a right, each judged by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from app.gate.conditions.paths import path_allowed
from app.gate.reasons import Reason
from app.rights.conditions import Conditions
from app.rights.conditions.networks import parse_address
from app.rights.conditions.properties import properties_allowed

if TYPE_CHECKING:
    from app.gate.decision import Call


def _known(conditions: Conditions, call: Call, now: int) -> bool:
    return not conditions.unknown


def _not_ended(conditions: Conditions, call: Call, now: int) -> bool:
    return conditions.not_after is None or now <= conditions.not_after


def _started(conditions: Conditions, call: Call, now: int) -> bool:
    return conditions.not_before is None or now >= conditions.not_before


def _method(conditions: Conditions, call: Call, now: int) -> bool:
    methods = conditions.methods
    return not methods or (call.method is not None and call.method.upper() in methods)


def _path(conditions: Conditions, call: Call, now: int) -> bool:
    return not conditions.paths or path_allowed(conditions.paths, call.path)


def _properties(conditions: Conditions, call: Call, now: int) -> bool:
    return not conditions.properties or properties_allowed(conditions.properties, call.properties)


def _network(conditions: Conditions, call: Call, now: int) -> bool:
    if conditions.networks is None:
        return True
    address = None if call.client is None else parse_address(call.client)
    return address is not None and address in conditions.networks


def _window(conditions: Conditions, call: Call, now: int) -> bool:
    return not conditions.windows or any(window.contains(now) for window in conditions.windows)


Judge = Callable[[Conditions, "Call", int], bool]

JUDGED: Final[tuple[tuple[Reason, str, Judge], ...]] = (
    (Reason.CONDITION_UNKNOWN, "unknown", _known),
    (Reason.RIGHT_ENDED, "not_after", _not_ended),
    (Reason.RIGHT_NOT_STARTED, "not_before", _started),
    (Reason.METHOD_NOT_ALLOWED, "methods", _method),
    (Reason.PATH_NOT_ALLOWED, "paths", _path),
    (Reason.PROPERTY_MISMATCH, "properties", _properties),
    (Reason.NETWORK_NOT_ALLOWED, "networks", _network),
    (Reason.OUTSIDE_WINDOW, "windows", _window),
)
"""What is judged by itself, each with the condition it is about, in the order in which it is told: what never
comes before what another call, another place or another time would meet."""


def judges(conditions: Conditions) -> tuple[tuple[int, Judge], ...]:
    """Return what has anything to judge of some conditions, each with its place in :data:`JUDGED`."""
    unasked: tuple[object, ...] = (None, (), frozenset())
    return tuple(
        (place, judge)
        for place, (_, name, judge) in enumerate(JUDGED)
        if (asked := getattr(conditions, name)) is not False and asked not in unasked
    )
