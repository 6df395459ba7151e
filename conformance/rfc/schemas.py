"""Schemas: what attributes resources have, and how each behaves (RFC 7643 §7, RFC 7644 §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from conformance.rfc.expectations import expect, expect_error, expect_status, member
from conformance.rfc.provider import GROUP, USER
from conformance.rfc.stage import LIST_RESPONSE, NotApplicable, Stage, Untestable
from conformance.rfc.trials import MUST, SHOULD, requirement

_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:Schema"
_SECTION: Final = "RFC 7643 §7"
_TYPES: Final = {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"}


def _listed(stage: Stage) -> list[dict[str, Any]]:
    answer = stage.target.get("Schemas")
    if answer.status != 200 or not answer.resources:
        raise Untestable(f"GET /Schemas is answered {answer.status} with no resources")
    return answer.resources


def _attributes(stage: Stage) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Return every declared attribute with its path, and whether it is a sub-attribute."""
    for schema in _listed(stage):
        for attribute in schema.get("attributes") or ():
            if isinstance(attribute, dict):
                path = f"{schema.get('id')}:{attribute.get('name')}"
                yield path, attribute, False
                for sub in attribute.get("subAttributes") or ():
                    if isinstance(sub, dict):
                        yield f"{path}.{sub.get('name')}", sub, True


@requirement(
    "rfc7644-4-schemas-listed", "RFC 7644 §4", MUST, "/Schemas answers all schemas as a list response."
)
def schemas_listed(stage: Stage) -> None:
    answer = stage.target.get("Schemas")
    expect_status(answer, 200)
    expect(
        LIST_RESPONSE in (answer.document.get("schemas") or ()), f"schemas: {answer.document.get('schemas')}"
    )
    total = answer.document.get("totalResults")
    expect(total == len(answer.resources), f"totalResults is {total!r} of {len(answer.resources)} resources")


@requirement(
    "rfc7643-7-schema-id", _SECTION, MUST, "The id of a schema is its URI, and no two have the same."
)
def schema_id(stage: Stage) -> None:
    ids = [str(each.get("id")) for each in _listed(stage)]
    expect(all(":" in each for each in ids), f"ids: {ids}")
    expect(len(set(map(str.lower, ids))) == len(ids), f"the same schema twice: {ids}")


@requirement("rfc7643-7-schema-schemas", _SECTION, MUST, "A schema names the Schema schema in schemas.")
def schema_schemas(stage: Stage) -> None:
    for each in _listed(stage):
        expect(_URN in (each.get("schemas") or ()), f"{each.get('id')}: schemas is {each.get('schemas')!r}")


@requirement("rfc7643-7-schema-attributes", _SECTION, MUST, "A schema lists its attributes.")
def schema_attributes(stage: Stage) -> None:
    for each in _listed(stage):
        expect(isinstance(each.get("attributes"), list), f"{each.get('id')} has no list of attributes")


@requirement("rfc7643-7-schema-name", _SECTION, SHOULD, "A schema has a name and a description for people.")
def schema_name(stage: Stage) -> None:
    for each in _listed(stage):
        expect(
            each.get("name") and each.get("description"), f"{each.get('id')} has no name or no description"
        )


@requirement(
    "rfc7644-4-schema-single",
    "RFC 7644 §4",
    MUST,
    "A schema is answered at /Schemas/ and its URI as one object.",
)
def schema_single(stage: Stage) -> None:
    for each in _listed(stage):
        answer = stage.target.get(f"Schemas/{each.get('id')}")
        expect_status(answer, 200)
        expect(answer.document.get("id") == each.get("id"), f"its id is {answer.document.get('id')!r}")


@requirement(
    "rfc7644-4-schema-unknown", "RFC 7644 §4", MUST, "An unknown schema is answered 404 as an error."
)
def schema_unknown(stage: Stage) -> None:
    expect_error(stage.target.get(f"Schemas/urn:example:{stage.name('unknown')}"), 404)


@requirement("rfc7644-4-schemas-filter", "RFC 7644 §4", SHOULD, "A filter on /Schemas is answered 403.")
def schemas_filter(stage: Stage) -> None:
    expect_status(stage.target.get("Schemas", filter=f'id eq "{USER}"'), 403)


@requirement(
    "rfc7644-3.1-no-messages", "RFC 7644 §3.1", MUST, "The schemas of protocol messages are not in /Schemas."
)
def no_messages(stage: Stage) -> None:
    messages = [each.get("id") for each in _listed(stage) if ":api:messages:" in str(each.get("id"))]
    expect(not messages, f"listed: {messages}")


@requirement("rfc7643-7-schemas-read-only", _SECTION, MUST, "Schemas cannot be made or deleted by a client.")
def schemas_read_only(stage: Stage) -> None:
    urn = f"urn:example:{stage.name('schema')}"
    posted = stage.target.post("Schemas", {"schemas": [_URN], "id": urn, "name": "Example", "attributes": []})
    deleted = stage.target.delete(f"Schemas/{urn}")
    expect(posted.status >= 400, f"POST /Schemas is answered {posted.status}")
    expect(deleted.status >= 400, f"DELETE below /Schemas is answered {deleted.status}")


def _each(name: str, judge: Callable[[dict[str, Any]], bool]) -> Callable[[Stage], None]:
    def carry_out(stage: Stage) -> None:
        wrong = [f"{path}: {each.get(name)!r}" for path, each, _ in _attributes(stage) if not judge(each)]
        expect(not wrong, f"{name} of {'; '.join(wrong[:10])}{' …' if len(wrong) > 10 else ''}")

    return carry_out


