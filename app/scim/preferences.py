"""What a client prefers of how its request is answered: the header ``Prefer`` (RFC 7240)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from werkzeug.http import parse_list_header, unquote_header_value

LONGEST_WAIT: Final = 10
"""How many seconds a request waits at most for being carried out: as long it keeps a thread of the server."""

RESPOND_ASYNC: Final = "respond-async"


@dataclass(frozen=True)
class AsynchronousPreference:
    """The client need not wait until the request is carried out; for so many seconds it would."""

    wait: int


def asynchronous_preference(header: str | None) -> AsynchronousPreference | None:
    """Return what the header ``Prefer`` says of answering before the request is carried out; None: nothing.

    Of a preference that is named twice, the first counts (RFC 7240 §2). A ``wait`` that is no number of
    seconds is none.
    """
    preferences: dict[str, str] = {}
    for each in parse_list_header(header or ""):
        name, _, value = each.partition(";")[0].partition("=")
        preferences.setdefault(name.strip().lower(), unquote_header_value(value.strip()))
    if RESPOND_ASYNC not in preferences:
        return None
    wait = preferences.get("wait", "")
    seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 10 else 0
    return AsynchronousPreference(min(seconds, LONGEST_WAIT))
