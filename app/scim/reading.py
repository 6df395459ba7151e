"""The strict reading of a request body: from bytes to plain values, before anything is made of them.

JSON leaves much to the reader (RFC 8259 §4, §6, §8.2): which of two equal names counts, how large a number
may be, what half a surrogate pair means. Two readers that answer differently are a way around whatever one of
them checks, so a body that could be read in two ways is refused, with what is wrong, where, and what to
change. A value of the body is never repeated: it may be a password.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from scim2_models import InvalidSyntaxException, InvalidValueException, SCIMException

MAXIMUM_DEPTH: Final = 32
"""How deep objects and arrays may stand in one another; SCIM itself needs six."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_TOKENS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}:,]', re.DOTALL)
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
# An escape that may spell U+0000 or half a surrogate pair; whether it does is seen in the value.
_SUSPICIOUS_ESCAPE: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNREPRESENTABLE: Final = re.compile("[\x00\ud800-\udfff]")
_LONGEST_NAME_SHOWN: Final = 60
_LONGEST_PATH_SHOWN: Final = 200


class _Refused(Exception):
    """Something the parser came across without knowing where it is."""


class _NotANumber(_Refused):
    """NaN or an infinity, which JSON does not have."""


class _NumberTooLarge(_Refused):
    """A number that 64 bits do not hold."""


class _NameTwice(_Refused):
    """An object with two members whose names differ in letter case at most."""


def read_json(body: bytes) -> Any:
    """Return the value of a JSON body.

    One byte order mark at the beginning is skipped, as RFC 8259 §8.1 allows: Windows tools write it.

    :raises InvalidSyntaxException: when the body is not UTF-8 or not JSON, holds NaN or an infinity, names a
        member twice (names are compared without regard to case, RFC 7643 §2.1), or is nested too deep.
    :raises InvalidValueException: when a number does not fit 64 bits, or a string or a name holds U+0000 or
        half a surrogate pair.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidSyntaxException(
            detail=f"The body is not UTF-8 (byte {error.start}). Send it as UTF-8 (RFC 8259 §8.1)."
        ) from None
    if not text.strip():
        raise InvalidSyntaxException(detail="The body is empty. Send a JSON object.")
    too_deep = _too_deep(body)
    if too_deep:
        raise InvalidSyntaxException(
            detail=f"The body is nested more than {MAXIMUM_DEPTH} levels deep{_at(text, _deepest(text))}. "
            "Send a flatter one."
        )
    value = _parsed(text)
    if _SUSPICIOUS_ESCAPE.search(body):
        _refuse_unrepresentable(value)
    return value


def _parsed(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidSyntaxException(
            detail=f"The body is not JSON{_at(text, error.pos)}: {error.msg} "
            f"(line {error.lineno}, column {error.colno}). Correct it and send it again."
        ) from None
    except _Refused as refused:
        raise _located(text, refused) from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, each of another name."""
    members = dict(pairs)
    if len(set(map(str.lower, members))) != len(pairs):
        raise _NameTwice
    return members


def _integer(digits: str) -> int:
    # The length first: Python refuses to convert thousands of digits, and takes long over hundreds.
    if len(digits) > 20 or not -(2**63) <= (number := int(digits)) < 2**63:
        raise _NumberTooLarge
    return number


def _decimal(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _NumberTooLarge
    return number


def _constant(name: str) -> NoReturn:
    raise _NotANumber


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
)


