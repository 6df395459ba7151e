"""PATCH with remove (RFC 7644 §3.5.2.2)."""

from __future__ import annotations

from typing import Final

from conformance.rfc.expectations import elements, expect, expect_error, expect_refused, expect_same, member
from conformance.rfc.stage import Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.5.2.2"


@requirement("rfc7644-3.5.2.2-no-path", _SECTION, MUST, "remove without a path is answered 400 noTarget.")
def no_path(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_error(stage.target.patch(made.path, {"op": "remove"}), 400, "noTarget")


@requirement("rfc7644-3.5.2.2-single", _SECTION, MUST, "remove makes a single attribute unassigned.")
def single(stage: Stage) -> None:
    name = stage.text()
    document = stage.patched(stage.new_user(**{name: stage.name()}), {"op": "remove", "path": name})
    expect(member(document, name) is None, f"{name} is {member(document, name)!r}")


@requirement("rfc7644-3.5.2.2-list", _SECTION, MUST, "remove without a filter takes all values of a list.")
def whole_list(stage: Stage) -> None:
    name = stage.values()
    made = stage.new_user(**{name: [stage.value("work"), stage.value("home")]})
    document = stage.patched(made, {"op": "remove", "path": name})
    expect(not member(document, name), f"{name} is {member(document, name)!r}")


@requirement(
    "rfc7644-3.5.2.2-value",
    _SECTION,
    MUST,
    "remove takes the values whose value a filter matches, and no other.",
)
def by_value(stage: Stage) -> None:
    name, first, second = stage.values(), stage.value("work"), stage.value("home")
    made = stage.new_user(**{name: [first, second]})
    document = stage.patched(made, {"op": "remove", "path": f'{name}[value eq "{first["value"]}"]'})
    expect_same(elements(document, name), elements({name: [second]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.2-filter", _SECTION, MUST, "remove takes the values that a filter matches, and no other."
)
def by_filter(stage: Stage) -> None:
    name, first, second = stage.values(), stage.value("work"), stage.value("home")
    made = stage.new_user(**{name: [first, second]})
    path = f'{name}[type eq "work" and value eq "{first["value"]}"]'
    document = stage.patched(made, {"op": "remove", "path": path})
    expect_same(elements(document, name), elements({name: [second]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.2-filter-all", _SECTION, MUST, "A list from which a filter takes all values is unassigned."
)
def filter_takes_all(stage: Stage) -> None:
    name = stage.values()
    made = stage.new_user(**{name: [stage.value("work")]})
    document = stage.patched(made, {"op": "remove", "path": f'{name}[type eq "work"]'})
    expect(not member(document, name), f"{name} is {member(document, name)!r}")


@requirement(
    "rfc7644-3.5.2.2-filter-none", _SECTION, MUST, "remove with a filter that matches nothing takes nothing."
)
def filter_takes_none(stage: Stage) -> None:
    stage.needs("patch")
    name, value = stage.values(), stage.value("work")
    made = stage.new_user(**{name: [value]})
    answer = stage.target.patch(made.path, {"op": "remove", "path": f'{name}[value eq "{stage.name()}"]'})
    expect(answer.status < 500, f"answered {answer.status}")
    expect_same(elements(stage.read(made), name), elements({name: [value]}, name), f"the values of {name}")


@requirement(
    "rfc7644-3.5.2.2-sub-attribute",
    _SECTION,
    MUST,
    "remove makes a sub-attribute unassigned and leaves the others.",
)
def sub_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName"), stage.attribute("name.familyName")
    family = stage.name("family")
    made = stage.new_user(name={"familyName": family, "givenName": stage.name("given")})
    document = stage.patched(made, {"op": "remove", "path": "name.givenName"})
    expect(member(document, "name.givenName") is None, "name.givenName is there")
    expect_same(member(document, "name.familyName"), family, "name.familyName")


@requirement("rfc7644-3.5.2.2-complex", _SECTION, MUST, "remove makes a complex attribute unassigned.")
def complex_attribute(stage: Stage) -> None:
    stage.attribute("name.givenName")
    made = stage.new_user(name={"givenName": stage.name("given"), "familyName": stage.name("family")})
    document = stage.patched(made, {"op": "remove", "path": "name"})
    left = {
        key: each for key, each in (document.get("name") or {}).items() if key in ("givenName", "familyName")
    }
    expect(not left, f"name is {document.get('name')!r}")


@requirement(
    "rfc7644-3.5.2.2-filtered-sub-attribute",
    _SECTION,
    MUST,
    "remove of a sub-attribute of values chosen by a filter leaves the values themselves.",
)
def filtered_sub_attribute(stage: Stage) -> None:
    name, first, second = stage.values(), stage.value("work"), stage.value("home")
    made = stage.new_user(**{name: [first, second]})
    document = stage.patched(made, {"op": "remove", "path": f'{name}[type eq "work"].type'})
    expect_same(elements(document, name), elements({name: [first, second]}, name), f"the values of {name}")
    kinds = {each.get("value"): each.get("type") for each in document.get(name) or ()}
    expect("work" not in kinds.values(), f"types: {kinds}")


@requirement(
    "rfc7644-3.5.2.2-required",
    _SECTION,
    MUST,
    "remove of a required attribute is refused and changes nothing.",
)
def required(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_refused(stage.target.patch(made.path, {"op": "remove", "path": "userName"}))
    expect_same(member(stage.read(made), "userName"), made.document.get("userName"), "userName")


@requirement(
    "rfc7644-3.5.2.2-required-word",
    _SECTION,
    MUST,
    "The scimType for removing a required attribute is mutability.",
)
def required_word(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_error(stage.target.patch(made.path, {"op": "remove", "path": "userName"}), 400, "mutability")


@requirement(
    "rfc7644-3.5.2.2-read-only", _SECTION, MUST, "remove of a read-only attribute is refused as mutability."
)
def read_only(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_error(stage.target.patch(made.path, {"op": "remove", "path": "id"}), 400, "mutability")


@requirement("rfc7644-3.5.2.2-unassigned", _SECTION, SHOULD, "remove of what is not assigned succeeds.")
def unassigned(stage: Stage) -> None:
    made, name = stage.new_user(), stage.text()
    document = stage.patched(made, {"op": "remove", "path": name})
    expect(member(document, name) is None, f"{name} is {member(document, name)!r}")


@requirement(
    "rfc7644-3.5.2.2-extension", _SECTION, MUST, "remove makes an attribute of an extension unassigned."
)
def extension(stage: Stage) -> None:
    attribute = stage.extension_text()
    path = f"{attribute.schema}:{attribute.name}"
    made = stage.new_user(**{attribute.schema: {attribute.name: stage.name()}})
    document = stage.patched(made, {"op": "remove", "path": path})
    expect(member(document, path) is None, f"{path} is {member(document, path)!r}")
