"""The dialects: which deviations from SCIM a connection gets, as data.

A dialect is a line of settings and a list of deviations; it has no code of its own. A new one is an entry in
:data:`DIALECTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scim2_models import ScimPolicy

from app.scim.deviations import Deviation, Reading
from app.scim.members import member, with_member
from app.scim.precis import strict_comparison_key, tolerant_comparison_key
from app.scim.provider import RESOURCE_TYPES
from app.scim.shapes import shape_of


@dataclass(frozen=True)
class Dialect:
    """What a connection may send, and what it is answered."""

    name: str

    policy: ScimPolicy
    """How the library reads what it is given: unknown attributes, removal by value, filters without a match,
    and how strings compare."""

    deviations: tuple[Deviation, ...]
    """What is put right before the library reads it."""

    patch_answer_member_limit: int = 100
    """A PATCH of a group with more members answers 204; of any other resource, 200 with the resource."""

    unknown_members: Literal["report", "refuse"] = "report"
    """What a group's member that is not in the directory gets: the others are applied and it is reported, or
    the whole request is refused with ``invalidValue``."""


DEFAULT_DIALECT: Final = "field"

_IN_EVERY_DIALECT: Final = (
    Deviation.PASSWORD_DISCARDED,
    Deviation.SCHEMA_LETTER_CASE,
)
_OF_OKTA: Final = (
    *_IN_EVERY_DIALECT,
    Deviation.UNDECLARED_SCHEMA,
    Deviation.READ_ONLY_MEMBER,
    Deviation.EMPTY_STRING,
    Deviation.ADDED_NULL,
    Deviation.BOOLEAN_AS_TEXT,
    Deviation.NUMBER_AS_TEXT,
    Deviation.UNKNOWN_ATTRIBUTE,
)
_TOLERANT: Final = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
    comparison_key=tolerant_comparison_key,
)

DIALECTS: Final[Mapping[str, Dialect]] = {
    dialect.name: dialect
    for dialect in (
        Dialect("field", _TOLERANT, tuple(Deviation)),
        Dialect(
            "okta",
            ScimPolicy(unknown=ScimPolicy.Unknown.ignore, comparison_key=tolerant_comparison_key),
            _OF_OKTA,
        ),
        Dialect("entra", _TOLERANT, tuple(Deviation), patch_answer_member_limit=0),
        Dialect(
            "rfc-strict",
            ScimPolicy(comparison_key=strict_comparison_key),
            _IN_EVERY_DIALECT,
            unknown_members="refuse",
        ),
    )
}
"""Every dialect, by name."""


def normalise(
    dialect: Dialect, body: Any, *, message: str, resource_type_name: str | None = None
) -> tuple[Any, tuple[str, ...]]:
    """Return the body of a request as the library is to read it, and the deviations that were put right.

    The body itself is not changed.

    :param body: what :func:`~app.scim.reading.read_json` returned.
    :param message: ``"resource"`` for a creation or a replacement, ``"patch"``, or ``"bulk"``.
    :param resource_type_name: whose resource it is; a bulk request's operations say it themselves.
    :raises InvalidValueException: when a boolean or an integer is none. In a bulk request the library
        is left to refuse it, so that its operation fails alone.
    """
    found: dict[Deviation, None] = {}
    if message == "bulk":
        body = _bulk(dialect, body, found)
    else:
        body = _read(dialect, body, message, resource_type_name, found)
    return body, tuple(str(deviation) for deviation in found)


def _read(
    dialect: Dialect,
    body: Any,
    message: str,
    resource_type_name: str | None,
    found: dict[Deviation, None],
    *,
    refuses: bool = True,
) -> Any:
    shape = shape_of(resource_type_name) if resource_type_name else None
    if shape is None:
        return body
    reading = Reading(shape, dialect.deviations, found, refuses=refuses)
    return reading.patch(body) if message == "patch" else reading.resource(body)


def _bulk(dialect: Dialect, body: Any, found: dict[Deviation, None]) -> Any:
    """Read the data of each operation as the single request it stands for (RFC 7644 §3.7)."""
    operations = member(body, "Operations")
    if not isinstance(operations, list):
        return body
    return with_member(body, "Operations", [_bulk_operation(dialect, each, found) for each in operations])


def _bulk_operation(dialect: Dialect, operation: Any, found: dict[Deviation, None]) -> Any:
    method, path, data = (member(operation, name) for name in ("method", "path", "data"))
    if not (isinstance(method, str) and isinstance(path, str) and isinstance(data, dict)):
        return operation
    message = "patch" if method.upper() == "PATCH" else "resource"
    read = _read(dialect, data, message, _served_at(path), found, refuses=False)
    return with_member(operation, "data", read)


def _served_at(path: str) -> str | None:
    """Return the name of the resource type whose endpoint a path begins with."""
    endpoint = path.lstrip("/").partition("/")[0].lower()
    return next((each.name for each in RESOURCE_TYPES if each.endpoint.strip("/").lower() == endpoint), None)
