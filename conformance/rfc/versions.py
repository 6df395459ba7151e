"""Versions of resources and what is asked of them (RFC 7644 §3.14, RFC 7643 §3.1)."""

from __future__ import annotations

from typing import Final

from conformance.exchange import Answer
from conformance.rfc.expectations import expect, expect_same, expect_status, member
from conformance.rfc.provider import GROUP
from conformance.rfc.stage import PATCH_OPERATION, Made, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.14"
_OTHER: Final = 'W/"of-another-time"'


def _etag(answer: Answer) -> str:
    found = str(answer.headers.get("etag", ""))
    expect(found, f"an answer of the status {answer.status} has no ETag")
    return found


def _conditional(stage: Stage, method: str, made: Made, header: str, tag: str) -> Answer:
    stage.needs("etag")
    body = {
        "PUT": stage.user_body(),
        "PATCH": {
            "schemas": [PATCH_OPERATION],
            "Operations": [{"op": "add", "path": stage.text(), "value": stage.name()}],
        },
    }.get(method)
    return stage.target.send(method, made.path, body, headers={header: tag})


@requirement("rfc7644-3.14-header", _SECTION, MUST, "A resource is answered with an ETag.")
def header(stage: Stage) -> None:
    stage.needs("etag")
    made = stage.new_user()
    _etag(made.answer)
    _etag(stage.target.get(made.path))


@requirement("rfc7644-3.14-meta", _SECTION, SHOULD, "The version is in meta.version too.")
def in_meta(stage: Stage) -> None:
    stage.needs("etag")
    expect(member(stage.read(stage.new_user()), "meta.version"), "there is no meta.version")


@requirement("rfc7643-3.1-version", "RFC 7643 §3.1", MUST, "meta.version equals the ETag.")
def same(stage: Stage) -> None:
    stage.needs("etag")
    answer = stage.target.get(stage.new_user().path)
    version = member(answer.document, "meta.version")
    expect(version in (None, _etag(answer)), f"meta.version is {version!r}, the ETag is {_etag(answer)!r}")


@requirement(
    "rfc7644-3.14-form",
    "RFC 7643 §3.1",
    MUST,
    "An ETag is a text in quotes, with W/ before it when it is weak.",
)
def form(stage: Stage) -> None:
    stage.needs("etag")
    tag = _etag(stage.target.get(stage.new_user().path))
    expect(
        tag.removeprefix("W/").startswith('"') and tag.endswith('"') and len(tag) > 2, f"the ETag is {tag!r}"
    )


@requirement(
    "rfc7644-3.14-not-modified",
    _SECTION,
    MUST,
    "If-None-Match with the version of the resource is answered 304, without a body.",
)
def not_modified(stage: Stage) -> None:
    stage.needs("etag")
    made = stage.new_user()
    answer = _conditional(stage, "GET", made, "If-None-Match", _etag(stage.target.get(made.path)))
    expect_status(answer, 304)
    expect(not answer.text, f"there is a body: {answer.text[:100]!r}")


@requirement(
    "rfc7644-3.14-modified",
    _SECTION,
    MUST,
    "If-None-Match with another version is answered with the resource.",
)
def modified(stage: Stage) -> None:
    expect_status(_conditional(stage, "GET", stage.new_user(), "If-None-Match", _OTHER), 200)


for _method in ("PUT", "PATCH", "DELETE"):

    @requirement(
        f"rfc7644-3.14-mismatch-{_method.lower()}",
        _SECTION,
        MUST,
        f"A {_method} with If-Match and another version is refused and changes nothing.",
    )
    def mismatch(stage: Stage, method: str = _method) -> None:
        if method == "PATCH":
            stage.needs("patch")
        made = stage.new_user()
        before = stage.read(made)
        answer = _conditional(stage, method, made, "If-Match", _OTHER)
        expect(answer.status in (412, 409), f"expected 412, got {answer.status}")
        expect(stage.read(made) == before, "the resource has changed")

    @requirement(
        f"rfc7644-3.14-match-{_method.lower()}",
        _SECTION,
        MUST,
        f"A {_method} with If-Match and the version of the resource is carried out.",
    )
    def match(stage: Stage, method: str = _method) -> None:
        if method == "PATCH":
            stage.needs("patch")
        stage.needs("etag")
        made = stage.new_user()
        answer = _conditional(stage, method, made, "If-Match", _etag(stage.target.get(made.path)))
        expect_status(answer, 200, 204)


@requirement(
    "rfc7644-3.14-mismatch-status", "RFC 7644 §3.12", SHOULD, "A version that does not match is answered 412."
)
def mismatch_status(stage: Stage) -> None:
    expect_status(_conditional(stage, "PUT", stage.new_user(), "If-Match", _OTHER), 412)


@requirement("rfc7644-3.14-any", _SECTION, SHOULD, "If-Match: * is met by any resource that is there.")
def any_version(stage: Stage) -> None:
    expect_status(_conditional(stage, "PUT", stage.new_user(), "If-Match", "*"), 200)


@requirement("rfc7644-3.14-changes", _SECTION, MUST, "A change gives the resource another version.")
def changes(stage: Stage) -> None:
    stage.needs("etag")
    body = stage.user_body()
    made = stage.make(stage.users, body)
    before = _etag(stage.target.get(made.path))
    expect_status(stage.target.put(made.path, {**body, stage.text(): stage.name()}), 200)
    expect(_etag(stage.target.get(made.path)) != before, f"the ETag is {before!r} still")


@requirement("rfc7644-3.14-stays", _SECTION, MUST, "Reading does not change the version.")
def stays(stage: Stage) -> None:
    stage.needs("etag")
    made = stage.new_user()
    first, second = (_etag(stage.target.get(made.path)) for _ in range(2))
    expect(first == second, f"the ETag was {first!r} and is {second!r}")


@requirement("rfc7644-3.14-list", _SECTION, SHOULD, "meta.version in a list is the resource's own.")
def in_list(stage: Stage) -> None:
    stage.needs("etag")
    stage.needs("filter")
    made = stage.new_user()
    own = member(stage.read(made), "meta.version")
    listed = stage.target.get(stage.users, filter=f'id eq "{made.id}"').resources
    expect(listed and member(listed[0], "meta.version") == own, "it is another one, or the user is not found")


@requirement("rfc7644-3.14-members", _SECTION, MUST, "A change of its members gives a group another version.")
def members(stage: Stage) -> None:
    stage.needs("etag")
    stage.needs("patch")
    stage.attribute("members", GROUP)
    group, user = stage.new_group(), stage.new_user()
    before = _etag(stage.target.get(group.path, excludedAttributes="members"))
    stage.patched(group, {"op": "add", "path": "members", "value": [{"value": user.id}]})
    after = _etag(stage.target.get(group.path, excludedAttributes="members"))
    expect(before != after, f"the ETag is {before!r} still")


@requirement("rfc7644-3.14-answer", _SECTION, MUST, "The ETag of an answer to a change is the new one.")
def of_answer(stage: Stage) -> None:
    stage.needs("etag")
    body = stage.user_body()
    made = stage.make(stage.users, body)
    answer = stage.target.put(made.path, {**body, stage.text(): stage.name()})
    expect_same(_etag(answer), _etag(stage.target.get(made.path)), "ETag of PUT")
