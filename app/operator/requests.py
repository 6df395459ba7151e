"""Reading requests strictly: what is not understood is refused and named, never passed over (P7)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from flask import request
from werkzeug.exceptions import UnsupportedMediaType

from app.operator.errors import RequestInvalid

MAX_BODY: Final = 64 * 1024
"""The largest body, in bytes, unless the application allows even less."""

LARGEST_NUMBER: Final = 2**53
"""The largest number that every JSON reader understands (RFC 8259 §6)."""

_LONGEST_TEXT: Final = 1000
_LONGEST_EXPRESSION: Final = 16_384


@dataclass(frozen=True)
class Member:
    """A member of a JSON body: what its value is, in words and as JSON Schema; whether it must be there."""

    expected: str
    accepts: Callable[[Any], bool]
    schema: Mapping[str, Any]
    required: bool = False

    @property
    def needed(self) -> Member:
        """The same member where it must be there."""
        return replace(self, required=True)


Body = Mapping[str, Member]
"""The members that the body of a request may have, by their names."""


def is_text(value: Any) -> bool:
    """Whether a value is text that can be stored and compared."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and _is_storable(value)


def is_texts(value: Any) -> bool:
    """Whether a value is a list, not empty, of texts."""
    return isinstance(value, list) and 0 < len(value) <= _LONGEST_TEXT and all(map(is_text, value))


def is_object(value: Any) -> bool:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def whole_number(least: int, most: int, expected: str | None = None) -> Member:
    """Return a member that is a whole number in a range."""

    def accepts(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Member(expected or f"a whole number from {least} to {most}", accepts, schema)


TEXT: Final = f"a text of 1 to {_LONGEST_TEXT} characters"
TEXT_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": _LONGEST_TEXT,
    "pattern": "^[^\\u0000]*$",
}
A_TEXT: Final = Member(TEXT, is_text, TEXT_SCHEMA)
SOME_TEXTS: Final = Member(
    "a list of texts, at least one",
    is_texts,
    {"type": "array", "items": TEXT_SCHEMA, "minItems": 1, "maxItems": _LONGEST_TEXT},
)
A_SPAN: Final = whole_number(0, 366 * 86_400, "a whole number of seconds, up to 366 days")


def read_body(members: Body, *, others: bool = False, largest: int = MAX_BODY) -> dict[str, Any]:
    """Return the JSON object in the body of the current request; no body is an object without members.

    :param others: whether there may be further members, which are passed over.
    :param largest: the largest body, in bytes, unless the application allows even less.
    :raises RequestInvalid: when it is no JSON object, or a member is unknown, missing or of another kind.
    :raises UnsupportedMediaType: when there is a body that does not say it is JSON.
    :raises RequestEntityTooLarge: when it is over the limit.
    """
    most = request.max_content_length
    request.max_content_length = largest if most is None else min(most, largest)
    data = request.get_data(cache=False)
    if data and request.mimetype != "application/json":
        raise UnsupportedMediaType("the body must be application/json")
    body = _parse(data) if data else {}
    unknown = sorted(body.keys() - members.keys())
    if unknown and not others:
        raise RequestInvalid(f"unknown members: {', '.join(repr(each[:100]) for each in unknown[:10])}")
    for name, member in members.items():
        if name not in body:
            if member.required:
                raise RequestInvalid(f"{name!r} is missing: {member.expected}")
        elif not member.accepts(body[name]):
            raise RequestInvalid(f"{name!r} must be {member.expected}")
    return body


def read_query(*texts: str, numbers: tuple[str, ...] = (), long: tuple[str, ...] = ()) -> Query:
    """Return the query of the current request, which has none but these parameters, each once.

    :param long: texts that may be long, or empty: what reads them judges them.
    :raises RequestInvalid: when there is another one, one twice, an empty text, or a number that is none.
    """
    asked = request.args.to_dict(flat=False)
    unknown = sorted(asked.keys() - {*texts, *numbers, *long})
    if unknown:
        named = ", ".join(repr(each[:100]) for each in unknown[:10])
        raise RequestInvalid(
            f"unknown parameters: {named}; there is {', '.join([*texts, *long, *numbers]) or 'none'}"
        )
    found: dict[str, str] = {}
    for name, values in asked.items():
        if len(values) > 1:
            raise RequestInvalid(f"{name!r} is given {len(values)} times")
        if name in texts and not is_text(values[0]):
            raise RequestInvalid(f"{name!r} must be {TEXT}")
        if name in long and not (len(values[0]) <= _LONGEST_EXPRESSION and _is_storable(values[0])):
            raise RequestInvalid(f"{name!r} must be a text of at most {_LONGEST_EXPRESSION} characters")
        found[name] = values[0]
    return Query(
        {name: value for name, value in found.items() if name in (*texts, *long)},
        {name: _number(name, value) for name, value in found.items() if name in numbers},
    )


@dataclass(frozen=True)
class Query:
    """The parameters of a request's query."""

    texts: Mapping[str, str]
    numbers: Mapping[str, int]


def _number(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16) or int(digits) > LARGEST_NUMBER:
        raise RequestInvalid(f"{name!r} must be a whole number")
    return int(text)


def _parse(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(
            data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise RequestInvalid("the body is not UTF-8") from None
    except RecursionError:
        raise RequestInvalid("the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise RequestInvalid(
            f"the body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except ValueError:  # a number of more digits than Python reads
        raise RequestInvalid("the body is not JSON: a number is too long") from None
    if not isinstance(body, dict):
        raise RequestInvalid("the body must be a JSON object")
    return body


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise RequestInvalid(f"the body has {twice[:100]!r} twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise RequestInvalid(f"the body is not JSON: {name}")


def _is_storable(text: str) -> bool:
    """Whether a database can hold a text: no NUL (PostgreSQL), no half of a surrogate pair (UTF-8)."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
