"""Searching with POST, below a resource type and at the root (RFC 7644 §3.4.3, §3.4.2.1)."""

from __future__ import annotations

from typing import Any, Final

from conformance.exchange import Answer
from conformance.rfc.cast import NAMES, cast, pages
from conformance.rfc.expectations import expect, expect_error, expect_refused, expect_status, member
from conformance.rfc.provider import USER
from conformance.rfc.stage import LIST_RESPONSE, SEARCH_REQUEST, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.4.3"
_ROOT: Final = "RFC 7644 §3.4.2.1"


def _search(stage: Stage, path: str, **sent: Any) -> Answer:
    return stage.target.post(path, {"schemas": [SEARCH_REQUEST], **sent})


def _mine(stage: Stage) -> dict[str, Any]:
    everyone = cast(stage)
    return {"filter": f'userName sw "{everyone.tag}"'} if stage.provider.supports("filter") else {}


def _root(stage: Stage, **query: Any) -> Answer:
    answer = stage.target.send("GET", "", query=query or None)
    if answer.status in (404, 405, 501, 403):
        raise NotApplicable(f"queries at the root are not offered: GET / is answered {answer.status}")
    return answer


@requirement(
    "rfc7644-3.4.3-search",
    _SECTION,
    MUST,
    "A search below a resource type is answered 200 with a ListResponse.",
)
def search(stage: Stage) -> None:
    everyone = cast(stage)
    answer = _search(stage, f"{stage.users}/.search", **_mine(stage))
    expect_status(answer, 200)
    expect(
        LIST_RESPONSE in (answer.document.get("schemas") or ()), f"schemas: {answer.document.get('schemas')}"
    )
    found = {everyone.name_of(each.get("id")) for each in answer.resources}
    total = answer.document.get("totalResults")
    expect(found >= set(NAMES) or total != len(answer.resources), f"it finds {found}")


@requirement("rfc7644-3.4.3-filter", _SECTION, MUST, "filter restricts a search.")
def search_filter(stage: Stage) -> None:
    stage.needs("filter")
    everyone = cast(stage)
    answer = _search(stage, f"{stage.users}/.search", filter=f'userName eq "{everyone.tag}ben"')
    expect_status(answer, 200)
    found = [everyone.name_of(each.get("id")) for each in answer.resources]
    expect(found == ["ben"], f"it finds {found}")


@requirement("rfc7644-3.4.3-page", _SECTION, MUST, "startIndex and count page a search.")
def search_page(stage: Stage) -> None:
    cast(stage)
    whole = [
        each.get("id") for each in _search(stage, f"{stage.users}/.search", **_mine(stage), count=4).resources
    ]
    answer = _search(stage, f"{stage.users}/.search", **_mine(stage), startIndex=2, count=2)
    expect_status(answer, 200)
    found = [each.get("id") for each in answer.resources]
    expect(found == whole[1:3], f"the page is {found}, the results are {whole}")


@requirement(
    "rfc7644-3.4.3-attributes",
    _SECTION,
    MUST,
    "attributes, a list of names, restricts what a search returns.",
)
def search_attributes(stage: Stage) -> None:
    cast(stage)
    answer = _search(stage, f"{stage.users}/.search", **_mine(stage), attributes=["userName"])
    expect_status(answer, 200)
    for each in answer.resources:
        expect("userName" in each and "meta" not in each, f"a result holds {', '.join(each)}")


@requirement(
    "rfc7644-3.4.3-excluded",
    _SECTION,
    MUST,
    "excludedAttributes, a list of names, restricts what a search returns.",
)
def search_excluded(stage: Stage) -> None:
    cast(stage)
    answer = _search(stage, f"{stage.users}/.search", **_mine(stage), excludedAttributes=["meta"])
    expect_status(answer, 200)
    for each in answer.resources:
        expect("userName" in each and "meta" not in each, f"a result holds {', '.join(each)}")


@requirement("rfc7644-3.4.3-same", _SECTION, MUST, "A search gives what the same query by GET gives.")
def search_same(stage: Stage) -> None:
    cast(stage)
    by_get = stage.target.get(stage.users, **_mine(stage))
    by_post = _search(stage, f"{stage.users}/.search", **_mine(stage))
    ids = [sorted(str(each.get("id")) for each in answer.resources) for answer in (by_get, by_post)]
    expect(ids[0] == ids[1], f"GET finds {len(ids[0])}, the search finds {len(ids[1])}")


