"""The dialects: which deviations from SCIM a connection gets, as data.

A dialect is a line of settings and a list of deviations; it has no code of its own. A new one is an entry in
:data:`DIALECTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scim2_models import InvalidValueException, ScimPolicy

from app.scim.deviations import Deviation, Reading
from app.scim.members import member, with_member
from app.scim.precis import strict_comparison_key, tolerant_comparison_key
from app.scim.provider import DirectoryProvider
from app.scim.shapes import Shape


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

    announces_drafts: bool = True
    """Whether the configuration says what drafts add to it."""

    catalogue: str | None = None
    """Whose way of listing roles and entitlements it is served: see ``schemas/resource-types.json``."""

    unknown_members: Literal["report", "refuse"] = "report"
    """What a group's member, or a user's sponsor, that is not in the directory gets: the rest is applied and
    it is reported, or the whole request is refused with ``invalidValue``."""


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
            catalogue="okta",
        ),
        Dialect("ietf", _TOLERANT, tuple(Deviation), catalogue="ietf"),
        Dialect("entra", _TOLERANT, tuple(Deviation), patch_answer_member_limit=0),
        Dialect(
            "rfc-strict",
            ScimPolicy(comparison_key=strict_comparison_key),
            _IN_EVERY_DIALECT,
            announces_drafts=False,
            unknown_members="refuse",
        ),
    )
}
"""Every dialect, by name."""


def normalise(
    dialect: Dialect,
    provider: DirectoryProvider,
    body: Any,
    *,
    message: str,
    resource_type_name: str | None = None,
    refused: dict[int, InvalidValueException] | None = None,
) -> tuple[Any, tuple[str, ...]]:
    """Return the body of a request as the library is to read it, and the deviations that were put right.

    The body itself is not changed.

    :param provider: whose resource types the body speaks of.
    :param body: what :func:`~app.scim.reading.read_json` returned.
    :param message: ``"resource"`` for a creation or a replacement, ``"patch"``, or ``"bulk"``.
    :param resource_type_name: whose resource it is; a bulk request's operations say it themselves.
    :param refused: takes what is wrong with operations of a bulk request, by their places; each fails alone.
    :raises InvalidValueException: when a boolean or an integer is none. In a bulk request the library
        is left to refuse it, so that its operation fails alone.
    """
    found: dict[Deviation, None] = {}
    if message == "bulk":
        body = _bulk(dialect, provider, body, found, {} if refused is None else refused)
    else:
        body = _read(dialect, provider.shapes.get(resource_type_name or ""), body, message, found)
    return body, tuple(str(deviation) for deviation in found)


def _read(
    dialect: Dialect,
    shape: Shape | None,
    body: Any,
    message: str,
    found: dict[Deviation, None],
    *,
    refuses: bool = True,
) -> Any:
    if shape is None:
        return body
    reading = Reading(shape, dialect.deviations, found, refuses=refuses)
    return reading.patch(body) if message == "patch" else reading.resource(body)


def _bulk(
    dialect: Dialect,
    provider: DirectoryProvider,
    body: Any,
    found: dict[Deviation, None],
    refused: dict[int, InvalidValueException],
) -> Any:
    """Read the data of each operation as the single request it stands for (RFC 7644 §3.7)."""
    operations = member(body, "Operations")
    if not isinstance(operations, list):
        return body
    read = []
    for place, operation in enumerate(operations):
        try:
            read.append(_bulk_operation(dialect, provider, operation, found))
        except InvalidValueException as exception:
            refused[place] = exception
            read.append(operation)
    return with_member(body, "Operations", read)


def _bulk_operation(
    dialect: Dialect, provider: DirectoryProvider, operation: Any, found: dict[Deviation, None]
) -> Any:
    method, path, data = (member(operation, name) for name in ("method", "path", "data"))
    if not (isinstance(method, str) and isinstance(path, str) and isinstance(data, dict)):
        return operation
    message = "patch" if method.upper() == "PATCH" else "resource"
    endpoint = path.lstrip("/").partition("/")[0].lower()
    shape = provider.shapes.get(provider.endpoints.get(endpoint, ""))
    return with_member(operation, "data", _read(dialect, shape, data, message, found, refuses=False))