def _too_deep(body: bytes) -> bool:
    """Tell whether brackets stand deeper in one another than allowed, whatever else is wrong with the body.

    It is asked before parsing because the parser calls itself for every level.
    """
    if body.count(b"[") + body.count(b"{") <= MAXIMUM_DEPTH:
        return False
    # What is left without escapes, taken apart at the quotes, is outside and inside of strings by turns.
    outside = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    depth = 0
    for bracket in b"".join(outside).translate(None, _ALL_BUT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAXIMUM_DEPTH:
            return True
    return False


@dataclass
class _Level:
    """One object or array on the way to a place in a body."""

    is_array: bool
    index: int = 0
    name: str | None = None
    names: set[str] | None = None


def _walk(text: str) -> Iterator[tuple[int, str, list[_Level]]]:
    """Yield every token's position and text with the levels it stands in, for saying where an error is."""
    levels: list[_Level] = []
    for token in _TOKENS.finditer(text):
        word = token.group()
        yield token.start(), word, levels
        if word in "[{":
            levels.append(_Level(word == "[", names=set()))
        elif word in "]}" and levels:
            levels.pop()
        elif word == "," and levels:
            levels[-1].index += 1
            levels[-1].name = None
        elif word[0] == '"' and levels and not levels[-1].is_array and levels[-1].name is None:
            levels[-1].name = _unquoted(word)


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word.strip('"')


def _located(text: str, refused: _Refused) -> SCIMException:
    """Find what the parser refused, and say it.

    The parser reports the first problem it meets, so the first one found here is the same kind at least.
    """
    if isinstance(refused, _NameTwice):
        where, name = _name_twice(text)
        return InvalidSyntaxException(
            detail=f"The member '{_shown(name)}' stands more than once{where}, regardless of letter case. "
            "Send each name once."
        )
    position = _bad_number(text)
    if isinstance(refused, _NotANumber):
        return InvalidSyntaxException(
            detail=f"NaN and Infinity are not JSON{_at(text, position)}. Send a number, or null."
        )
    return InvalidValueException(
        detail=f"The number{_at(text, position)} does not fit 64 bits. Send a smaller one, or a string."
    )


def _name_twice(text: str) -> tuple[str, str]:
    """Return where two names of one object are equal, and the second of them."""
    for position, word, levels in _walk(text):
        if word[0] != '"' or not levels or levels[-1].is_array or levels[-1].name is not None:
            continue
        name, seen = _unquoted(word), levels[-1].names
        if seen is None or name.lower() in seen:
            return _at(text, position), name
        seen.add(name.lower())
    return "", ""


def _bad_number(text: str) -> int:
    """Return the position of the first number that is none, or is too large."""
    end = 0
    for token in _TOKENS.finditer(text):
        scalar = text[end : token.start()].strip()
        if _is_bad_number(scalar):
            return end
        end = token.end()
    return end


def _is_bad_number(scalar: str) -> bool:
    if not scalar or scalar in ("true", "false", "null") or (scalar.isdigit() and len(scalar) < 19):
        return False
    try:
        _DECODER.decode(scalar)
    except (_Refused, ValueError):
        return True
    return False


def _deepest(text: str) -> int:
    """Return the position of the first bracket that is too deep."""
    return next(
        (position for position, word, levels in _walk(text) if len(levels) > MAXIMUM_DEPTH), len(text)
    )


def _at(text: str, position: int) -> str:
    """Return " at " and the path of a position, such as ``Operations[0].value``; nothing at the root."""
    levels: list[_Level] = []
    for start, _word, levels in _walk(text):  # noqa: B007, the levels of the last token are those asked for
        if start >= position:
            break
    path = "".join(_step(level) for level in levels).removeprefix(".")
    return f" at {_shown(path, _LONGEST_PATH_SHOWN)}" if path else ""


def _step(level: _Level) -> str:
    if level.is_array:
        return f"[{level.index}]"
    return f".{_shown(level.name)}" if level.name is not None else ""


def _shown(name: str, longest: int = _LONGEST_NAME_SHOWN) -> str:
    """Return a name as an error may repeat it: short, and without characters that cannot be sent."""
    printable = "".join(character if character.isprintable() else "?" for character in name[:longest])
    return printable + ("…" if len(name) > longest else "")


def _refuse_unrepresentable(value: Any) -> None:
    """Refuse U+0000 and halves of surrogate pairs, which no database keeps and no answer could repeat."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        path, current = pending.pop()
        if isinstance(current, dict):
            for name, item in current.items():
                place = f"{path}.{_shown(name)}".removeprefix(".")
                pending.append((place, name))
                pending.append((place, item))
        elif isinstance(current, list):
            pending.extend((f"{path}[{index}]", item) for index, item in enumerate(current))
        elif isinstance(current, str) and _UNREPRESENTABLE.search(current):
            at = f" at {_shown(path, _LONGEST_PATH_SHOWN)}" if path else ""
            raise InvalidValueException(
                detail=f"The string{at} holds U+0000 or half a surrogate pair. Remove that character."
            )