@requirement(
    "rfc7644-3.4.3-invalid-filter",
    _SECTION,
    MUST,
    "A search with an unknown operator is answered 400 invalidFilter.",
)
def search_invalid_filter(stage: Stage) -> None:
    stage.needs("filter")
    expect_error(_search(stage, f"{stage.users}/.search", filter='userName regex "a"'), 400, "invalidFilter")


@requirement(
    "rfc7644-3.4.3-schemas", _SECTION, SHOULD, "A search without the SearchRequest schema is refused."
)
def search_schemas(stage: Stage) -> None:
    expect_refused(stage.target.post(f"{stage.users}/.search", {"schemas": [USER]}))


@requirement(
    "rfc7644-3.4.3-wrong-type",
    "RFC 7644 §3.12",
    SHOULD,
    "A search whose members have wrong types is answered 400.",
)
def search_wrong_type(stage: Stage) -> None:
    expect_status(_search(stage, f"{stage.users}/.search", count="many"), 400)
    expect_status(_search(stage, f"{stage.users}/.search", attributes={"a": 1}), 400)


@requirement("rfc7644-3.4.3-no-creation", _SECTION, MUST, "A search makes nothing.")
def search_no_creation(stage: Stage) -> None:
    body = {**stage.user_body(), "schemas": [SEARCH_REQUEST, USER]}
    answer = stage.target.post(f"{stage.users}/.search", body)
    expect(answer.status != 201, "it is answered 201")


@requirement("rfc7644-3.4.3-root", _SECTION, MUST, "A search at the root finds resources of every type.")
def search_root(stage: Stage) -> None:
    stage.needs("filter")
    cast(stage)
    user, group = stage.new_user(), stage.new_group()
    answer = _search(stage, ".search", filter=f'id eq "{user.id}" or id eq "{group.id}"')
    if answer.status in (404, 405, 501, 403):
        raise NotApplicable(
            f"searches at the root are not offered: POST /.search is answered {answer.status}"
        )
    expect_status(answer, 200)
    found = {each.get("id") for each in answer.resources}
    expect(found == {user.id, group.id}, f"{len(found)} of the two are found")


@requirement("rfc7644-3.4.2.1-root", _ROOT, MUST, "A query at the root finds resources of every type.")
def root(stage: Stage) -> None:
    stage.needs("filter")
    user, group = stage.new_user(), stage.new_group()
    answer = _root(stage, filter=f'id eq "{user.id}" or id eq "{group.id}"')
    expect_status(answer, 200)
    found = {each.get("id") for each in answer.resources}
    expect(found == {user.id, group.id}, f"{len(found)} of the two are found")


@requirement(
    "rfc7644-3.4.2.1-root-type", _ROOT, MUST, "A query at the root may be restricted by meta.resourceType."
)
def root_type(stage: Stage) -> None:
    stage.needs("filter")
    _root(stage, count=1)
    user, group = stage.new_user(), stage.new_group()
    wanted = stage.resource_type(USER).name
    found = list(pages(stage, "", filter=f'meta.resourceType eq "{wanted}"'))
    kinds = {member(each, "meta.resourceType") for each in found}
    expect(kinds == {wanted}, f"the results are of the types {kinds}")
    ids = {each.get("id") for each in found}
    expect(user.id in ids and group.id not in ids, "it does not find the user, or finds the group")


@requirement(
    "rfc7644-3.4.2.1-root-undefined",
    _ROOT,
    MUST,
    "At the root an attribute that a type does not have is one without a value.",
)
def root_undefined(stage: Stage) -> None:
    stage.needs("filter")
    _root(stage, count=1)
    user, group = stage.new_user(), stage.new_group()
    both = f'(id eq "{user.id}" or id eq "{group.id}")'
    for written, wanted in (
        (f"{both} and userName pr", {user.id}),
        (f"{both} and not (userName pr)", {group.id}),
    ):
        answer = _root(stage, filter=written)
        expect_status(answer, 200)
        found = {each.get("id") for each in answer.resources}
        expect(found == wanted, f"{written} finds {len(found)} resources")


@requirement(
    "rfc7644-3.4.2.1-root-config",
    _ROOT,
    SHOULD,
    "A query at the root finds no schemas and no resource types.",
)
def root_discovery(stage: Stage) -> None:
    answer = _root(stage)
    kinds = {member(each, "meta.resourceType") for each in answer.resources}
    expect(
        not kinds & {"Schema", "ResourceType", "ServiceProviderConfig"},
        f"the results are of the types {kinds}",
    )
