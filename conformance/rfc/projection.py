"""Which attributes an answer holds (RFC 7644 §3.4.2.5, §3.9; RFC 7643 §7)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.cast import cast
from conformance.rfc.expectations import expect, expect_same, expect_status, member
from conformance.rfc.provider import USER
from conformance.rfc.stage import PATCH_OPERATION, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.9"
_ALWAYS: Final = {"id", "schemas"}


def _only(stage: Stage, document: dict[str, Any], *wanted: str) -> None:
    """Expect that a document holds these attributes, what is always returned, and nothing else."""
    declared = {each.name.lower() for each in stage.provider.attributes(USER) if each.returned == "always"}
    allowed = _ALWAYS | declared | {each.lower() for each in wanted}
    extra = [name for name in document if name.lower() not in allowed]
    expect(not extra, f"there is more than asked for: {', '.join(extra)}")
    expect(document.get("id"), "there is no id")


@requirement(
    "rfc7644-3.9-attributes",
    _SECTION,
    MUST,
    "attributes restricts an answer to what it names and what is always returned.",
)
def attributes(stage: Stage) -> None:
    made = stage.new_user(**{stage.text(): stage.name()})
    document = stage.read(made, attributes="userName")
    expect(document.get("userName"), "userName is missing")
    _only(stage, document, "userName")


@requirement(
    "rfc7644-3.9-attributes-list", _SECTION, MUST, "attributes takes several names, separated by commas."
)
def attributes_list(stage: Stage) -> None:
    name = stage.text()
    document = stage.read(stage.new_user(**{name: stage.name()}), attributes=f"userName,{name}")
    expect(document.get("userName") and document.get(name), f"the answer holds {', '.join(document)}")
    _only(stage, document, "userName", name)


@requirement(
    "rfc7644-3.9-attributes-case", "RFC 7643 §2.1", MUST, "The names in attributes are without letter case."
)
def attributes_case(stage: Stage) -> None:
    document = stage.read(stage.new_user(), attributes="USERNAME")
    expect(member(document, "userName"), "userName is missing")


@requirement(
    "rfc7644-3.9-attributes-urn",
    "RFC 7644 §3.10",
    MUST,
    "The names in attributes may be qualified by the URI of their schema.",
)
def attributes_urn(stage: Stage) -> None:
    document = stage.read(stage.new_user(**{stage.text(): stage.name()}), attributes=f"{USER}:userName")
    expect(document.get("userName"), "userName is missing")
    _only(stage, document, "userName")


@requirement("rfc7644-3.9-attributes-sub", _SECTION, MUST, "attributes may name a sub-attribute.")
def attributes_sub(stage: Stage) -> None:
    stage.attribute("name.familyName"), stage.attribute("name.givenName")
    made = stage.new_user(name={"familyName": stage.name(), "givenName": stage.name()})
    document = stage.read(made, attributes="name.familyName")
    expect(member(document, "name.familyName"), "name.familyName is missing")
    expect(member(document, "name.givenName") is None, "name.givenName is there")
    _only(stage, document, "name")


@requirement(
    "rfc7644-3.9-attributes-list-sub", _SECTION, MUST, "attributes may name a sub-attribute of a list."
)
def attributes_list_sub(stage: Stage) -> None:
    name = stage.values()
    document = stage.read(stage.new_user(**{name: [stage.value("work")]}), attributes=f"{name}.value")
    found = document.get(name) or [{}]
    expect(found[0].get("value"), f"{name}.value is missing")
    expect("type" not in found[0], f"{name}.type is there")


@requirement(
    "rfc7644-3.9-attributes-extension", _SECTION, MUST, "attributes may name an attribute of an extension."
)
def attributes_extension(stage: Stage) -> None:
    attribute, value = stage.extension_text(), stage.name()
    path = f"{attribute.schema}:{attribute.name}"
    document = stage.read(stage.new_user(**{attribute.schema: {attribute.name: value}}), attributes=path)
    expect_same(member(document, path), value, path)
    _only(stage, document, attribute.schema)


@requirement(
    "rfc7644-3.9-attributes-unknown",
    _SECTION,
    SHOULD,
    "A name in attributes that is not declared does no harm.",
)
def attributes_unknown(stage: Stage) -> None:
    answer = stage.target.get(stage.new_user().path, attributes=f"userName,{stage.name('attribute')}")
    expect(answer.status in (200, 400), f"it is answered {answer.status}")


@requirement(
    "rfc7644-3.9-excluded",
    _SECTION,
    MUST,
    "excludedAttributes takes what it names out of an answer, and nothing else.",
)
def excluded(stage: Stage) -> None:
    name = stage.text()
    made = stage.new_user(**{name: stage.name()})
    whole, document = stage.read(made), stage.read(made, excludedAttributes=name)
    expect(name not in document, f"{name} is there")
    missing = [each for each in whole if each not in document and each != name]
    expect(not missing, f"missing too: {', '.join(missing)}")


@requirement("rfc7644-3.9-excluded-sub", _SECTION, MUST, "excludedAttributes may name a sub-attribute.")
def excluded_sub(stage: Stage) -> None:
    stage.attribute("name.familyName"), stage.attribute("name.givenName")
    made = stage.new_user(name={"familyName": stage.name(), "givenName": stage.name()})
    document = stage.read(made, excludedAttributes="name.familyName")
    expect(member(document, "name.familyName") is None, "name.familyName is there")
    expect(member(document, "name.givenName"), "name.givenName is missing")


@requirement(
    "rfc7644-3.9-excluded-always",
    "RFC 7644 §3.4.2.5",
    MUST,
    "excludedAttributes does not take out what is always returned.",
)
def excluded_always(stage: Stage) -> None:
    document = stage.read(stage.new_user(), excludedAttributes="id,userName")
    expect(document.get("id"), "there is no id")


@requirement(
    "rfc7644-3.9-schemas", "RFC 7643 §3", MUST, "schemas is part of every resource, whatever is asked for."
)
def schemas(stage: Stage) -> None:
    made = stage.new_user()
    for query in ({"attributes": "userName"}, {"excludedAttributes": "schemas"}):
        expect(stage.read(made, **query).get("schemas"), f"there is no schemas with {query}")


@requirement(
    "rfc7644-3.9-both",
    _SECTION,
    MUST,
    "attributes and excludedAttributes together are refused, or what is always returned is there still.",
)
def both(stage: Stage) -> None:
    answer = stage.target.get(stage.new_user().path, attributes="userName", excludedAttributes="meta")
    expect_status(answer, 400, 200)
    expect(answer.status == 400 or answer.document.get("id"), "there is no id")


@requirement("rfc7644-3.9-list", "RFC 7644 §3.4.2.5", MUST, "attributes holds for the resources of a list.")
def on_list(stage: Stage) -> None:
    cast(stage)
    answer = stage.target.get(stage.users, attributes="userName")
    expect_status(answer, 200)
    for each in answer.resources:
        expect(each.get("userName"), "userName is missing")
        _only(stage, each, "userName")


@requirement(
    "rfc7644-3.9-list-excluded",
    "RFC 7644 §3.4.2.5",
    MUST,
    "excludedAttributes holds for the resources of a list.",
)
def on_list_excluded(stage: Stage) -> None:
    cast(stage)
    name = stage.text()
    answer = stage.target.get(stage.users, excludedAttributes=name)
    expect_status(answer, 200)
    expect(all(name not in each for each in answer.resources), f"{name} is there")
    expect(all(each.get("userName") for each in answer.resources), "userName is missing")


@requirement("rfc7644-3.9-post", _SECTION, MUST, "attributes holds for the answer to a creation.")
def on_post(stage: Stage) -> None:
    body = stage.user_body(**{stage.text(): stage.name()})
    answer = stage.target.send("POST", stage.users, body, query={"attributes": "userName"})
    expect_status(answer, 201)
    expect(answer.document.get("userName"), "userName is missing")
    _only(stage, answer.document, "userName")


@requirement("rfc7644-3.9-put", _SECTION, MUST, "attributes holds for the answer to a PUT.")
def on_put(stage: Stage) -> None:
    body = stage.user_body(**{stage.text(): stage.name()})
    made = stage.make(stage.users, body)
    answer = stage.target.send("PUT", made.path, body, query={"attributes": "userName"})
    expect_status(answer, 200)
    expect(answer.document.get("userName"), "userName is missing")
    _only(stage, answer.document, "userName")


@requirement(
    "rfc7644-3.9-patch-excluded",
    _SECTION,
    MUST,
    "excludedAttributes holds for the answer to a PATCH, where it has one.",
)
def on_patch(stage: Stage) -> None:
    stage.needs("patch")
    name, made = stage.text(), stage.new_user()
    body = {"schemas": [PATCH_OPERATION], "Operations": [{"op": "add", "path": name, "value": stage.name()}]}
    answer = stage.target.send("PATCH", made.path, body, query={"excludedAttributes": name})
    expect_status(answer, 200, 204)
    expect(name not in answer.document, f"{name} is there")


@requirement(
    "rfc7643-7-request",
    "RFC 7643 §7",
    MUST,
    "An attribute whose returned is request comes only when it is asked for.",
)
def on_request(stage: Stage) -> None:
    found = next(
        (
            each
            for each in stage.provider.attributes(USER)
            if each.returned == "request" and each.type == "string"
        ),
        None,
    )
    if found is None:
        raise NotApplicable("no attribute of users is declared with returned request")
    made = stage.new_user(**{found.name: stage.name()})
    expect(found.name not in stage.read(made), f"{found.name} comes without being asked for")
    expect(
        found.name in stage.read(made, attributes=found.name), f"{found.name} does not come when asked for"
    )


@requirement(
    "rfc7643-7-never",
    "RFC 7643 §7",
    MUST,
    "An attribute whose returned is never does not come, not even when it is named.",
)
def never(stage: Stage) -> None:
    hidden = [each.name for each in stage.provider.attributes(USER) if each.returned == "never"]
    if not hidden:
        raise NotApplicable("no attribute of users is declared with returned never")
    made = stage.new_user()
    for query in ({}, {"attributes": ",".join(hidden)}):
        shown = [name for name in hidden if name in stage.read(made, **query)]
        expect(not shown, f"returned: {', '.join(shown)}")


@requirement(
    "rfc7643-2.5-unassigned", "RFC 7643 §2.5", SHOULD, "What has no value is left out of an answer or null."
)
def unassigned(stage: Stage) -> None:
    document = stage.read(stage.new_user())
    seen = member(document, stage.values())
    expect(seen in (None, []), f"{stage.values()} is {seen!r}")
