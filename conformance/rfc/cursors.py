"""Paging by cursor (RFC 9865), where the server announces it."""

from __future__ import annotations

import re
from typing import Any, Final

from conformance.exchange import Answer
from conformance.rfc.cast import NAMES, cast
from conformance.rfc.expectations import expect, expect_error, expect_status
from conformance.rfc.stage import SEARCH_REQUEST, NotApplicable, Stage, Untestable
from conformance.rfc.trials import MUST, SHOULD, requirement

_PAGES: Final = "RFC 9865 §2"
_ERRORS: Final = "RFC 9865 §2.1"
_ANNOUNCED: Final = "RFC 9865 §4"


def _announced(stage: Stage) -> dict[str, Any]:
    found = stage.provider.configuration.get("pagination")
    if not isinstance(found, dict) or found.get("cursor") is not True:
        raise NotApplicable("ServiceProviderConfig does not announce paging by cursor")
    return found


def _query(stage: Stage, **query: Any) -> dict[str, Any]:
    _announced(stage)
    tag = cast(stage).tag
    return {"filter": f'userName sw "{tag}"', **query} if stage.provider.supports("filter") else query


def _page(stage: Stage, cursor: str = "", **query: Any) -> Answer:
    answer = stage.target.get(stage.users, **_query(stage, cursor=cursor, **query))
    expect_status(answer, 200)
    return answer


def _follow(stage: Stage, **query: Any) -> list[Answer]:
    """Return all pages from the first one on."""
    found = [_page(stage, **query)]
    while cursor := found[-1].document.get("nextCursor"):
        if len(found) > 1_000:
            raise Untestable("there is no end of pages")
        found.append(_page(stage, cursor=str(cursor), **query))
    return found


@requirement(
    "rfc9865-4-members",
    _ANNOUNCED,
    MUST,
    "pagination of ServiceProviderConfig has cursor and index, booleans.",
)
def members(stage: Stage) -> None:
    found = stage.provider.configuration.get("pagination")
    if not isinstance(found, dict):
        raise NotApplicable("ServiceProviderConfig has no pagination")
    for name in ("cursor", "index"):
        expect(isinstance(found.get(name), bool), f"{name} is {found.get(name)!r}")


@requirement("rfc9865-4-values", _ANNOUNCED, MUST, "What else pagination says has the right type.")
def values(stage: Stage) -> None:
    found = _announced(stage)
    expect(found.get("defaultPaginationMethod") in (None, "cursor", "index"), f"it is {found!r}")
    for name in ("defaultPageSize", "maxPageSize", "cursorTimeout"):
        value = found.get(name)
        expect(value is None or (isinstance(value, int) and value > 0), f"{name} is {value!r}")


@requirement("rfc9865-2-first", _PAGES, MUST, "An empty cursor asks for the first page.")
def first(stage: Stage) -> None:
    answer = _page(stage, count=2)
    expect(0 < len(answer.resources) <= 2, f"{len(answer.resources)} resources are given")


@requirement("rfc9865-2-next", _PAGES, MUST, "A page that is not the last one has nextCursor.")
def following(stage: Stage) -> None:
    seen = _page(stage, count=2).document.get("nextCursor")
    expect(isinstance(seen, str) and seen, f"nextCursor is {seen!r}")


@requirement("rfc9865-2-last", _PAGES, MUST, "The last page has no nextCursor.")
def last(stage: Stage) -> None:
    end = _follow(stage, count=len(NAMES) if stage.provider.supports("filter") else 50)[-1]
    expect("nextCursor" not in end.document, f"nextCursor is {end.document.get('nextCursor')!r}")


@requirement("rfc9865-2-whole", _PAGES, MUST, "The pages together hold every result, and none twice.")
def whole(stage: Stage) -> None:
    everyone = cast(stage)
    listed = [everyone.name_of(each.get("id")) for page in _follow(stage, count=2) for each in page.resources]
    seen = sorted(name for name in listed if name)
    expect(seen == sorted(NAMES), f"the pages hold {seen}")


@requirement("rfc9865-2-characters", _PAGES, MUST, "A cursor is made of unreserved characters of a URI.")
def characters(stage: Stage) -> None:
    for page in _follow(stage, count=2):
        for name in ("nextCursor", "previousCursor"):
            seen = page.document.get(name)
            expect(seen is None or re.fullmatch(r"[A-Za-z0-9._~-]+", str(seen)), f"{name} is {seen!r}")


@requirement("rfc9865-2-count", _PAGES, MUST, "A page holds no more than count resources.")
def count(stage: Stage) -> None:
    for page in _follow(stage, count=4):
        expect(len(page.resources) <= 4, f"a page holds {len(page.resources)} resources")


@requirement("rfc9865-2-total", _PAGES, SHOULD, "totalResults counts the results of all pages.")
def total(stage: Stage) -> None:
    seen = {page.document.get("totalResults") for page in _follow(stage, count=4)}
    expect(
        len(seen) == 1 and all(isinstance(each, int) and each >= len(NAMES) for each in seen), f"it is {seen}"
    )


