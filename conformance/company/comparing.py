"""Whether a resource on the server is what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from unicodedata import normalize

from conformance.company.journal import Deviates
from conformance.exchange import Answer, Target
from conformance.rfc.expectations import member, member_named

Wanted = Mapping[str, Any]
"""Paths of attributes with the values they should have. A set stands for the values of a multi-valued
attribute, or with a path like ``addresses[].postalCode`` for another sub-attribute; None for an attribute
that has no value (null, empty text, empty list and absence are the same)."""


def differences(document: Mapping[str, Any], wanted: Wanted) -> list[str]:
    """Return in words where a resource is not what it should be."""
    found = []
    for path, value in wanted.items():
        name, _, sub = path.partition("[].")
        seen = member(document, name)
        if isinstance(value, frozenset):
            seen = values_of(seen, sub or "value")
        if _plain(seen) != _plain(value):
            found.append(_told(path, value, seen))
    return found


def values_of(listed: Any, sub: str = "value") -> frozenset[str]:
    """Return the values of a multi-valued attribute, or another sub-attribute of each that has it."""
    elements = listed if isinstance(listed, list) else []
    found = (member_named(each, sub) for each in elements)
    return frozenset(str(value) for value in found if value not in (None, ""))


def check(target: Target, path: str, wanted: Wanted) -> dict[str, Any]:
    """Read a resource and return it.

    :raises Deviates: when it is not there or not what it should be.
    """
    answer = target.get(path)
    if answer.status != 200:
        raise Deviates(f"GET /{path} answers {answer.status} afterwards: {answer.text[:300]}")
    check_document(answer.document, wanted)
    return answer.document


def check_document(document: Mapping[str, Any], wanted: Wanted) -> None:
    """:raises Deviates: when a resource is not what it should be."""
    found = differences(document, wanted)
    if found:
        raise Deviates("; ".join(found[:5]))


def check_gone(target: Target, path: str) -> None:
    """:raises Deviates: when a resource is still there."""
    answer = target.get(path)
    if answer.status != 404:
        raise Deviates(f"GET /{path} after its deletion answers {answer.status}")


def list_all(target: Target, path: str, *, page: int = 100) -> list[dict[str, Any]]:
    """Return every resource of an endpoint, read page by page.

    :raises Deviates: when the pages do not add up.
    """
    found: list[dict[str, Any]] = []
    while True:
        answer: Answer = target.get(path, startIndex=len(found) + 1, count=page)
        total = answer.document.get("totalResults")
        if answer.status != 200 or not isinstance(total, int):
            raise Deviates(f"a page of /{path} answers {answer.status}: {answer.text[:300]}")
        found += answer.resources
        if len(found) >= total:
            break
        if not answer.resources:
            raise Deviates(f"/{path} names {total} resources and pages end after {len(found)}")
    identities = [each.get("id") for each in found]
    if len(set(map(str, identities))) != len(identities):
        raise Deviates(f"the pages of /{path} show a resource twice")
    return found


def _plain(value: Any) -> Any:
    """Return a value as it is compared: RFC 7643 §2.2 lets a server disregard letter case, not the text."""
    if isinstance(value, str):
        return normalize("NFC", value) or None
    if isinstance(value, frozenset):
        return frozenset(normalize("NFC", each) for each in value)
    return None if value in ([], {}) else value


def _told(path: str, wanted: Any, seen: Any) -> str:
    if isinstance(wanted, frozenset) and isinstance(seen, frozenset) and len(wanted | seen) > 6:
        lacking, extra = sorted(wanted - seen), sorted(seen - wanted)
        return f"{path}: {len(lacking)} values lack {lacking[:3]}, {len(extra)} are too many {extra[:3]}"
    shown = sorted(wanted) if isinstance(wanted, frozenset) else wanted
    read = sorted(seen) if isinstance(seen, frozenset) else seen
    return f"{path}: should be {shown!r}, is {read!r}"
