"""Conditions on the path of a call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

# An escape that is none, an encoded separator, an encoded NUL: two parsers may read such a path differently.
_AMBIGUOUS = re.compile(r"%(?![0-9A-Fa-f]{2})|%2f|%5c|%00|[\\\x00-\x20\x7f]", re.IGNORECASE)

# What is the same however it is read: no escape, and no segment that is empty or begins with a dot.
_PLAIN = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9_~!$&'()*+,;=:@.-]*)+/?")


def path_allowed(patterns: Sequence[str], path: str | None) -> bool:
    """Return whether a path meets one of some patterns; an unknown or ambiguous path meets none.

    A pattern is a path, or ends in ``*`` and is a prefix. The path is compared after its query is cut off,
    its escapes are decoded, and its dot segments and doubled slashes are resolved.
    """
    plain = normal_path(path) if path is not None else None
    if plain is None:
        return False
    for pattern in patterns:
        if plain == pattern or (pattern.endswith("*") and plain.startswith(pattern[:-1])):
            return True
    return False


def normal_path(path: str) -> str | None:
    """Return a path as an application resolves it, or None where two might disagree about it."""
    path = path.partition("?")[0].partition("#")[0]
    if _PLAIN.fullmatch(path):
        return path
    if not path.startswith("/") or _AMBIGUOUS.search(path):
        return None
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "%" in decoded or "\\" in decoded or any(ord(character) < 0x20 for character in decoded):
        # Decoded twice it would be another path.
        return None
    resolved: list[str] = []
    for segment in decoded.split("/"):
        if segment == "..":
            if not resolved:
                return None
            resolved.pop()
        elif segment not in ("", "."):
            resolved.append(segment)
    trailing = "/" if decoded.endswith(("/", "/.", "/..")) and resolved else ""
    return "/" + "/".join(resolved) + trailing