@requirement("rfc9865-2-first-previous", _PAGES, SHOULD, "The first page has no previousCursor.")
def first_previous(stage: Stage) -> None:
    expect("previousCursor" not in _page(stage, count=2).document, "there is a previousCursor")


@requirement(
    "rfc9865-2-previous", _PAGES, MUST, "previousCursor, where it is given, leads to the page before."
)
def previous(stage: Stage) -> None:
    found = _follow(stage, count=2)
    cursor = found[1].document.get("previousCursor") if len(found) > 1 else None
    if cursor is None:
        raise NotApplicable("no previousCursor is given")
    back = [each.get("id") for each in _page(stage, cursor=str(cursor), count=2).resources]
    expect(back == [each.get("id") for each in found[0].resources], "it leads to another page")


@requirement("rfc9865-2-sorted", "RFC 9865 §2.2", SHOULD, "The pages of a sorted query are sorted.")
def is_sorted(stage: Stage) -> None:
    stage.needs("sort")
    everyone = cast(stage)
    found = _follow(stage, count=2, sortBy="userName", sortOrder="descending")
    listed = [name for page in found for each in page.resources if (name := everyone.name_of(each.get("id")))]
    expect(listed == list(reversed(NAMES)), f"the order is {listed}")


@requirement(
    "rfc9865-2-while-writing",
    _PAGES,
    SHOULD,
    "Users that are made while the pages are read make none appear twice or not at all.",
)
def while_writing(stage: Stage) -> None:
    everyone = cast(stage)
    found = [_page(stage, count=2, sortBy="userName")]
    while cursor := found[-1].document.get("nextCursor"):
        gone = stage.new_user(userName=f"{everyone.tag}a{len(found)}")
        stage.new_user(userName=f"{everyone.tag}z{len(found)}")
        stage.target.delete(gone.path)
        found.append(_page(stage, cursor=str(cursor), count=2, sortBy="userName"))
        if len(found) > 100:
            raise Untestable("there is no end of pages")
    listed = [name for page in found for each in page.resources if (name := everyone.name_of(each.get("id")))]
    expect(sorted(listed) == sorted(NAMES), f"the pages hold {listed}")


@requirement(
    "rfc9865-2.1-invalid",
    _ERRORS,
    SHOULD,
    "A cursor that the server did not make is answered 400 invalidCursor.",
)
def invalid(stage: Stage) -> None:
    answer = stage.target.get(stage.users, **_query(stage, cursor=stage.name("cursor"), count=2))
    expect_error(answer, 400, "invalidCursor")


@requirement("rfc9865-2.1-other-query", _PAGES, SHOULD, "A cursor of another query is refused.")
def other_query(stage: Stage) -> None:
    stage.needs("filter")
    cursor = _page(stage, count=2).document.get("nextCursor")
    query = {"filter": f'userName eq "{cast(stage).tag}ada"', "cursor": str(cursor), "count": 2}
    answer = stage.target.get(stage.users, **query)
    expect(answer.status == 400, f"it is answered {answer.status} with {len(answer.resources)} resources")


@requirement(
    "rfc9865-2.1-count",
    _ERRORS,
    SHOULD,
    "A count that is no number is answered 400 invalidCount with a cursor.",
)
def invalid_count(stage: Stage) -> None:
    answer = stage.target.get(stage.users, **_query(stage, cursor="", count="many"))
    expect_error(answer, 400, "invalidCount")


@requirement(
    "rfc9865-2.1-both", _ERRORS, SHOULD, "A cursor and a startIndex together are no reason to break down."
)
def both(stage: Stage) -> None:
    cast(stage)
    answer = stage.target.get(stage.users, **_query(stage, cursor="", startIndex=1, count=2))
    expect(answer.status in (200, 400), f"it is answered {answer.status}")


@requirement("rfc9865-3-search", "RFC 9865 §3", MUST, "A search takes a cursor in its body.")
def search(stage: Stage) -> None:
    everyone = cast(stage)
    body: dict[str, Any] = {"schemas": [SEARCH_REQUEST], **_query(stage, cursor="", count=4)}
    names: list[str] = []
    for _ in range(1_000):
        answer = stage.target.post(f"{stage.users}/.search", body)
        expect_status(answer, 200)
        names += [name for each in answer.resources if (name := everyone.name_of(each.get("id")))]
        if not answer.document.get("nextCursor"):
            break
        body = {**body, "cursor": answer.document["nextCursor"]}
    expect(sorted(names) == sorted(NAMES), f"the pages hold {names}")


@requirement(
    "rfc9865-2.3-default",
    "RFC 9865 §2.3",
    MUST,
    "Without a paging parameter a list is answered, by the method that is announced.",
)
def default(stage: Stage) -> None:
    method = _announced(stage).get("defaultPaginationMethod")
    answer = stage.target.get(stage.users, **_query(stage, count=2))
    expect_status(answer, 200)
    has = "nextCursor" in answer.document
    expect(
        method is None or has == (method == "cursor"), f"the method is {method}, nextCursor is given: {has}"
    )
