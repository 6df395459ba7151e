"""Creation with POST (RFC 7644 §3.3) and the attributes every resource has (RFC 7643 §3.1)."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from conformance.rfc.expectations import (
    elements,
    expect,
    expect_error,
    expect_refused,
    expect_same,
    expect_status,
    member,
    member_named,
    moment,
)
from conformance.rfc.provider import GROUP, USER
from conformance.rfc.stage import NotApplicable, Stage, Untestable
from conformance.rfc.trials import MUST, SHOULD, requirement

_CREATING: Final = "RFC 7644 §3.3"
_COMMON: Final = "RFC 7643 §3.1"


@requirement("rfc7644-3.3-created", _CREATING, MUST, "A creation is answered 201.")
def created(stage: Stage) -> None:
    expect_status(stage.target.post(stage.users, stage.user_body()), 201)


@requirement("rfc7644-3.3-representation", _CREATING, SHOULD, "The answer to a creation holds the resource.")
def representation(stage: Stage) -> None:
    body = stage.user_body()
    answer = stage.target.post(stage.users, body)
    expect_same(answer.document.get("userName"), body["userName"], "userName")


@requirement(
    "rfc7644-3.3-location", _CREATING, MUST, "The URI of what was created is in the Location header."
)
def location(stage: Stage) -> None:
    made = stage.new_user()
    found = str(made.answer.headers.get("location", ""))
    expect(found.rstrip("/").endswith(f"/{made.path}"), f"Location is {found!r}")


@requirement(
    "rfc7644-3.3-meta-location", _CREATING, MUST, "The URI of what was created is in meta.location too."
)
def meta_location(stage: Stage) -> None:
    made = stage.new_user()
    header, seen = made.answer.headers.get("location"), member(made.document, "meta.location")
    expect(seen and seen == header, f"meta.location is {seen!r}, Location is {header!r}")


@requirement("rfc7644-3.3-location-answers", _CREATING, MUST, "The URI of what was created leads to it.")
def location_answers(stage: Stage) -> None:
    made = stage.new_user()
    path = urlsplit(str(member(made.document, "meta.location"))).path
    base = str(stage.target.client.base_url.path)
    if not path.startswith(base):
        raise Untestable(f"{path} is not below {base}, under which the server is tried")
    answer = stage.target.get(path[len(base) :])
    expect_status(answer, 200)
    expect(answer.document.get("id") == made.id, f"it has the id {answer.document.get('id')!r}")


@requirement(
    "rfc7644-3.3.1-resource-type",
    "RFC 7644 §3.3.1",
    MUST,
    "meta.resourceType is the name of the resource type of the endpoint.",
)
def resource_type(stage: Stage) -> None:
    for schema, made in ((USER, stage.new_user()), *_group(stage)):
        wanted, seen = stage.resource_type(schema).name, member(made.document, "meta.resourceType")
        expect(seen == wanted, f"meta.resourceType is {seen!r} at {made.path}")


def _group(stage: Stage) -> list[tuple[str, Any]]:
    return [(GROUP, stage.new_group())] if stage.provider.resource_type(GROUP) else []


@requirement(
    "rfc7643-3-schemas", "RFC 7643 §3", MUST, "schemas of a resource holds the URI of its base schema."
)
def schemas(stage: Stage) -> None:
    for schema, made in ((USER, stage.new_user()), *_group(stage)):
        expect_has = [str(each).lower() for each in made.document.get("schemas") or ()]
        expect(schema.lower() in expect_has, f"schemas is {made.document.get('schemas')!r}")


@requirement("rfc7643-3.1-id", _COMMON, MUST, "id is a text that is not empty and does not change.")
def identity(stage: Stage) -> None:
    made = stage.new_user()
    expect(made.id.strip(), "id is empty")
    expect(stage.read(made).get("id") == made.id, f"id was {made.id!r} and is {stage.read(made).get('id')!r}")


@requirement("rfc7643-3.1-id-not-by-client", _COMMON, MUST, "An id that the client sends is ignored.")
def identity_not_by_client(stage: Stage) -> None:
    wanted = stage.name("id")
    made = stage.make(stage.users, stage.user_body(id=wanted))
    expect(made.id != wanted, "the client's id was taken")


@requirement("rfc7643-3.1-id-bulk-id", _COMMON, MUST, "No id holds the word bulkId.")
def identity_bulk_id(stage: Stage) -> None:
    made = stage.new_user()
    expect("bulkid" not in made.id.lower(), f"id is {made.id!r}")


@requirement("rfc7643-3.1-id-unique", _COMMON, MUST, "An id is unique over all resource types.")
def identity_unique(stage: Stage) -> None:
    ids = [stage.new_user().id, stage.new_group().id, stage.new_user().id, stage.new_group().id]
    expect(len(set(ids)) == len(ids), f"ids: {ids}")


@requirement(
    "rfc7643-3.1-meta-assigned", _COMMON, MUST, "The server gives meta.created and meta.lastModified."
)
def meta_assigned(stage: Stage) -> None:
    made = stage.new_user()
    moment(member(made.document, "meta.created"), "meta.created")
    moment(member(made.document, "meta.lastModified"), "meta.lastModified")


@requirement(
    "rfc7643-3.1-last-modified", _COMMON, MUST, "lastModified of what was never changed equals created."
)
def last_modified(stage: Stage) -> None:
    document = stage.read(stage.new_user())
    seen = member(document, "meta.created"), member(document, "meta.lastModified")
    expect(
        moment(seen[0], "meta.created") == moment(seen[1], "meta.lastModified"),
        f"created is {seen[0]!r}, lastModified is {seen[1]!r}",
    )


@requirement("rfc7643-3.1-meta-ignored", _COMMON, MUST, "A meta that the client sends is ignored.")
def meta_ignored(stage: Stage) -> None:
    sent = {
        "resourceType": "Nothing",
        "created": "2001-01-01T00:00:00Z",
        "lastModified": "2001-01-01T00:00:00Z",
        "location": "https://example.com/elsewhere",
        "version": 'W/"sent"',
    }
    answer = stage.target.post(stage.users, stage.user_body(meta=sent))
    expect_status(answer, 201)
    taken = [name for name in sent if member(answer.document, f"meta.{name}") == sent[name]]
    expect(not taken, f"taken from the client: {', '.join(taken)}")


@requirement(
    "rfc7643-3.1-external-id", _COMMON, MUST, "externalId is kept as the client sent it, letter case too."
)
def external_id(stage: Stage) -> None:
    value = stage.name("External").replace("e", "E")
    made = stage.new_user(externalId=value)
    expect(
        stage.read(made).get("externalId") == value, f"externalId is {stage.read(made).get('externalId')!r}"
    )


@requirement(
    "rfc7643-3.1-external-id-not-invented", _COMMON, MUST, "The server does not make up an externalId."
)
def external_id_not_invented(stage: Stage) -> None:
    seen = stage.read(stage.new_user()).get("externalId")
    expect(seen is None, f"externalId is {seen!r}")


@requirement("rfc7644-3.3-read-only", _CREATING, MUST, "Read-only attributes in a creation are ignored.")
def read_only(stage: Stage) -> None:
    if stage.attribute("groups").mutability != "readOnly":
        raise NotApplicable("groups of users is not read-only")
    sent = stage.name("group")
    answer = stage.target.post(stage.users, stage.user_body(groups=[{"value": sent}]))
    expect_status(answer, 201)
    expect(sent not in str(answer.document.get("groups")), "the client's groups were taken")


@requirement(
    "rfc7644-3.3-uniqueness",
    _CREATING,
    MUST,
    "A second user of the same userName is refused with 409 and the scimType uniqueness.",
)
def uniqueness(stage: Stage) -> None:
    body = stage.user_body()
    stage.make(stage.users, body)
    expect_error(stage.target.post(stage.users, body), 409, "uniqueness")


@requirement(
    "rfc7643-4.1.1-user-name-case",
    "RFC 7643 §4.1.1",
    MUST,
    "userNames that differ in letter case only are one, unless userName is declared caseExact.",
)
def user_name_case(stage: Stage) -> None:
    if stage.attribute("userName").case_exact:
        raise NotApplicable("userName is declared caseExact")
    body = stage.user_body()
    stage.make(stage.users, body)
    expect_error(stage.target.post(stage.users, {**body, "userName": body["userName"].upper()}), 409)


@requirement(
    "rfc7643-4.1.1-user-name-required", "RFC 7643 §4.1.1", MUST, "No user comes to be without a userName."
)
def user_name_required(stage: Stage) -> None:
    for sent in ({}, {"userName": ""}, {"userName": None}):
        body = {**stage.user_body(userName=None), **sent}
        answer = stage.target.post(stage.users, body)
        expect(
            answer.status >= 400 or answer.document.get("userName"), f"{sent} made a user without a userName"
        )


@requirement(
    "rfc7644-3.12-required",
    "RFC 7644 §3.12",
    SHOULD,
    "A missing required attribute is answered 400 invalidValue.",
)
def required(stage: Stage) -> None:
    expect_error(stage.target.post(stage.users, stage.user_body(userName=None)), 400, "invalidValue")


@requirement(
    "rfc7644-3.12-wrong-type", "RFC 7644 §3.12", SHOULD, "A value of the wrong JSON type is answered 400."
)
def wrong_type(stage: Stage) -> None:
    for name, value in (
        ("userName", {"a": 1}),
        (stage.text(), ["a", "b"]),
        (stage.values(), "no list of objects"),
    ):
        expect_status(stage.target.post(stage.users, stage.user_body(**{name: value})), 400)


@requirement(
    "rfc7644-3.12-wrong-type-word",
    "RFC 7644 §3.12",
    SHOULD,
    "The scimType of a value of the wrong type is invalidValue.",
)
def wrong_type_word(stage: Stage) -> None:
    expect_error(stage.target.post(stage.users, stage.user_body(userName={"a": 1})), 400, "invalidValue")


@requirement(
    "rfc7643-2.3.2-boolean", "RFC 7643 §2.3.2", SHOULD, "A boolean that is neither true nor false is refused."
)
def boolean(stage: Stage) -> None:
    stage.attribute("active")
    expect_refused(stage.target.post(stage.users, stage.user_body(active="perhaps")))


@requirement("rfc7643-2.5-null", "RFC 7643 §2.5", MUST, "An attribute that is sent as null is unassigned.")
def null(stage: Stage) -> None:
    name = stage.text()
    answer = stage.target.post(stage.users, {**stage.user_body(), name: None})
    expect_status(answer, 201)
    expect(member(answer.document, name) is None, f"{name} is {member(answer.document, name)!r}")


@requirement("rfc7643-2.5-empty-list", "RFC 7643 §2.5", MUST, "A list that is sent empty is unassigned.")
def empty_list(stage: Stage) -> None:
    name = stage.values()
    answer = stage.target.post(stage.users, stage.user_body(**{name: []}))
    expect_status(answer, 201)
    expect(not member(answer.document, name), f"{name} is {member(answer.document, name)!r}")


@requirement(
    "rfc7643-2.1-name-case", "RFC 7643 §2.1", MUST, "The names of attributes are without letter case."
)
def name_case(stage: Stage) -> None:
    name, value = stage.text(), stage.name("text")
    body = {**stage.user_body(userName=None), "USERNAME": stage.name("user"), name.upper(): value}
    answer = stage.target.post(stage.users, body)
    expect_status(answer, 201)
    expect_same(member(answer.document, name), value, name)


@requirement("rfc7643-3-schemas-required", "RFC 7643 §3", SHOULD, "A resource without schemas is refused.")
def schemas_required(stage: Stage) -> None:
    body = stage.user_body()
    del body["schemas"]
    expect_refused(stage.target.post(stage.users, body))


@requirement(
    "rfc7643-2.4-values-kept", "RFC 7643 §2.4", MUST, "A multi-valued attribute keeps all of its values."
)
def values_kept(stage: Stage) -> None:
    name = stage.values()
    sent = [stage.value("work"), stage.value("home")]
    document = stage.read(stage.new_user(**{name: sent}))
    expect_same(elements(document, name), elements({name: sent}, name), f"the values of {name}")


@requirement("rfc7643-2.4-primary-once", "RFC 7643 §2.4", MUST, "primary is true at most once in a list.")
def primary_once(stage: Stage) -> None:
    name = stage.values()
    stage.attribute(f"{name}.primary")
    sent = [{**stage.value(kind), "primary": True} for kind in ("work", "home")]
    answer = stage.target.post(stage.users, stage.user_body(**{name: sent}))
    held = elements(answer.document, name, "primary").count(True)
    expect(answer.status >= 400 or held <= 1, f"{held} values are primary")


@requirement(
    "rfc7643-3.3-extension",
    "RFC 7643 §3.3",
    MUST,
    "Attributes of an extension are held under its URI, which schemas names.",
)
def extension(stage: Stage) -> None:
    attribute, value = stage.extension_text(), stage.name("text")
    made = stage.new_user(**{attribute.schema: {attribute.name: value}})
    document = stage.read(made)
    expect_same(member(document, f"{attribute.schema}:{attribute.name}"), value, attribute.name)
    listed = [str(each).lower() for each in document.get("schemas") or ()]
    expect(attribute.schema.lower() in listed, f"schemas is {document.get('schemas')!r}")


@requirement(
    "rfc7643-3-schemas-used",
    "RFC 7643 §3",
    SHOULD,
    "schemas names no extension of which the resource has nothing.",
)
def schemas_used(stage: Stage) -> None:
    document = stage.read(stage.new_user())
    required = {urn.lower() for urn, is_required in stage.resource_type(USER).extensions if is_required}
    idle = [
        each
        for each in document.get("schemas") or ()
        if str(each).lower() not in (USER.lower(), *required) and not member_named(document, str(each))
    ]
    expect(not idle, f"named without a value: {idle}")


@requirement(
    "rfc7643-4.1.1-password", "RFC 7643 §4.1.1", MUST, "A password is never returned, not even when named."
)
def password(stage: Stage) -> None:
    stage.attribute("password")
    secret = f"Aa1!{stage.name('secret')}"
    made = stage.make(stage.users, stage.user_body(password=secret))
    answers = [
        made.answer,
        stage.target.get(made.path),
        stage.target.get(made.path, attributes="password"),
        stage.target.get(stage.users, attributes="userName,password"),
    ]
    expect(all(secret not in each.text for each in answers), "the password came back")
    expect(all("password" not in each.document for each in answers[:3]), "an attribute password came back")


@requirement(
    "rfc7643-3-schemas-known",
    "RFC 7643 §3",
    MUST,
    "schemas of a resource holds the schemas of its resource type only, and none twice.",
)
def schemas_known(stage: Stage) -> None:
    attribute = stage.extension_text()
    document = stage.read(stage.new_user(**{attribute.schema: {attribute.name: stage.name()}}))
    resource_type = stage.resource_type(USER)
    known = {resource_type.schema.lower(), *(urn.lower() for urn, _ in resource_type.extensions)}
    listed = [str(each).lower() for each in document.get("schemas") or ()]
    expect(set(listed) <= known, f"schemas is {listed}")
    expect(len(set(listed)) == len(listed), f"schemas is {listed}")