def _one_of(name: str, *allowed: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: each.get(name) in (None, *allowed)


def _boolean(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda each: each.get(name) is None or isinstance(each[name], bool)


for _name, _text, _judge in (
    ("name", "Every attribute has a name.", lambda each: bool(each.get("name"))),
    (
        "type",
        "Every attribute has one of the types that are defined.",
        lambda each: each.get("type") in _TYPES,
    ),
    ("multiValued", "multiValued of every attribute is a boolean.", _boolean("multiValued")),
    ("required", "required of every attribute is a boolean.", _boolean("required")),
    ("caseExact", "caseExact of every attribute is a boolean.", _boolean("caseExact")),
    (
        "mutability",
        "mutability of every attribute is one of its four words.",
        _one_of("mutability", "readOnly", "readWrite", "immutable", "writeOnly"),
    ),
    (
        "returned",
        "returned of every attribute is one of its four words.",
        _one_of("returned", "always", "never", "default", "request"),
    ),
    (
        "uniqueness",
        "uniqueness of every attribute is one of its three words.",
        _one_of("uniqueness", "none", "server", "global"),
    ),
):
    requirement(f"rfc7643-7-attribute-{_name}", _SECTION, MUST, _text)(_each(_name, _judge))

for _name in ("description", "multiValued", "required", "mutability", "returned"):
    requirement(
        f"rfc7643-7-attribute-states-{_name}", _SECTION, SHOULD, f"Every attribute states its {_name}."
    )(_each(_name, lambda each, name=_name: each.get(name) is not None))  # type: ignore[misc]

requirement(
    "rfc7643-7-attribute-references",
    _SECTION,
    SHOULD,
    "An attribute of type reference states what it refers to in referenceTypes.",
)(
    _each(
        "referenceTypes",
        lambda each: each.get("type") != "reference" or isinstance(each.get("referenceTypes"), list),
    )
)


@requirement("rfc7643-7-sub-attributes", _SECTION, SHOULD, "A complex attribute lists its sub-attributes.")
def sub_attributes(stage: Stage) -> None:
    bare = [
        path
        for path, each, _ in _attributes(stage)
        if each.get("type") == "complex" and not each.get("subAttributes")
    ]
    expect(not bare, f"without subAttributes: {bare}")


@requirement(
    "rfc7643-2.3.8-no-nesting",
    "RFC 7643 §2.3.8",
    MUST,
    "A sub-attribute has no sub-attributes of its own, the schemas of discovery aside.",
)
def no_nesting(stage: Stage) -> None:
    nested = [
        path
        for path, each, is_sub in _attributes(stage)
        if is_sub and (each.get("type") == "complex" or each.get("subAttributes")) and _URN not in path
    ]
    expect(not nested, f"nested: {nested}")


@requirement(
    "rfc7643-2.1-names",
    "RFC 7643 §2.1",
    MUST,
    "The names of attributes are letters, digits, '-', '_' and '$', and no two of a schema are the same.",
)
def names(stage: Stage) -> None:
    for schema in _listed(stage):
        listed = [str(member(each, "name")) for each in schema.get("attributes") or ()]
        wrong = [each for each in listed if not each.replace("-", "").replace("_", "").lstrip("$").isalnum()]
        expect(not wrong, f"{schema.get('id')}: {wrong}")
        expect(
            len({each.lower() for each in listed}) == len(listed), f"{schema.get('id')}: a name occurs twice"
        )


@requirement(
    "rfc7643-4.1-user-name-declared",
    "RFC 7643 §4.1",
    MUST,
    "userName is declared as required, a single string, unique on the server and without letter case.",
)
def user_name_declared(stage: Stage) -> None:
    stage.resource_type(USER)
    found = stage.attribute("userName")
    expect(found.required, "userName is not required")
    expect(found.type == "string" and not found.multi_valued, f"userName is {found.type}")
    expect(found.uniqueness in ("server", "global"), f"uniqueness of userName is {found.uniqueness!r}")
    expect(not found.case_exact, "userName is caseExact")


@requirement(
    "rfc7643-4.1-password-declared",
    "RFC 7643 §4.1.1",
    MUST,
    "password, where it is declared, is never returned.",
)
def password_declared(stage: Stage) -> None:
    found = stage.attribute("password")
    expect(found.returned == "never", f"returned of password is {found.returned!r}")


@requirement(
    "rfc7643-4.1-groups-declared",
    "RFC 7643 §4.1.2",
    MUST,
    "groups of users, where it is declared, is read-only.",
)
def groups_declared(stage: Stage) -> None:
    found = stage.attribute("groups")
    expect(found.mutability == "readOnly", f"mutability of groups is {found.mutability!r}")


@requirement(
    "rfc7643-4.2-display-name-declared",
    "RFC 7643 §4.2",
    MUST,
    "displayName of groups is declared as required.",
)
def display_name_declared(stage: Stage) -> None:
    stage.resource_type(GROUP)
    expect(stage.attribute("displayName", GROUP).required, "displayName of groups is not required")


@requirement(
    "rfc7643-4.2-members-declared",
    "RFC 7643 §4.2",
    SHOULD,
    "The sub-attributes of members that say who it is are immutable.",
)
def members_declared(stage: Stage) -> None:
    members = stage.attribute("members", GROUP)
    if not members.subs:
        raise NotApplicable("no sub-attributes of members are declared")
    mutable = [
        each.name for each in members.subs if each.mutability == "readWrite" and each.name != "display"
    ]
    expect(not mutable, f"read-write: {mutable}")
