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


JUDGED: Final[tuple[tuple[Reason, Callable[[Conditions, Call, int], bool]], ...]] = (
    (Reason.CONDITION_UNKNOWN, _known),
    (Reason.RIGHT_ENDED, _not_ended),
    (Reason.RIGHT_NOT_STARTED, _started),
    (Reason.METHOD_NOT_ALLOWED, _method),
    (Reason.PATH_NOT_ALLOWED, _path),
    (Reason.PROPERTY_MISMATCH, _properties),
    (Reason.NETWORK_NOT_ALLOWED, _network),
    (Reason.OUTSIDE_WINDOW, _window),
)
"""What is judged by itself, in the order in which it is told: what never comes before what another call,
another place or another time would meet."""
