"""PATCH with add (RFC 7644 §3.5.2.1)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import elements, expect, expect_refused, expect_same, member
from conformance.rfc.provider import USER
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.5.2.1"


@requirement(
    "rfc7644-3.5.2.1-single-new", _SECTION, MUST, "add gives a value to a single attribute that had none."
)
def single_new(stage: Stage) -> None:
    name, value = stage.text(), stage.name()
    document = stage.patched(stage.new_user(), {"op": "add", "path": name, "value": value})
    expect_same(member(document, name), value, name)


@requirement(
    "rfc7644-3.5.2.1-single-held", _SECTION, MUST, "add replaces the value that a single attribute had."
)
def single_held(stage: Stage) -> None:
    name, value = stage.text(), stage.name()
    made = stage.new_user(**{name: stage.name()})
    expect_same(member(stage.patched(made, {"op": "add", "path": name, "value": value}), name), value, name)


@requirement("rfc7644-3.5.2.1-list", _SECTION, MUST, "add adds values to those that a list had.")
def to_list(stage: Stage) -> None:
    name, first, second = stage.values(), stage.value("work"), stage.value("home")
    document = stage.patched(
        stage.new_user(**{name: [first]}), {"op": "add", "path": name, "value": [second]}
    )
    expect_same(elements(document, name), elements({name: [first, second]}, name), f"the values of {name}")


@requirement("rfc7644-3.5.2.1-list-new", _SECTION, MUST, "add gives values to a list that had none.")
def to_empty_list(stage: Stage) -> None:
    name, value = stage.values(), stage.value("work")
    document = stage.patched(stage.new_user(), {"op": "add", "path": name, "value": [value]})
    expect_same(elements(document, name), elements({name: [value]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.1-list-object",
    _SECTION,
    SHOULD,
    "add takes one value for a list without the list around it.",
)
def object_to_list(stage: Stage) -> None:
    name, first, second = stage.values(), stage.value("work"), stage.value("home")
    document = stage.patched(stage.new_user(**{name: [first]}), {"op": "add", "path": name, "value": second})
    expect_same(elements(document, name), elements({name: [first, second]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.1-present", _SECTION, SHOULD, "add of a value that is there succeeds and changes nothing."
)
def present(stage: Stage) -> None:
    name, value = stage.values(), stage.value("work")
    made = stage.new_user(**{name: [value]})
    document = stage.patched(made, {"op": "add", "path": name, "value": [value]})
    expect_same(elements(document, name), elements({name: [value]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.1-present-modified",
    _SECTION,
    MUST,
    "add of a value that is there does not change meta.lastModified.",
)
def present_modified(stage: Stage) -> None:
    values, name = stage.values(), stage.text()
    value, text = stage.value("work"), stage.name()
    made = stage.new_user(**{values: [value], name: text})
    before = stage.read(made)
    for operation in (
        {"op": "add", "path": name, "value": text},
        {"op": "add", "path": values, "value": [before.get(values, [value])[0]]},
    ):
        after = stage.patched(made, operation)
        seen = [member(each, "meta.lastModified") for each in (before, after)]
        expect(
            seen[0] == seen[1], f"meta.lastModified went from {seen[0]} to {seen[1]} on {operation['path']}"
        )


@requirement(
    "rfc7644-3.5.2.1-present-version",
    "RFC 7644 §3.14",
    SHOULD,
    "add of a value that is there does not change the version.",
)
def present_version(stage: Stage) -> None:
    stage.needs("etag")
    name, text = stage.text(), stage.name()
    made = stage.new_user(**{name: text})
    before = stage.read(made)
    after = stage.patched(made, {"op": "add", "path": name, "value": text})
    expect(member(before, "meta.version") == member(after, "meta.version"), "meta.version has changed")


@requirement(
    "rfc7644-3.5.2.1-sub-attribute", _SECTION, MUST, "add sets a sub-attribute and leaves the others."
)
def sub_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family, given = stage.name("family"), stage.name("given")
    made = stage.new_user(name={"familyName": family})
    document = stage.patched(made, {"op": "add", "path": "name.givenName", "value": given})
    expect_same(member(document, "name.givenName"), given, "name.givenName")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement(
    "rfc7644-3.5.2.1-complex", _SECTION, MUST, "add to a complex attribute merges the sub-attributes it has."
)
def complex_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family, given = stage.name("family"), stage.name("given")
    made = stage.new_user(name={"familyName": family})
    document = stage.patched(made, {"op": "add", "path": "name", "value": {"givenName": given}})
    expect_same(member(document, "name.givenName"), given, "name.givenName")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement(
    "rfc7644-3.5.2.1-complex-text", _SECTION, MUST, "add to a complex attribute refuses what is no object."
)
def complex_text(stage: Stage) -> None:
    stage.needs("patch")
    stage.attribute("name.givenName")
    made = stage.new_user()
    expect_refused(stage.target.patch(made.path, {"op": "add", "path": "name", "value": "Barbara Jensen"}))


@requirement(
    "rfc7644-3.5.2.1-no-path", _SECTION, MUST, "add without a path sets each attribute that its value has."
)
def no_path(stage: Stage) -> None:
    name, values = stage.text(), stage.values()
    text, first, second = stage.name(), stage.value("work"), stage.value("home")
    made = stage.new_user(**{values: [first]})
    document = stage.patched(made, {"op": "add", "value": {name: text, values: [second]}})
    expect_same(member(document, name), text, name)
    expect_same(
        elements(document, values), elements({values: [first, second]}, values), f"the values of {values}"
    )


@requirement(
    "rfc7644-3.5.2.1-no-path-complex",
    _SECTION,
    MUST,
    "add without a path merges a complex attribute in its value.",
)
def no_path_complex(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family, given = stage.name("family"), stage.name("given")
    made = stage.new_user(name={"familyName": family})
    document = stage.patched(made, {"op": "add", "value": {"name": {"givenName": given}}})
    expect_same(member(document, "name.givenName"), given, "name.givenName")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement(
    "rfc7644-3.5.2.1-no-path-no-object",
    _SECTION,
    MUST,
    "add without a path refuses a value that is no object.",
)
def no_path_no_object(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_refused(stage.target.patch(made.path, {"op": "add", "value": "text"}))


@requirement(
    "rfc7644-3.5.2.1-filtered",
    _SECTION,
    MUST,
    "add to a value chosen by a filter sets its sub-attribute, and no other's.",
)
def filtered(stage: Stage) -> None:
    name = stage.values()
    stage.attribute(f"{name}.display")
    if stage.attribute(f"{name}.display").mutability != "readWrite":
        raise NotApplicable(f"{name}.display is not readWrite")
    text = stage.name()
    made = stage.new_user(**{name: [stage.value("work"), stage.value("home")]})
    document = stage.patched(made, {"op": "add", "path": f'{name}[type eq "home"].display', "value": text})
    shown = {each.get("type"): each.get("display") for each in document.get(name) or ()}
    expect_same(shown.get("home"), text, f"display of the home value of {name}")
    expect(shown.get("work") != text, "the other value was changed too")


@requirement(
    "rfc7644-3.5.2-extension",
    "RFC 7644 §3.5.2",
    MUST,
    "Adding an attribute of an extension by its whole name adds the URI of the extension to schemas.",
)
def extension(stage: Stage) -> None:
    attribute, value = stage.extension_text(), stage.name()
    path = f"{attribute.schema}:{attribute.name}"
    document = stage.patched(stage.new_user(), {"op": "add", "path": path, "value": value})
    expect_same(member(document, path), value, path)
    listed = [str(each).lower() for each in document.get("schemas") or ()]
    expect(attribute.schema.lower() in listed, f"schemas is {document.get('schemas')!r}")


@requirement(
    "rfc7644-3.5.2.1-extension-object",
    _SECTION,
    MUST,
    "add without a path sets the attributes of an extension that its value holds under its URI.",
)
def extension_object(stage: Stage) -> None:
    attribute, value = stage.extension_text(), stage.name()
    operation = {"op": "add", "value": {attribute.schema: {attribute.name: value}}}
    document = stage.patched(stage.new_user(), operation)
    expect_same(member(document, f"{attribute.schema}:{attribute.name}"), value, attribute.name)


@requirement("rfc7644-3.5.2.1-boolean", _SECTION, MUST, "add sets a boolean.")
def boolean(stage: Stage) -> None:
    stage.attribute("active")
    made = stage.new_user(active=True)
    document = stage.patched(made, {"op": "add", "path": "active", "value": False})
    expect(document.get("active") is False, f"active is {document.get('active')!r}")


@requirement(
    "rfc7644-3.5.2.1-external-id", _SECTION, MUST, "add sets externalId, which belongs to every resource."
)
def external_id(stage: Stage) -> None:
    value = stage.name("External")
    document = stage.patched(stage.new_user(), {"op": "add", "path": "externalId", "value": value})
    expect(document.get("externalId") == value, f"externalId is {document.get('externalId')!r}")


@requirement(
    "rfc7644-3.5.2.1-schemas",
    "RFC 7644 §3.5.2",
    MUST,
    "The base schema cannot be taken from schemas by a PATCH.",
)
def schemas(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    answer = stage.target.patch(made.path, {"op": "remove", "path": f'schemas[value eq "{USER}"]'})
    expect(answer.status < 500, f"answered {answer.status}")
    listed = [str(each).lower() for each in stage.read(made).get("schemas") or ()]
    expect(USER.lower() in listed, f"schemas is {listed}")
