"""The members of a parsed object by their names, in which letter case makes no difference (RFC 7643 §2.1)."""

from __future__ import annotations

from typing import Any


def member(value: Any, name: str) -> Any:
    """Return a member of an object by its name in any letter case; None where there is none, or no object."""
    if not isinstance(value, dict):
        return None
    if name in value:
        return value[name]
    return next((item for given, item in value.items() if given.lower() == name.lower()), None)


def has_member(value: Any, name: str) -> bool:
    """Tell whether an object has a member of a name, in any letter case."""
    return isinstance(value, dict) and any(given.lower() == name.lower() for given in value)


def with_member(value: dict[str, Any], name: str, item: Any) -> dict[str, Any]:
    """Return an object with another value for a member, whose name keeps its letter case."""
    return {given: item if given.lower() == name.lower() else kept for given, kept in value.items()}
