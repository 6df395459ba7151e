"""Replacement with PUT (RFC 7644 §3.5.1)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import (
    elements,
    expect,
    expect_error,
    expect_refused,
    expect_same,
    expect_status,
    member,
    moment,
)
from conformance.rfc.provider import USER
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.5.1"


@requirement("rfc7644-3.5.1-replaced", _SECTION, MUST, "A PUT sets the values it has and is answered 200.")
def replaced(stage: Stage) -> None:
    name, body = stage.text(), stage.user_body()
    made = stage.make(stage.users, {**body, name: stage.name("before")})
    value = stage.name("after")
    expect_status(stage.target.put(made.path, {**body, name: value}), 200)
    expect_same(member(stage.read(made), name), value, name)


@requirement("rfc7644-3.5.1-representation", _SECTION, MUST, "The answer to a PUT holds the whole resource.")
def representation(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    answer = stage.target.put(made.path, {**body, stage.text(): stage.name("text")})
    expect_status(answer, 200)
    expect(answer.document == stage.read(made), "the answer is not what GET then gives")


@requirement("rfc7644-3.5.1-no-creation", _SECTION, MUST, "A PUT to an id that is not there makes nothing.")
def no_creation(stage: Stage) -> None:
    path = f"{stage.users}/{stage.name('missing')}"
    answer = stage.target.put(path, stage.user_body())
    expect_error(answer, 404)
    expect(stage.target.get(path).status == 404, "there is a resource now")


@requirement(
    "rfc7644-3.5.1-list-replaced",
    _SECTION,
    MUST,
    "A PUT replaces all values of a multi-valued attribute that it has.",
)
def list_replaced(stage: Stage) -> None:
    name, body = stage.values(), stage.user_body()
    made = stage.make(stage.users, {**body, name: [stage.value("work"), stage.value("home")]})
    after = [stage.value("other")]
    expect_status(stage.target.put(made.path, {**body, name: after}), 200)
    expect_same(elements(stage.read(made), name), elements({name: after}, name), f"the values of {name}")


@requirement("rfc7644-3.5.1-null", _SECTION, MUST, "null in a PUT clears a single value.")
def null(stage: Stage) -> None:
    name, body = stage.text(), stage.user_body()
    made = stage.make(stage.users, {**body, name: stage.name("before")})
    expect_status(stage.target.put(made.path, {**body, name: None}), 200)
    expect(member(stage.read(made), name) is None, f"{name} is {member(stage.read(made), name)!r}")


@requirement("rfc7644-3.5.1-empty-list", _SECTION, MUST, "An empty list in a PUT clears all values.")
def empty_list(stage: Stage) -> None:
    name, body = stage.values(), stage.user_body()
    made = stage.make(stage.users, {**body, name: [stage.value("work")]})
    expect_status(stage.target.put(made.path, {**body, name: []}), 200)
    expect(not member(stage.read(made), name), f"{name} is {member(stage.read(made), name)!r}")


@requirement(
    "rfc7644-3.5.1-read-only",
    _SECTION,
    MUST,
    "Read-only attributes in a PUT, id and meta among them, are ignored.",
)
def read_only(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    sent = {
        **body,
        "id": stage.name("id"),
        "meta": {"created": "2001-01-01T00:00:00Z", "resourceType": "Nothing"},
    }
    expect_status(stage.target.put(made.path, sent), 200)
    document = stage.read(made)
    expect(document.get("id") == made.id, f"id is {document.get('id')!r}")
    before, after = member(made.document, "meta.created"), member(document, "meta.created")
    expect(before == after, f"meta.created was {before!r} and is {after!r}")
    expect(member(document, "meta.resourceType") != "Nothing", "meta.resourceType was taken")


@requirement(
    "rfc7644-3.5.1-whole",
    _SECTION,
    MUST,
    "What a GET gave can be sent back by PUT, read-only attributes and all.",
)
def whole(stage: Stage) -> None:
    name, text = stage.values(), stage.text()
    made = stage.new_user(**{name: [stage.value("work")], text: stage.name("text")})
    document = stage.read(made)
    expect_status(stage.target.put(made.path, document), 200)
    after = stage.read(made)
    expect_same(elements(after, name), elements(document, name), f"the values of {name}")
    expect_same(member(after, text), member(document, text), text)


@requirement(
    "rfc7644-3.5.1-required", _SECTION, MUST, "A PUT without a required attribute does not clear it."
)
def required(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    stage.target.put(made.path, stage.user_body(userName=None))
    expect_same(member(stage.read(made), "userName"), body["userName"], "userName")


@requirement(
    "rfc7644-3.5.1-required-refused",
    _SECTION,
    SHOULD,
    "A PUT without a required attribute is answered 400 invalidValue.",
)
def required_refused(stage: Stage) -> None:
    made = stage.new_user()
    expect_error(stage.target.put(made.path, stage.user_body(userName=None)), 400, "invalidValue")


@requirement(
    "rfc7644-3.5.1-uniqueness", "RFC 7644 §3.12", MUST, "A PUT does not give a user the userName of another."
)
def uniqueness(stage: Stage) -> None:
    first, second = stage.user_body(), stage.user_body()
    stage.make(stage.users, first)
    made = stage.make(stage.users, second)
    answer = stage.target.put(made.path, {**second, "userName": first["userName"]})
    expect_refused(answer)
    expect_same(member(stage.read(made), "userName"), second["userName"], "userName")


@requirement(
    "rfc7644-3.5.1-uniqueness-word",
    "RFC 7644 §3.12",
    SHOULD,
    "The scimType of a PUT with a userName that another user has is uniqueness.",
)
def uniqueness_word(stage: Stage) -> None:
    first, second = stage.user_body(), stage.user_body()
    stage.make(stage.users, first)
    made = stage.make(stage.users, second)
    answer = stage.target.put(made.path, {**second, "userName": first["userName"]})
    expect(
        answer.document.get("scimType") == "uniqueness", f"scimType is {answer.document.get('scimType')!r}"
    )


@requirement(
    "rfc7644-3.5.1-immutable",
    _SECTION,
    SHOULD,
    "A PUT with another value for an immutable attribute is answered 400 mutability.",
)
def immutable(stage: Stage) -> None:
    attributes = (*stage.provider.attributes(USER), *stage.provider.extension_attributes(USER))
    found = next(
        (each for each in attributes if each.mutability == "immutable" and each.type == "string"), None
    )
    if found is None:
        raise NotApplicable("no attribute of users is declared immutable")
    base = found.schema.lower() == USER.lower()
    first, second = stage.name("first"), stage.name("second")
    body = stage.user_body()
    made = stage.make(
        stage.users, {**body, **({found.name: first} if base else {found.schema: {found.name: first}})}
    )
    sent = {found.name: second} if base else {found.schema: {found.name: second}}
    expect_error(stage.target.put(made.path, {**body, **sent}), 400, "mutability")


@requirement(
    "rfc7644-3.5.1-last-modified",
    "RFC 7643 §3.1",
    MUST,
    "A change by PUT moves meta.lastModified, not created.",
)
def last_modified(stage: Stage) -> None:
    body = stage.user_body()
    made = stage.make(stage.users, body)
    expect_status(stage.target.put(made.path, {**body, stage.text(): stage.name("text")}), 200)
    document = stage.read(made)
    created, changed = (
        moment(member(document, f"meta.{name}"), name) for name in ("created", "lastModified")
    )
    expect(
        member(document, "meta.created") == member(made.document, "meta.created"), "meta.created has changed"
    )
    expect(changed >= created, "meta.lastModified lies before meta.created")


@requirement(
    "rfc7644-3.5.1-malformed", "RFC 7644 §3.12", MUST, "A PUT that is no JSON is refused and changes nothing."
)
def malformed(stage: Stage) -> None:
    made = stage.new_user()
    expect_refused(stage.target.send("PUT", made.path, content=b"{"))
    expect(stage.read(made) == made.document, "the resource has changed")


@requirement("rfc7644-3.5.1-extension", _SECTION, MUST, "A PUT sets the attributes of an extension.")
def extension(stage: Stage) -> None:
    attribute, body, value = stage.extension_text(), stage.user_body(), stage.name("text")
    made = stage.make(stage.users, body)
    sent = {
        **body,
        "schemas": [*body["schemas"], attribute.schema],
        attribute.schema: {attribute.name: value},
    }
    expect_status(stage.target.put(made.path, sent), 200)
    expect_same(member(stage.read(made), f"{attribute.schema}:{attribute.name}"), value, attribute.name)
