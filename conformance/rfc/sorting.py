"""Sorting (RFC 7644 §3.4.2.3)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.cast import NAMES, cast, pages
from conformance.rfc.expectations import expect, expect_status
from conformance.rfc.stage import SEARCH_REQUEST, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.4.2.3"


def _order(stage: Stage, **query: Any) -> list[str]:
    """Return the names of the cast in the order of the answer."""
    stage.needs("sort")
    everyone = cast(stage)
    if stage.provider.supports("filter"):
        query["filter"] = f'userName sw "{everyone.tag}"'
    named = (everyone.name_of(each.get("id")) for each in pages(stage, stage.users, **query))
    return [name for name in named if name is not None]


def _expect_order(seen: list[str], wanted: list[str]) -> None:
    expect(seen == wanted, f"the order is {seen} and not {wanted}")


@requirement(
    "rfc7644-3.4.2.3-ascending", _SECTION, MUST, "sortBy orders by an attribute, ascending by default."
)
def ascending(stage: Stage) -> None:
    _expect_order(_order(stage, sortBy="userName"), list(NAMES))


@requirement("rfc7644-3.4.2.3-ascending-said", _SECTION, MUST, "sortOrder=ascending orders ascending.")
def ascending_said(stage: Stage) -> None:
    _expect_order(_order(stage, sortBy="userName", sortOrder="ascending"), list(NAMES))


@requirement("rfc7644-3.4.2.3-descending", _SECTION, MUST, "sortOrder=descending orders descending.")
def descending(stage: Stage) -> None:
    _expect_order(_order(stage, sortBy="userName", sortOrder="descending"), list(reversed(NAMES)))


@requirement(
    "rfc7644-3.4.2.3-case", _SECTION, MUST, "Texts that are not caseExact are ordered without letter case."
)
def letter_case(stage: Stage) -> None:
    stage.needs("sort")
    name, mark = stage.text(), stage.name("c")
    made = {stage.new_user(**{name: f"{mark} {word}"}).id: word for word in ("b", "A", "C")}
    found = [made[each["id"]] for each in pages(stage, stage.users, sortBy=name) if each.get("id") in made]
    _expect_order(found, ["A", "b", "C"])


@requirement("rfc7644-3.4.2.3-sub-attribute", _SECTION, MUST, "sortBy may name a sub-attribute.")
def sub_attribute(stage: Stage) -> None:
    stage.attribute("name.familyName")
    seen = _order(stage, sortBy="name.familyName")
    families = [each for each in seen if each in ("ada", "ben", "cyd", "eve")]
    expect(
        families in (["ada", "cyd", "ben", "eve"], ["cyd", "ada", "ben", "eve"]), f"the order is {families}"
    )


@requirement("rfc7644-3.4.2.3-missing-last", _SECTION, MUST, "What has no value comes last when ascending.")
def missing_last(stage: Stage) -> None:
    seen = _order(stage, sortBy=stage.text())
    expect(seen and seen[-1] == "dov", f"the order is {seen}; dov has no value")
    expect(seen.index("cyd") > seen.index("ada"), f"the order is {seen}; cyd comes after ada")


@requirement(
    "rfc7644-3.4.2.3-missing-first", _SECTION, MUST, "What has no value comes first when descending."
)
def missing_first(stage: Stage) -> None:
    seen = _order(stage, sortBy=stage.text(), sortOrder="descending")
    expect(seen and seen[0] == "dov", f"the order is {seen}; dov has no value")
    expect(seen.index("cyd") < seen.index("ada"), f"the order is {seen}; cyd comes before ada")


@requirement(
    "rfc7644-3.4.2.3-list",
    _SECTION,
    MUST,
    "A list is ordered by its primary value, or else by its first one.",
)
def by_list(stage: Stage) -> None:
    stage.needs("sort")
    name, mark = stage.values(), stage.name("s")
    stage.attribute(f"{name}.primary")

    def value(word: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": kind, "value": f"{mark}{word}@example.com", **more}

    made = {
        stage.new_user(**{name: [value("c", "work")]}).id: "c",
        stage.new_user(**{name: [value("z", "work"), value("a", "home", primary=True)]}).id: "primary a",
        stage.new_user(**{name: [value("b", "work"), value("y", "home")]}).id: "b",
    }
    found = [
        made[each["id"]]
        for each in pages(stage, stage.users, sortBy=f"{name}.value")
        if each.get("id") in made
    ]
    _expect_order(found, ["primary a", "b", "c"])


@requirement("rfc7644-3.4.2.3-date", _SECTION, MUST, "A dateTime is ordered by time.")
def by_date(stage: Stage) -> None:
    everyone = cast(stage)
    seen = _order(stage, sortBy="meta.created", sortOrder="descending")
    at = {name: str(made.document.get("meta", {}).get("created")) for name, made in everyone.people.items()}
    if len(set(at.values())) < len(at):
        raise NotApplicable("the server's times are too coarse to tell the users apart")
    _expect_order(seen, list(reversed(NAMES)))


@requirement(
    "rfc7644-3.4.2.3-name-case", "RFC 7643 §2.1", MUST, "The attribute in sortBy is without letter case."
)
def name_case(stage: Stage) -> None:
    _expect_order(_order(stage, sortBy="USERNAME", sortOrder="descending"), list(reversed(NAMES)))


@requirement("rfc7644-3.4.2.3-search", "RFC 7644 §3.4.3", MUST, "sortBy and sortOrder hold in a search too.")
def by_search(stage: Stage) -> None:
    stage.needs("sort")
    everyone = cast(stage)
    body: dict[str, Any] = {"schemas": [SEARCH_REQUEST], "sortBy": "userName", "sortOrder": "descending"}
    if stage.provider.supports("filter"):
        body["filter"] = f'userName sw "{everyone.tag}"'
    answer = stage.target.post(f"{stage.users}/.search", body)
    expect_status(answer, 200)
    found = [name for each in answer.resources if (name := everyone.name_of(each.get("id")))]
    _expect_order(found, list(reversed(NAMES)))


@requirement("rfc7644-3.4.2.3-pages", _SECTION, SHOULD, "The order holds over page boundaries.")
def over_pages(stage: Stage) -> None:
    _expect_order(_order(stage, sortBy="userName", count=4), list(NAMES))
