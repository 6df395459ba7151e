"""The ways on which one and the same decision reaches a SCIM server: each a request, built from records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from conformance.exchange import Answer, Target
from conformance.findings import Requirement
from conformance.hr import requirements as needs
from conformance.hr.records import ACCESS, Announced, Record, nested

Send = Callable[[Target, str, Record, Record, Announced], Answer]
"""Tell the server at a user's path of the step from one record to another."""


@dataclass(frozen=True)
class Way:
    """How a step is told, and the requirement that this makes."""

    requirement: Requirement
    send: Send


def put(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    """Send the whole record."""
    return target.put(path, after.replacement(server))


def _changes(before: Record, after: Record, server: Announced) -> dict[str, Any]:
    old, new = before.values(server), after.values(server)
    return {path: value for path, value in new.items() if value != old[path]}


def _paths(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    operations: list[dict[str, Any]] = [
        {"op": "remove", "path": name} if value is None else {"op": "replace", "path": name, "value": value}
        for name, value in _changes(before, after, server).items()
    ]
    return target.patch(path, *operations)


def _pathless(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    changed = _changes(before, after, server)
    operations: list[dict[str, Any]] = [
        {"op": "remove", "path": name} for name, value in changed.items() if value is None
    ]
    given = nested({name: value for name, value in changed.items() if value is not None})
    del given["schemas"]
    if given:
        operations.append({"op": "replace", "value": given})
    return target.patch(path, *operations)


def _active_as_text(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    return target.patch(path, {"op": "Replace", "path": "active", "value": str(after.active)})


def _rights(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    lost, won = before.person.rights - after.person.rights, after.person.rights - before.person.rights
    operations: list[dict[str, Any]] = [
        {"op": "remove", "path": f'entitlements[value eq "{each}"]'} for each in sorted(lost)
    ]
    if won:
        value = [{"value": each} for each in sorted(won)]
        operations.append({"op": "add", "path": "entitlements", "value": value})
    return target.patch(path, *operations)


def _end(target: Target, path: str, before: Record, after: Record, server: Announced) -> Answer:
    name = f"{ACCESS}:accessEndsAt"
    if after.ends_at is None:
        return target.patch(path, {"op": "remove", "path": name})
    return target.patch(path, {"op": "replace", "path": name, "value": after.ends_at})


LEAVING: Final = (
    Way(needs.LEAVE_PATHLESS, _pathless),
    Way(needs.LEAVE_TEXT, _active_as_text),
    Way(needs.LEAVE_PUT, put),
    Way(needs.LEAVE_PATH, _paths),
)
LEAVING_BY_DATE: Final = Way(needs.LEAVE_DATE, _end)
RETURNING: Final = (
    Way(needs.BACK_PATHLESS, _pathless),
    Way(needs.BACK_TEXT, _active_as_text),
    Way(needs.BACK_PUT, put),
)
RETURNING_BY_DATE: Final = Way(needs.BACK_DATE, _end)
STARTING: Final = Way(needs.JOIN_EARLY, _paths)
MOVING: Final = (Way(needs.MOVE_PATHS, _paths), Way(needs.MOVE_PATHLESS, _pathless), Way(needs.MOVE_PUT, put))
CHANGING_ROLES: Final = (Way(needs.ROLES_PATCH, _paths), Way(needs.ROLES_PUT, put))
CHANGING_RIGHTS: Final = (Way(needs.RIGHTS_PATCH, _rights), Way(needs.RIGHTS_PUT, put))
