"""Paging by index (RFC 7644 §3.4.2.4)."""

from __future__ import annotations

from typing import Any, Final

from conformance.exchange import Answer
from conformance.rfc.cast import NAMES, cast, pages
from conformance.rfc.expectations import expect, expect_status
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.4.2.4"


def _page(stage: Stage, **query: Any) -> Answer:
    """Return a page of the users, or of the cast where filters are supported."""
    pagination = stage.provider.configuration.get("pagination")
    if isinstance(pagination, dict) and pagination.get("index") is False:
        raise NotApplicable("ServiceProviderConfig says that paging by index is not supported")
    if stage.provider.supports("filter"):
        query.setdefault("filter", f'userName sw "{cast(stage).tag}"')
    answer = stage.target.get(stage.users, **query)
    expect_status(answer, 200)
    return answer


def _total(answer: Answer) -> int:
    total = answer.document.get("totalResults")
    return total if isinstance(total, int) else -1


@requirement("rfc7644-3.4.2.4-count", _SECTION, MUST, "A page holds no more than count resources.")
def count(stage: Stage) -> None:
    cast(stage)
    for number in (1, 2, 5):
        answer = _page(stage, count=number)
        expect(0 < len(answer.resources) <= number, f"count={number} gives {len(answer.resources)} resources")


@requirement(
    "rfc7644-3.4.2.4-total", _SECTION, MUST, "totalResults of a page counts all matches, not the page's."
)
def total(stage: Stage) -> None:
    cast(stage)
    whole, part = _total(_page(stage)), _total(_page(stage, count=1))
    expect(part == whole and part >= len(NAMES), f"totalResults is {part} on a page and {whole} without")


@requirement(
    "rfc7644-3.4.2.4-items",
    _SECTION,
    MUST,
    "A page that is not everything has itemsPerPage, its number of resources.",
)
def items(stage: Stage) -> None:
    cast(stage)
    answer = _page(stage, count=2)
    seen = answer.document.get("itemsPerPage")
    expect(seen == len(answer.resources), f"itemsPerPage is {seen!r} of {len(answer.resources)} resources")


@requirement(
    "rfc7644-3.4.2.4-start",
    _SECTION,
    MUST,
    "A page that is not everything has startIndex, its first result's.",
)
def start(stage: Stage) -> None:
    cast(stage)
    for number in (1, 3):
        seen = _page(stage, startIndex=number, count=2).document.get("startIndex")
        expect(seen == number, f"startIndex is {seen!r} for startIndex={number}")


@requirement("rfc7644-3.4.2.4-start-shifts", _SECTION, MUST, "startIndex=2 begins with the second result.")
def start_shifts(stage: Stage) -> None:
    cast(stage)
    first = [each.get("id") for each in _page(stage, count=3).resources]
    second = [each.get("id") for each in _page(stage, startIndex=2, count=3).resources]
    expect(len(first) > 1 and first[1:] == second[: len(first) - 1], f"{first} is followed by {second}")


@requirement("rfc7644-3.4.2.4-start-low", _SECTION, MUST, "A startIndex below 1 is taken for 1.")
def start_low(stage: Stage) -> None:
    cast(stage)
    wanted = [each.get("id") for each in _page(stage, startIndex=1, count=2).resources]
    for number in (0, -5):
        answer = _page(stage, startIndex=number, count=2)
        found = [each.get("id") for each in answer.resources]
        expect(found == wanted, f"startIndex={number} begins otherwise than startIndex=1")
        seen = answer.document.get("startIndex")
        expect(seen in (None, 1), f"startIndex={number} is answered with startIndex {seen!r}")


@requirement("rfc7644-3.4.2.4-count-zero", _SECTION, MUST, "count=0 gives totalResults and no resources.")
def count_zero(stage: Stage) -> None:
    cast(stage)
    answer = _page(stage, count=0)
    expect(not answer.resources, f"{len(answer.resources)} resources are given")
    expect(_total(answer) >= len(NAMES), f"totalResults is {_total(answer)}")


@requirement("rfc7644-3.4.2.4-count-negative", _SECTION, MUST, "A negative count is taken for 0.")
def count_negative(stage: Stage) -> None:
    cast(stage)
    answer = _page(stage, count=-1)
    expect(not answer.resources, f"{len(answer.resources)} resources are given")
    expect(_total(answer) >= len(NAMES), f"totalResults is {_total(answer)}")


@requirement(
    "rfc7644-3.4.2.4-beyond", _SECTION, MUST, "A startIndex beyond the last result gives a list with none."
)
def beyond(stage: Stage) -> None:
    cast(stage)
    answer = _page(stage, startIndex=1_000_000)
    expect(not answer.resources, f"{len(answer.resources)} resources are given")
    expect(_total(answer) >= len(NAMES), f"totalResults is {_total(answer)}")


@requirement("rfc7644-3.4.2.4-whole", _SECTION, MUST, "The pages together hold every result, and none twice.")
def whole(stage: Stage) -> None:
    everyone = cast(stage)
    _page(stage, count=1)
    query = {"filter": f'userName sw "{everyone.tag}"'} if stage.provider.supports("filter") else {}
    found = [everyone.name_of(each.get("id")) for each in pages(stage, stage.users, count=4, **query)]
    seen = sorted(name for name in found if name)
    expect(seen == sorted(NAMES), f"the pages hold {seen}")


@requirement(
    "rfc7644-3.4.2.4-no-number",
    "RFC 7644 §3.12",
    SHOULD,
    "A count or startIndex that is no number is answered 400.",
)
def no_number(stage: Stage) -> None:
    for name in ("count", "startIndex"):
        answer = stage.target.get(stage.users, **{name: "many"})
        expect(answer.status == 400, f"{name}=many is answered {answer.status}")


@requirement(
    "rfc7643-5-max-results", "RFC 7643 §5", MUST, "No answer holds more resources than filter.maxResults."
)
def max_results(stage: Stage) -> None:
    stage.needs("filter")
    cast(stage)
    most = stage.provider.limit("filter", "maxResults")
    if not most:
        raise NotApplicable("ServiceProviderConfig has no filter.maxResults")
    answer = stage.target.get(stage.users, filter="userName pr", count=most + 1_000)
    if answer.status == 400 and answer.document.get("scimType") == "tooMany":
        return
    expect_status(answer, 200)
    expect(
        len(answer.resources) <= most, f"{len(answer.resources)} resources are given, maxResults is {most}"
    )
