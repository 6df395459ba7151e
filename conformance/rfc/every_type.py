"""Resource types besides users and groups, which follow the same rules (RFC 7644 §3.2, RFC 7643 §6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from conformance.rfc.expectations import expect, expect_error, expect_status, member
from conformance.rfc.provider import GROUP, USER, ResourceType
from conformance.rfc.stage import Made, NotApplicable, Stage, Untestable, summary
from conformance.rfc.trials import MUST, requirement

_SECTION: Final = "RFC 7644 §3.2"
_READ_ONLY: Final = (403, 404, 405, 501)


def _others(stage: Stage) -> list[tuple[ResourceType, dict[str, Any], Made]]:
    """Make a resource of each other type that clients may make.

    :raises NotApplicable: when there is none.
    """
    made = list(_made(stage))
    if not made:
        raise NotApplicable("there are no other resource types whose resources clients may make")
    return made


def _made(stage: Stage) -> Iterator[tuple[ResourceType, dict[str, Any], Made]]:
    for each in stage.provider.resource_types:
        if each.schema.lower() in (USER.lower(), GROUP.lower()):
            continue
        body = stage.body(each.schema)
        answer = stage.target.post(each.endpoint, body)
        identity = answer.document.get("id")
        if answer.status in _READ_ONLY:
            continue
        if answer.status != 201 or not isinstance(identity, str):
            raise Untestable(f"POST /{each.endpoint} of what is required is answered {summary(answer)}")
        yield each, body, Made(f"{each.endpoint}/{identity}", identity, answer.document, answer)


@requirement("rfc7644-3.2-types-made", _SECTION, MUST, "A resource of any type gets an id, schemas and meta.")
def made(stage: Stage) -> None:
    for each, _, resource in _others(stage):
        schemas = [str(urn).lower() for urn in resource.document.get("schemas") or ()]
        expect(each.schema.lower() in schemas, f"{resource.path}: schemas is {schemas}")
        kind = member(resource.document, "meta.resourceType")
        expect(kind == each.name, f"{resource.path}: meta.resourceType is {kind!r}")
        location = str(member(resource.document, "meta.location"))
        expect(location.endswith(f"/{resource.path}"), f"{resource.path}: meta.location is {location!r}")


@requirement(
    "rfc7644-3.2-types-read", _SECTION, MUST, "A resource of any type is read, and found in its list."
)
def read(stage: Stage) -> None:
    for each, _, resource in _others(stage):
        expect(
            stage.read(resource) == resource.document, f"GET /{resource.path} differs from the answer to POST"
        )
        if stage.provider.supports("filter"):
            answer = stage.target.get(each.endpoint, filter=f'id eq "{resource.id}"')
            expect_status(answer, 200)
            found = [one.get("id") for one in answer.resources]
            expect(found == [resource.id], f"/{each.endpoint} filtered by its id finds {len(found)}")


@requirement("rfc7644-3.2-types-replaced", _SECTION, MUST, "A resource of any type is replaced by PUT.")
def replaced(stage: Stage) -> None:
    for _, body, resource in _others(stage):
        answer = stage.target.put(resource.path, {**body, "externalId": stage.name("external")})
        expect_status(answer, 200)
        expect(stage.read(resource).get("id") == resource.id, "the id has changed")


@requirement(
    "rfc7644-3.2-types-deleted", _SECTION, MUST, "A resource of any type is deleted, and is 404 then."
)
def deleted(stage: Stage) -> None:
    for _, _, resource in _others(stage):
        expect_status(stage.target.delete(resource.path), 204)
        expect_error(stage.target.get(resource.path), 404)


@requirement(
    "rfc7643-6-required-extension",
    "RFC 7643 §6",
    MUST,
    "No resource comes to be without an extension that its type requires.",
)
def required_extension(stage: Stage) -> None:
    tried = False
    for each in stage.provider.resource_types:
        for urn, required in each.extensions:
            if not required:
                continue
            tried = True
            whole = stage.body(each.schema)
            body = {name: value for name, value in whole.items() if name != urn}
            answer = stage.target.post(each.endpoint, {**body, "schemas": [each.schema]})
            expect(answer.status >= 400 or urn in answer.document, f"a {each.name} without {urn} was made")
    if not tried:
        raise NotApplicable("no resource type requires an extension")
