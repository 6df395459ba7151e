"""ResourceTypes: which kinds of resources there are, and where (RFC 7643 §6, RFC 7644 §4)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.expectations import expect, expect_error, expect_status, member
from conformance.rfc.stage import LIST_RESPONSE, Stage, Untestable
from conformance.rfc.trials import MUST, SHOULD, requirement

_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
_SECTION: Final = "RFC 7643 §6"


def _listed(stage: Stage) -> list[dict[str, Any]]:
    answer = stage.target.get("ResourceTypes")
    if answer.status != 200 or not answer.resources:
        raise Untestable(f"GET /ResourceTypes is answered {answer.status} with no resources")
    return answer.resources


@requirement("rfc7644-4-types-listed", "RFC 7644 §4", MUST, "/ResourceTypes answers with a list response.")
def types_listed(stage: Stage) -> None:
    answer = stage.target.get("ResourceTypes")
    expect_status(answer, 200)
    expect(
        LIST_RESPONSE in (answer.document.get("schemas") or ()), f"schemas: {answer.document.get('schemas')}"
    )
    expect(answer.resources, "no resource type is listed")
    total = answer.document.get("totalResults")
    expect(total == len(answer.resources), f"totalResults is {total!r} of {len(answer.resources)} resources")


@requirement(
    "rfc7643-6-type-schemas", _SECTION, MUST, "A resource type names the ResourceType schema in schemas."
)
def type_schemas(stage: Stage) -> None:
    for each in _listed(stage):
        expect(_URN in (each.get("schemas") or ()), f"{each.get('name')}: schemas is {each.get('schemas')!r}")


@requirement("rfc7643-6-type-members", _SECTION, MUST, "A resource type has name, endpoint and schema.")
def type_members(stage: Stage) -> None:
    for each in _listed(stage):
        missing = [name for name in ("name", "endpoint", "schema") if not isinstance(each.get(name), str)]
        expect(not missing, f"{each.get('name')!r} has no {', '.join(missing)}")


@requirement(
    "rfc7643-6-type-schema-known",
    _SECTION,
    MUST,
    "The schema of a resource type is the id of a listed schema.",
)
def type_schema_known(stage: Stage) -> None:
    known = {each.get("id") for each in stage.target.get("Schemas").resources}
    for each in _listed(stage):
        expect(each.get("schema") in known, f"/Schemas does not list {each.get('schema')!r}")


@requirement(
    "rfc7643-6-extensions",
    _SECTION,
    MUST,
    "Each extension of a resource type has schema, the id of a listed schema, and required, a boolean.",
)
def extensions(stage: Stage) -> None:
    known = {each.get("id") for each in stage.target.get("Schemas").resources}
    for each in _listed(stage):
        for extension in each.get("schemaExtensions") or ():
            schema, required = member(extension, "schema"), member(extension, "required")
            expect(schema in known, f"{each.get('name')}: /Schemas does not list {schema!r}")
            expect(isinstance(required, bool), f"{each.get('name')}: required of {schema} is {required!r}")


@requirement(
    "rfc7643-6-endpoint-relative",
    _SECTION,
    MUST,
    "The endpoint of a resource type is relative to the base URL, and answers.",
)
def endpoint_relative(stage: Stage) -> None:
    for each in _listed(stage):
        endpoint = str(each.get("endpoint"))
        expect("://" not in endpoint, f"{each.get('name')}: endpoint is {endpoint!r}")
        answer = stage.target.get(endpoint, count=1)
        expect(answer.status != 404, f"GET {endpoint} is answered 404")


@requirement(
    "rfc7644-4-type-single",
    "RFC 7644 §4",
    MUST,
    "A single resource type is answered as a single JSON object.",
)
def type_single(stage: Stage) -> None:
    for each in _listed(stage):
        answer = stage.target.get(f"ResourceTypes/{each.get('id') or each.get('name')}")
        expect_status(answer, 200)
        expect(
            answer.document.get("name") == each.get("name"), f"its name is {answer.document.get('name')!r}"
        )
        expect("Resources" not in answer.document, "a single resource type comes as a list")


@requirement(
    "rfc7644-4-type-unknown", "RFC 7644 §4", MUST, "An unknown resource type is answered 404 as an error."
)
def type_unknown(stage: Stage) -> None:
    expect_error(stage.target.get(f"ResourceTypes/{stage.name('Unknown')}"), 404)


@requirement(
    "rfc7643-3.1-type-location",
    "RFC 7643 §3.1",
    SHOULD,
    "meta of a resource type says where it is and that it is a ResourceType.",
)
def type_location(stage: Stage) -> None:
    for each in _listed(stage):
        expect(member(each, "meta.resourceType") == "ResourceType", f"meta is {each.get('meta')!r}")
        expect("/ResourceTypes/" in str(member(each, "meta.location")), f"meta is {each.get('meta')!r}")


@requirement("rfc7644-4-types-filter", "RFC 7644 §4", SHOULD, "A filter on /ResourceTypes is answered 403.")
def types_filter(stage: Stage) -> None:
    expect_status(stage.target.get("ResourceTypes", filter='name eq "User"'), 403)


@requirement(
    "rfc7643-6-types-read-only", _SECTION, MUST, "Resource types cannot be made or deleted by a client."
)
def types_read_only(stage: Stage) -> None:
    before = _listed(stage)
    posted = stage.target.post("ResourceTypes", {**before[0], "id": stage.name(), "name": stage.name("Type")})
    deleted = stage.target.delete(f"ResourceTypes/{stage.name('Unknown')}")
    expect(posted.status >= 400, f"POST /ResourceTypes is answered {posted.status}")
    expect(deleted.status >= 400, f"DELETE below /ResourceTypes is answered {deleted.status}")
    expect(_listed(stage) == before, "the resource types are other ones afterwards")
