"""What holds for every PATCH (RFC 7644 §3.5.2)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.expectations import (
    expect,
    expect_error,
    expect_refused,
    expect_same,
    expect_status,
    member,
)
from conformance.rfc.provider import USER
from conformance.rfc.stage import PATCH_OPERATION, Made, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.5.2"
_WORDS: Final = "RFC 7644 §3.12"


def _refused(stage: Stage, made: Made, body: Any) -> None:
    """Expect that a body is refused and changes nothing."""
    stage.needs("patch")
    before = stage.read(made)
    expect_refused(stage.target.send("PATCH", made.path, body))
    expect(stage.read(made) == before, "the resource has changed")


@requirement(
    "rfc7644-3.5.2-answer",
    _SECTION,
    MUST,
    "A PATCH is answered 200 with the whole resource, or 204 with nothing.",
)
def answer(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    seen = stage.target.patch(made.path, {"op": "replace", "path": stage.text(), "value": stage.name()})
    expect_status(seen, 200, 204)
    if seen.status == 200:
        expect(seen.document == stage.read(made), "the answer is not what GET then gives")
    else:
        expect(not seen.text, f"204 has a body: {seen.text[:100]!r}")


@requirement(
    "rfc7644-3.5.2-attributes",
    _SECTION,
    MUST,
    "A PATCH that names attributes in its URL is answered 200 with them.",
)
def attributes(stage: Stage) -> None:
    stage.needs("patch")
    made, name = stage.new_user(), stage.text()
    body = {
        "schemas": [PATCH_OPERATION],
        "Operations": [{"op": "replace", "path": name, "value": stage.name()}],
    }
    seen = stage.target.send("PATCH", made.path, body, query={"attributes": "userName"})
    expect_status(seen, 200)
    expect("userName" in seen.document, "userName is not in the answer")
    expect(name not in seen.document, f"{name} was not asked for")


@requirement(
    "rfc7644-3.5.2-op-case", _SECTION, SHOULD, "The names of operations are compared without letter case."
)
def operation_case(stage: Stage) -> None:
    made, name = stage.new_user(), stage.text()
    for word in ("Replace", "ADD"):
        value = stage.name()
        expect_same(
            member(stage.patched(made, {"op": word, "path": name, "value": value}), name), value, name
        )


@requirement(
    "rfc7644-3.5.2-path-case",
    "RFC 7643 §2.1",
    MUST,
    "The attribute in a path is compared without letter case.",
)
def path_case(stage: Stage) -> None:
    made, name, value = stage.new_user(), stage.text(), stage.name()
    document = stage.patched(made, {"op": "replace", "path": name.upper(), "value": value})
    expect_same(member(document, name), value, name)


@requirement(
    "rfc7644-3.5.2-path-urn",
    "RFC 7644 §3.10",
    MUST,
    "The attribute in a path may be qualified by the URI of its schema.",
)
def path_urn(stage: Stage) -> None:
    made, name, value = stage.new_user(), stage.text(), stage.name()
    document = stage.patched(made, {"op": "replace", "path": f"{USER}:{name}", "value": value})
    expect_same(member(document, name), value, name)


@requirement(
    "rfc7644-3.5.2-path-urn-case",
    "RFC 7643 §2.1",
    MUST,
    "The URI that qualifies the attribute in a path is compared without letter case.",
)
def path_urn_case(stage: Stage) -> None:
    made, name, value = stage.new_user(), stage.text(), stage.name()
    path = f"{USER.upper().replace('URN:', 'urn:')}:{name}"
    expect_same(
        member(stage.patched(made, {"op": "replace", "path": path, "value": value}), name), value, name
    )


@requirement("rfc7644-3.5.2-order", _SECTION, MUST, "Operations are applied in their order.")
def order(stage: Stage) -> None:
    made, name, value = stage.new_user(), stage.text(), stage.name()
    document = stage.patched(
        made,
        {"op": "add", "path": name, "value": stage.name()},
        {"op": "remove", "path": name},
        {"op": "add", "path": name, "value": value},
    )
    expect_same(member(document, name), value, name)


@requirement(
    "rfc7644-3.5.2-atomic", _SECTION, MUST, "If one operation of a PATCH fails, none of them has any effect."
)
def atomic(stage: Stage) -> None:
    made, name = stage.new_user(), stage.text()
    operations = [
        {"op": "add", "path": name, "value": stage.name()},
        {"op": "remove", "path": "userName"},
    ]
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": operations})


@requirement("rfc7644-3.5.2-not-named", _SECTION, MUST, "What a PATCH does not name stays as it is.")
def not_named(stage: Stage) -> None:
    values, first, second = stage.values(), stage.text(), stage.text(1)
    made = stage.new_user(**{values: [stage.value("work")], second: stage.name()})
    before = stage.read(made)
    after = stage.patched(made, {"op": "replace", "path": first, "value": stage.name()})
    ignored = {first, "meta"}
    changed = {key for key in {*before, *after} if key not in ignored and before.get(key) != after.get(key)}
    expect(not changed, f"changed too: {', '.join(sorted(changed))}")


@requirement(
    "rfc7644-3.5.2-unknown-resource", "RFC 7644 §3.12", MUST, "A PATCH of what is not there is answered 404."
)
def unknown_resource(stage: Stage) -> None:
    stage.needs("patch")
    path = f"{stage.users}/{stage.name('missing')}"
    expect_error(stage.target.patch(path, {"op": "add", "path": stage.text(), "value": "a"}), 404)


@requirement("rfc7644-3.5.2-schemas", _SECTION, SHOULD, "A PATCH without the PatchOp schema is refused.")
def message_schema(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"op": "add", "path": stage.text(), "value": stage.name()}
    _refused(stage, made, {"schemas": [USER], "Operations": [operation]})


@requirement("rfc7644-3.5.2-operations", _SECTION, SHOULD, "A PATCH without operations is refused.")
def operations(stage: Stage) -> None:
    made = stage.new_user()
    _refused(stage, made, {"schemas": [PATCH_OPERATION]})
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": []})


@requirement("rfc7644-3.5.2-unknown-op", _SECTION, MUST, "An operation that is not defined is refused.")
def unknown_operation(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"op": "move", "path": stage.text(), "value": stage.name()}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement("rfc7644-3.5.2-no-op", _SECTION, SHOULD, "An operation without op is refused.")
def no_operation(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"path": stage.text(), "value": stage.name()}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement("rfc7644-3.5.2-read-only", _SECTION, MUST, "A read-only attribute cannot be changed.")
def read_only(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"op": "replace", "path": "id", "value": stage.name()}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement("rfc7644-3.5.2-meta", "RFC 7643 §3.1", MUST, "A PATCH of meta changes nothing.")
def of_meta(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    before = stage.read(made)
    stage.target.patch(made.path, {"op": "replace", "path": "meta.created", "value": "2001-01-01T00:00:00Z"})
    expect(stage.read(made) == before, "the resource has changed")


@requirement(
    "rfc7644-3.5.2-read-only-word",
    _WORDS,
    SHOULD,
    "Changing a read-only attribute is answered 400 mutability.",
)
def read_only_word(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    expect_error(
        stage.target.patch(made.path, {"op": "replace", "path": "id", "value": stage.name()}),
        400,
        "mutability",
    )


@requirement(
    "rfc7644-3.5.2-groups-read-only", _SECTION, MUST, "The groups of a user cannot be changed at the user."
)
def groups_read_only(stage: Stage) -> None:
    if stage.attribute("groups").mutability != "readOnly":
        raise NotApplicable("groups of users is not read-only")
    made, group = stage.new_user(), stage.new_group()
    operation = {"op": "add", "path": "groups", "value": [{"value": group.id}]}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement("rfc7644-3.5.2-path-malformed", _SECTION, MUST, "A path that breaks the grammar is refused.")
def path_malformed(stage: Stage) -> None:
    made, values = stage.new_user(), stage.values()
    for path in (
        f"{values}[",
        f'{values}[type eq "work"',
        f"{values}[]",
        "a b",
        ".value",
        f"{values}..value",
    ):
        operation = {"op": "replace", "path": path, "value": "a"}
        _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement(
    "rfc7644-3.5.2-path-malformed-word", _WORDS, SHOULD, "A malformed path is answered 400 invalidPath."
)
def path_malformed_word(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    for path in ("a b", ".value"):
        expect_error(
            stage.target.patch(made.path, {"op": "replace", "path": path, "value": "a"}), 400, "invalidPath"
        )


@requirement(
    "rfc7644-3.5.2-path-filter-malformed", _WORDS, SHOULD, "A malformed filter in a path is answered 400."
)
def path_filter_malformed(stage: Stage) -> None:
    stage.needs("patch")
    made, values = stage.new_user(), stage.values()
    seen = stage.target.patch(made.path, {"op": "remove", "path": f'{values}[type xx "work"]'})
    expect_status(seen, 400)
    word = seen.document.get("scimType")
    expect(word in ("invalidFilter", "invalidPath"), f"scimType is {word!r}")


@requirement(
    "rfc7644-3.5.2-path-unknown", _SECTION, MUST, "A path to an attribute that no schema declares is refused."
)
def path_unknown(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"op": "replace", "path": stage.name("attribute"), "value": "a"}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement("rfc7644-3.5.2-wrong-type", _SECTION, MUST, "A value of the wrong type is refused.")
def wrong_type(stage: Stage) -> None:
    made = stage.new_user()
    for path, value in ((stage.text(), {"a": "b"}), (stage.values(), "no list of objects")):
        operation = {"op": "replace", "path": path, "value": value}
        _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement(
    "rfc7644-3.5.2-wrong-type-word", _WORDS, SHOULD, "A value of the wrong type is answered 400 invalidValue."
)
def wrong_type_word(stage: Stage) -> None:
    stage.needs("patch")
    made = stage.new_user()
    seen = stage.target.patch(made.path, {"op": "replace", "path": stage.text(), "value": {"a": "b"}})
    expect_error(seen, 400, "invalidValue")


@requirement("rfc7644-3.5.2-no-value", "RFC 7644 §3.5.2.1", SHOULD, "An add without a value is refused.")
def no_value(stage: Stage) -> None:
    made = stage.new_user()
    operation = {"op": "add", "path": stage.text()}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement(
    "rfc7644-3.5.2-uniqueness",
    "RFC 7643 §4.1.1",
    MUST,
    "A PATCH does not give a user the userName of another.",
)
def uniqueness(stage: Stage) -> None:
    made, other = stage.new_user(), stage.new_user()
    operation = {"op": "replace", "path": "userName", "value": other.document["userName"]}
    _refused(stage, made, {"schemas": [PATCH_OPERATION], "Operations": [operation]})


@requirement(
    "rfc7644-3.5.2-uniqueness-word",
    _WORDS,
    SHOULD,
    "The scimType of a PATCH with a userName that another user has is uniqueness.",
)
def uniqueness_word(stage: Stage) -> None:
    stage.needs("patch")
    made, other = stage.new_user(), stage.new_user()
    seen = stage.target.patch(
        made.path, {"op": "replace", "path": "userName", "value": other.document["userName"]}
    )
    expect(seen.document.get("scimType") == "uniqueness", f"scimType is {seen.document.get('scimType')!r}")


@requirement(
    "rfc7644-3.5.2-primary",
    _SECTION,
    MUST,
    "Making one value primary takes primary from the others of the list.",
)
def primary(stage: Stage) -> None:
    values = stage.values()
    stage.attribute(f"{values}.primary")
    made = stage.new_user(**{values: [{**stage.value("work"), "primary": True}, stage.value("home")]})
    ways: list[tuple[dict[str, Any], str]] = [
        ({"op": "replace", "path": f'{values}[type eq "home"].primary', "value": True}, "home"),
        ({"op": "add", "path": values, "value": [{**stage.value("other"), "primary": True}]}, "other"),
    ]
    for operation, kind in ways:
        document = stage.patched(made, operation)
        chosen = [each.get("type") for each in document.get(values) or () if each.get("primary") is True]
        expect(chosen == [kind], f"after {operation['op']} the primary values are {chosen}")


@requirement(
    "rfc7644-3.5.2-not-supported", "RFC 7644 §3.12", SHOULD, "A server without PATCH answers it 501."
)
def not_supported(stage: Stage) -> None:
    if stage.provider.supports("patch"):
        raise NotApplicable("PATCH is supported")
    made = stage.new_user()
    expect_status(stage.target.patch(made.path, {"op": "add", "path": stage.text(), "value": "a"}), 501)
