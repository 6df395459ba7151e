"""Reading one resource and listing many (RFC 7644 §3.4.1, §3.4.2)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import expect, expect_error, expect_status, member
from conformance.rfc.provider import GROUP, USER
from conformance.rfc.stage import LIST_RESPONSE, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_ONE: Final = "RFC 7644 §3.4.1"
_MANY: Final = "RFC 7644 §3.4.2"


@requirement("rfc7644-3.4.1-read", _ONE, MUST, "A resource is answered 200 at its path, as it was made.")
def read(stage: Stage) -> None:
    for made in (stage.new_user(), *([stage.new_group()] if stage.provider.resource_type(GROUP) else [])):
        answer = stage.target.get(made.path)
        expect_status(answer, 200)
        expect(answer.document == made.document, f"GET /{made.path} differs from the answer to POST")


@requirement("rfc7644-3.4.1-unknown", _ONE, MUST, "A resource that is not there is answered 404.")
def unknown(stage: Stage) -> None:
    expect_error(stage.target.get(f"{stage.users}/{stage.name('missing')}"), 404)


@requirement("rfc7644-3.4.1-id-type", _ONE, MUST, "A group is not found among users by its id.")
def identity_type(stage: Stage) -> None:
    expect_error(stage.target.get(f"{stage.users}/{stage.new_group().id}"), 404)


@requirement("rfc7643-3.1-id-case", "RFC 7643 §3.1", MUST, "The id of a resource is case-exact.")
def identity_case(stage: Stage) -> None:
    made = stage.new_user()
    other = made.id.swapcase()
    if other != made.id:
        expect_error(stage.target.get(f"{stage.users}/{other}"), 404)


@requirement(
    "rfc7643-3.1-content-location",
    "RFC 7643 §3.1",
    MUST,
    "Content-Location, where it is sent, equals meta.location.",
)
def content_location(stage: Stage) -> None:
    answer = stage.target.get(stage.new_user().path)
    seen = answer.headers.get("content-location")
    location = member(answer.document, "meta.location")
    expect(seen is None or seen == location, f"Content-Location is {seen!r}, meta.location is {location!r}")


@requirement(
    "rfc7643-3.1-content-location-sent",
    "RFC 7643 §3.1",
    SHOULD,
    "Reading a resource is answered with Content-Location.",
)
def content_location_sent(stage: Stage) -> None:
    answer = stage.target.get(stage.new_user().path)
    expect(answer.headers.get("content-location"), "there is no Content-Location")


@requirement("rfc7644-3.4.2-list", _MANY, MUST, "A list of resources is a ListResponse.")
def listing(stage: Stage) -> None:
    answer = stage.target.get(stage.users)
    expect_status(answer, 200)
    expect(
        LIST_RESPONSE in (answer.document.get("schemas") or ()), f"schemas: {answer.document.get('schemas')}"
    )


@requirement("rfc7644-3.4.2-total", _MANY, MUST, "A list response has totalResults, an integer.")
def total(stage: Stage) -> None:
    stage.new_user()
    seen = stage.target.get(stage.users).document.get("totalResults")
    expect(isinstance(seen, int) and not isinstance(seen, bool) and seen >= 1, f"totalResults is {seen!r}")


@requirement(
    "rfc7644-3.4.2-resources",
    _MANY,
    MUST,
    "A list response with results has them in Resources, each with its id.",
)
def resources(stage: Stage) -> None:
    made = stage.new_user()
    answer = stage.target.get(stage.users)
    expect(answer.resources, "there is no resource in Resources")
    expect(all(each.get("id") for each in answer.resources), "a resource has no id")
    total = answer.document.get("totalResults")
    if total == len(answer.resources):
        expect(made.id in {each.get("id") for each in answer.resources}, "a new user is not in the list")


@requirement(
    "rfc7644-3.4.2-parameters", _MANY, SHOULD, "Query parameters that the server does not know are ignored."
)
def parameters(stage: Stage) -> None:
    expect_status(stage.target.get(stage.users, **{stage.name("parameter"): "1"}), 200)


@requirement(
    "rfc7644-3.2-every-type", "RFC 7644 §3.2", MUST, "Every resource type that is announced can be listed."
)
def every_type(stage: Stage) -> None:
    for each in stage.provider.resource_types:
        answer = stage.target.get(each.endpoint)
        expect(answer.status in (200, 403), f"GET /{each.endpoint} is answered {answer.status}")
        wrong = {
            str(member(found, "meta.resourceType"))
            for found in answer.resources
            if member(found, "meta.resourceType")
        } - {each.name}
        expect(not wrong, f"GET /{each.endpoint} lists {wrong}")


@requirement(
    "rfc7643-7-returned-declared",
    "RFC 7643 §7",
    SHOULD,
    "A user has no attributes besides those that its schemas declare.",
)
def returned_declared(stage: Stage) -> None:
    document = stage.read(stage.new_user())
    declared = {each.name.lower() for each in stage.provider.attributes(USER)} | {
        "schemas",
        "id",
        "externalid",
        "meta",
    }
    unknown = [
        name for name in document if name.lower() not in declared and not name.lower().startswith("urn:")
    ]
    expect(not unknown, f"not declared: {unknown}")
