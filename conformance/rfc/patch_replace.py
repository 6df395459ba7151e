"""PATCH with replace (RFC 7644 §3.5.2.3)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import elements, expect, expect_error, expect_same, member
from conformance.rfc.stage import Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.5.2.3"


@requirement("rfc7644-3.5.2.3-single", _SECTION, MUST, "replace sets a single attribute.")
def single(stage: Stage) -> None:
    name, value = stage.text(), stage.name()
    made = stage.new_user(**{name: stage.name()})
    expect_same(
        member(stage.patched(made, {"op": "replace", "path": name, "value": value}), name), value, name
    )


@requirement("rfc7644-3.5.2.3-user-name", _SECTION, MUST, "replace sets a required attribute; the id stays.")
def user_name(stage: Stage) -> None:
    made, value = stage.new_user(), stage.name("renamed")
    document = stage.patched(made, {"op": "replace", "path": "userName", "value": value})
    expect_same(document.get("userName"), value, "userName")
    expect(document.get("id") == made.id, f"id is {document.get('id')!r}")


@requirement("rfc7644-3.5.2.3-absent", _SECTION, MUST, "replace of an attribute that is not there adds it.")
def absent(stage: Stage) -> None:
    name, values = stage.text(), stage.values()
    text, value = stage.name(), stage.value("work")
    document = stage.patched(
        stage.new_user(),
        {"op": "replace", "path": name, "value": text},
        {"op": "replace", "path": values, "value": [value]},
    )
    expect_same(member(document, name), text, name)
    expect_same(elements(document, values), elements({values: [value]}, values), f"the values of {values}")


@requirement(
    "rfc7644-3.5.2.3-list", _SECTION, MUST, "replace without a filter replaces all values of a list."
)
def whole_list(stage: Stage) -> None:
    name, value = stage.values(), stage.value("other")
    made = stage.new_user(**{name: [stage.value("work"), stage.value("home")]})
    document = stage.patched(made, {"op": "replace", "path": name, "value": [value]})
    expect_same(elements(document, name), elements({name: [value]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.3-complex", _SECTION, MUST, "replace of a complex attribute leaves what it does not name."
)
def complex_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family, given = stage.name("family"), stage.name("given")
    made = stage.new_user(name={"familyName": family, "givenName": stage.name("before")})
    document = stage.patched(made, {"op": "replace", "path": "name", "value": {"givenName": given}})
    expect_same(member(document, "name.givenName"), given, "name.givenName")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement(
    "rfc7644-3.5.2.3-sub-attribute", _SECTION, MUST, "replace sets a sub-attribute and leaves the others."
)
def sub_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family, given = stage.name("family"), stage.name("given")
    made = stage.new_user(name={"familyName": family, "givenName": stage.name("before")})
    document = stage.patched(made, {"op": "replace", "path": "name.givenName", "value": given})
    expect_same(member(document, "name.givenName"), given, "name.givenName")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement(
    "rfc7644-3.5.2.3-no-path",
    _SECTION,
    MUST,
    "replace without a path replaces each attribute that its value has.",
)
def no_path(stage: Stage) -> None:
    name, values = stage.text(), stage.values()
    text, value = stage.name(), stage.value("other")
    made = stage.new_user(**{name: stage.name(), values: [stage.value("work"), stage.value("home")]})
    document = stage.patched(made, {"op": "replace", "value": {name: text, values: [value]}})
    expect_same(member(document, name), text, name)
    expect_same(elements(document, values), elements({values: [value]}, values), f"the values of {values}")


@requirement(
    "rfc7644-3.5.2.3-filter",
    _SECTION,
    MUST,
    "replace with a filter replaces the value that matches, and no other.",
)
def by_filter(stage: Stage) -> None:
    name, first, second, value = stage.values(), stage.value("work"), stage.value("home"), stage.value("work")
    made = stage.new_user(**{name: [first, second]})
    document = stage.patched(made, {"op": "replace", "path": f'{name}[type eq "work"]', "value": value})
    expect_same(elements(document, name), elements({name: [value, second]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.3-filter-sub-attribute",
    _SECTION,
    MUST,
    "replace of a sub-attribute with a filter sets it in every value that matches, and in no other.",
)
def filtered_sub_attribute(stage: Stage) -> None:
    name = stage.values()
    first, second, third = stage.value("work"), stage.value("home"), stage.value("home")
    made = stage.new_user(**{name: [first, second, third]})
    document = stage.patched(
        made, {"op": "replace", "path": f'{name}[type eq "home"].type', "value": "other"}
    )
    kinds = elements(document, name, "type")
    expect_same(kinds, ["other", "other", "work"], f"the types of {name}")
    wanted = elements({name: [first, second, third]}, name)
    expect_same(elements(document, name), wanted, f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.3-filter-value",
    _SECTION,
    MUST,
    "replace changes the value of the element that a filter chooses.",
)
def filtered_value(stage: Stage) -> None:
    name, first, second, value = stage.values(), stage.value("work"), stage.value("home"), stage.value("work")
    made = stage.new_user(**{name: [first, second]})
    path = f'{name}[type eq "work"].value'
    document = stage.patched(made, {"op": "replace", "path": path, "value": value["value"]})
    expect_same(elements(document, name), elements({name: [value, second]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.3-no-target",
    _SECTION,
    MUST,
    "replace with a filter that matches nothing is answered 400 noTarget.",
)
def no_target(stage: Stage) -> None:
    stage.needs("patch")
    name = stage.values()
    made = stage.new_user(**{name: [stage.value("work")]})
    before = stage.read(made)
    value = stage.value("other")
    for path, sent in (
        (f'{name}[type eq "other"]', value),
        (f'{name}[type eq "other"].value', value["value"]),
    ):
        answer = stage.target.patch(made.path, {"op": "replace", "path": path, "value": sent})
        expect_error(answer, 400, "noTarget")
    expect(stage.read(made) == before, "the resource has changed")


@requirement(
    "rfc7644-3.5.2.3-no-change",
    "RFC 7643 §3.1",
    SHOULD,
    "replace by the same value does not change meta.lastModified.",
)
def no_change(stage: Stage) -> None:
    name, text = stage.text(), stage.name()
    made = stage.new_user(**{name: text})
    before = stage.read(made)
    after = stage.patched(made, {"op": "replace", "path": name, "value": text})
    seen = [member(each, "meta.lastModified") for each in (before, after)]
    expect(seen[0] == seen[1], f"meta.lastModified went from {seen[0]} to {seen[1]}")


@requirement("rfc7644-3.5.2.3-boolean", _SECTION, MUST, "replace sets a boolean.")
def boolean(stage: Stage) -> None:
    stage.attribute("active")
    made = stage.new_user(active=True)
    for value in (False, True):
        document = stage.patched(made, {"op": "replace", "path": "active", "value": value})
        expect(document.get("active") is value, f"active is {document.get('active')!r}")


@requirement(
    "rfc7644-3.5.2.3-extension",
    _SECTION,
    MUST,
    "replace sets an attribute of an extension by its whole name.",
)
def extension(stage: Stage) -> None:
    attribute, value = stage.extension_text(), stage.name()
    path = f"{attribute.schema}:{attribute.name}"
    made = stage.new_user(**{attribute.schema: {attribute.name: stage.name()}})
    document = stage.patched(made, {"op": "replace", "path": path, "value": value})
    expect_same(member(document, path), value, path)


@requirement("rfc7644-3.5.2.3-null", "RFC 7643 §2.5", MUST, "replace by null makes an attribute unassigned.")
def null(stage: Stage) -> None:
    name = stage.text()
    made = stage.new_user(**{name: stage.name()})
    document = stage.patched(made, {"op": "replace", "path": name, "value": None})
    expect(member(document, name) is None, f"{name} is {member(document, name)!r}")


@requirement(
    "rfc7644-3.5.2.3-empty-list", "RFC 7643 §2.5", MUST, "replace by an empty list makes a list unassigned."
)
def empty_list(stage: Stage) -> None:
    name = stage.values()
    made = stage.new_user(**{name: [stage.value("work")]})
    document = stage.patched(made, {"op": "replace", "path": name, "value": []})
    expect(not member(document, name), f"{name} is {member(document, name)!r}")
