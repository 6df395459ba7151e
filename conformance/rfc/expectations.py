"""Small judgements that trials share; each raises Deviates with what was seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from conformance.exchange import Answer
from conformance.rfc.stage import Deviates, summary


def expect(holds: object, seen: str) -> None:
    """:raises Deviates: with what was seen, when it does not hold."""
    if not holds:
        raise Deviates(seen)


def expect_status(answer: Answer, *statuses: int) -> None:
    """:raises Deviates: when the status is none of these."""
    wanted = " or ".join(map(str, statuses))
    expect(answer.status in statuses, f"expected {wanted}, got {summary(answer)}")


def expect_error(answer: Answer, status: int, scim_type: str | None = None) -> None:
    """:raises Deviates: when the answer is not an error of this status and ``scimType``."""
    expect_status(answer, status)
    if scim_type is not None:
        seen = answer.document.get("scimType")
        expect(seen == scim_type, f"expected scimType {scim_type!r}, got {seen!r}")


def expect_refused(answer: Answer) -> None:
    """:raises Deviates: when the server does not refuse, or breaks down over it."""
    expect(400 <= answer.status < 500, f"expected a refusal (4xx), got {summary(answer)}")


def expect_same(seen: Any, wanted: Any, of: str) -> None:
    """:raises Deviates: when two values differ; texts are compared without letter case."""
    expect(plain(seen) == plain(wanted), f"{of}: expected {wanted!r}, got {seen!r}")


def plain(value: Any) -> Any:
    """Return a value in the form in which it is compared: a server may alter letter case (RFC 7643 §7)."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def member(document: Any, path: str) -> Any:
    """Return what a document has at a path, names being without letter case; None when nothing.

    The path of an attribute of an extension is its URN, a colon and its name.
    """
    if path.lower().startswith("urn:"):
        urn, _, path = path.rpartition(":")
        document = member_named(document, urn)
    name, _, rest = path.partition(".")
    found = member_named(document, name)
    return member(found, rest) if rest else found


def member_named(document: Any, name: str) -> Any:
    """Return a member of an object by its name, without letter case."""
    if not isinstance(document, Mapping):
        return None
    return next((value for key, value in document.items() if key.lower() == name.lower()), None)


def elements(document: Any, path: str, sub: str = "value") -> list[Any]:
    """Return one sub-attribute of every element of a list, in comparable form and sorted."""
    found = member(document, path)
    listed = found if isinstance(found, list) else []
    return sorted((plain(member_named(each, sub)) for each in listed), key=str)


def moment(value: Any, of: str) -> datetime:
    """Return a dateTime (RFC 7643 §2.3.5).

    :raises Deviates: when it is none.
    """
    text = value if isinstance(value, str) else ""
    expect(re.match(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d", text), f"{of} is no dateTime: {value!r}")
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text).replace("Z", "+00:00"))
    except ValueError as error:
        raise Deviates(f"{of} is no dateTime: {value!r}") from error


def media_type(answer: Answer) -> str:
    """Return the media type of an answer's body, without parameters."""
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()
