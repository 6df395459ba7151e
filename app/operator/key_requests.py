"""Reading what is asked of ``/operator/v1/keys`` in the words of SCIM (RFC 7644 §3.4.2, RFC 9865)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import request
from pydantic import ValidationError
from scim2_models import Context, InvalidPathException, Path, SCIMException, SearchRequest
from scim2_models.path import AttributeBinding
from scim2_server.conditions import Conditions
from scim2_server.cursor import Cursors
from scim2_server.service import scim_exception_of

from app.access.credentials import Credential
from app.operator.errors import RequestInvalid
from app.operator.key_schema import KEY_SCHEMA, KeyResource
from app.operator.key_search import KeyFilter
from app.operator.pages import Window
from app.operator.requests import Query, read_query
from app.rights.standing import KeyState

CURSOR_TIMEOUT: Final = 3600
"""For how many seconds a cursor leads to the next page."""

PAGING: Final = ("startIndex", "count")
FILTERS: Final = ("consumer", "state", "entitlement")
ATTRIBUTES: Final = ("attributes", "excludedAttributes")
SCIM: Final = ("filter", "sortBy", "sortOrder", *ATTRIBUTES)

_ALWAYS: Final = frozenset({"id", "schemas"})

# Kept: pydantic makes the class anew, which takes longer than a search, wherever nobody holds it.
_SearchOfKeys: Final = SearchRequest[KeyResource]  # type: ignore[valid-type]
_PathOfKey: Final = Path[KeyResource]  # type: ignore[valid-type]


@dataclass(frozen=True)
class Shown:
    """Which attributes of a key are asked for: those named, or all but those named."""

    named: frozenset[tuple[str, str | None]] = frozenset()
    excluded: frozenset[tuple[str, str | None]] = frozenset()

    def of(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is asked for of the document of a key; its id is always there."""
        shown = {}
        for name, value in document.items():
            if name in _ALWAYS or not (self.named or self.excluded):
                shown[name] = value
            elif self.named:
                if (name, None) in self.named:
                    shown[name] = value
                elif subs := {sub for head, sub in self.named if head == name}:
                    shown[name] = _only(value, subs.__contains__)
            elif (name, None) not in self.excluded:
                gone = {sub for head, sub in self.excluded if head == name}
                shown[name] = _only(value, lambda each, gone=gone: each not in gone)  # type: ignore[misc]
        return shown


@dataclass(frozen=True)
class KeyQuery:
    """What a search of keys asks for. ``cursor``: None where pages are counted."""

    wanted: KeyFilter
    sort_by: AttributeBinding | None
    descending: bool
    window: Window
    cursor: str | None
    shown: Shown
    digest: str


def read_key_query() -> KeyQuery:
    """Return what the current request asks for.

    :raises RequestInvalid: when a parameter is unknown, is given twice or is not what it must be.
    :raises SCIMException: when its filter or an attribute that it names is none.
    """
    query = read_query(*FILTERS, numbers=PAGING, long=(*SCIM, "cursor"))
    if "cursor" in query.texts and "startIndex" in query.numbers:
        raise RequestInvalid("give a cursor or a startIndex, not both")
    said = {name: query.texts[name] for name in ("filter", "sortBy", "sortOrder") if name in query.texts}
    try:
        asked = _SearchOfKeys.model_validate(said, scim_ctx=Context.SEARCH_REQUEST)
    except ValidationError as error:
        raise scim_exception_of(error) from None
    window = Window.of(query.numbers.get("startIndex"), query.numbers.get("count"))
    # All other parameters are the same on every page (RFC 9865 §2.1).
    asks = json.dumps([{**query.texts, "cursor": ""}, window.count], sort_keys=True)
    return KeyQuery(
        wanted=KeyFilter(
            query.texts.get("consumer"), _state(query), query.texts.get("entitlement"), asked.filter
        ),
        sort_by=None if asked.sort_by is None else asked.sort_binding(KeyResource),
        descending=asked.sort_order is SearchRequest.SortOrder.descending,
        window=window,
        cursor=query.texts.get("cursor"),
        shown=_shown(query.texts),
        digest=hashlib.sha256(asks.encode()).hexdigest(),
    )


def read_shown() -> Shown:
    """Return which attributes of one key the current request asks for.

    :raises RequestInvalid: when a parameter is unknown, is given twice, or is no text.
    :raises SCIMException: when an attribute that it names is none.
    """
    return _shown(read_query(long=ATTRIBUTES).texts)


def read_conditions() -> Conditions:
    """Return the conditional headers of the current request."""
    return Conditions(request.headers.get("If-Match"), request.headers.get("If-None-Match"))


class KeyCursors:
    """Cursors that lead nowhere but for the credential and the search that they were made for.

    :param secret: what they are sealed with, the same in every process.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, caller: Credential, query: KeyQuery, position: Any) -> str | None:
        """Return the cursor of a position; None for no position."""
        if position is None:
            return None
        return self._of(caller).seal(query.digest, query.window.count, position)

    def open(self, caller: Credential, query: KeyQuery) -> Any:
        """Return the position that the cursor of a search holds; None for the first page.

        :raises SCIMException: when it is no cursor for this search, or too old.
        """
        if not query.cursor:
            return None
        return self._of(caller).open(query.cursor, query.digest, query.window.count, CURSOR_TIMEOUT)

    def _of(self, caller: Credential) -> Cursors:
        owner = f"{caller.tenant_id}\0{caller.id}"
        return Cursors(hmac.digest(self._secret, owner.encode(), "sha256"))


def _shown(texts: Mapping[str, str]) -> Shown:
    if all(texts.get(name) for name in ATTRIBUTES):
        raise RequestInvalid("give attributes or excludedAttributes, not both")
    named, excluded = (_paths(texts.get(name, "")) for name in ATTRIBUTES)
    return Shown(named, excluded)


def _paths(text: str) -> frozenset[tuple[str, str | None]]:
    return frozenset(_path(each.strip()) for each in text.split(",") if each.strip())


def _path(text: str) -> tuple[str, str | None]:
    """Return an attribute by its names in the document of a key."""
    if text.lower() in ("schemas", KEY_SCHEMA.lower()):
        return "schemas", None
    try:
        binding = _PathOfKey(text).resolve()
    except (SCIMException, ValueError):
        binding = None
    if binding is None:
        raise InvalidPathException(path=text[:100], detail=f"A key has no attribute {text[:100]!r}")
    head, _, sub = binding.urn.rpartition(":")[2].partition(".")
    return head, sub or None


def _only(value: Any, keeps: Callable[[str], bool]) -> Any:
    if isinstance(value, list):
        return [_only(each, keeps) for each in value]
    return {name: each for name, each in value.items() if keeps(name)} if isinstance(value, dict) else value


def _state(query: Query) -> KeyState | None:
    text = query.texts.get("state")
    if text is not None and text not in [str(state) for state in KeyState]:
        raise RequestInvalid(f"'state' must be one of: {', '.join(KeyState)}")
    return None if text is None else KeyState(text)
