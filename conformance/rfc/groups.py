"""Groups and their members (RFC 7643 §4.2, RFC 7644 §3.5.2)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.expectations import (
    elements,
    expect,
    expect_refused,
    expect_same,
    expect_status,
    member,
)
from conformance.rfc.provider import GROUP
from conformance.rfc.stage import Made, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7643 §4.2"
_ADDING: Final = "RFC 7644 §3.5.2.1"
_REMOVING: Final = "RFC 7644 §3.5.2.2"


def _group(stage: Stage, *members: Made) -> Made:
    stage.attribute("members", GROUP)
    return stage.new_group(members=[{"value": each.id} for each in members] or None)


def _expect_members(document: dict[str, Any], *members: Made) -> None:
    expect_same(elements(document, "members"), sorted(each.id.lower() for each in members), "the members")


@requirement("rfc7643-4.2-created", _SECTION, MUST, "A group is made with its name and its members.")
def created(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    _expect_members(stage.read(_group(stage, first, second)), first, second)


@requirement("rfc7643-4.2-display-name", _SECTION, MUST, "No group comes to be without a displayName.")
def display_name(stage: Stage) -> None:
    body = stage.group_body(displayName=None)
    answer = stage.target.post(stage.groups, body)
    expect(answer.status >= 400 or answer.document.get("displayName"), "a group without a name was made")


@requirement("rfc7643-4.2-member-value", _SECTION, MUST, "value of a member is the id of a resource.")
def member_value(stage: Stage) -> None:
    user = stage.new_user()
    document = stage.read(_group(stage, user))
    expect(
        [each.get("value") for each in document.get("members") or ()] == [user.id],
        f"members: {document.get('members')}",
    )


@requirement(
    "rfc7643-4.2-member-reference", _SECTION, SHOULD, "$ref of a member, where it is given, leads to it."
)
def member_reference(stage: Stage) -> None:
    user = stage.new_user()
    found = (stage.read(_group(stage, user)).get("members") or [{}])[0]
    reference = found.get("$ref")
    if reference is None:
        raise NotApplicable("members have no $ref")
    expect(str(reference).endswith(user.path), f"$ref is {reference!r}")


@requirement("rfc7643-4.2-nested", _SECTION, SHOULD, "A group may be a member of a group.")
def nested(stage: Stage) -> None:
    inner = stage.new_group()
    document = stage.read(_group(stage, inner))
    _expect_members(document, inner)
    kind = (document.get("members") or [{}])[0].get("type")
    expect(kind in (None, "Group"), f"type of the member is {kind!r}")


@requirement(
    "rfc7643-4.1.2-groups",
    "RFC 7643 §4.1.2",
    SHOULD,
    "The groups of a user are those that have it as a member.",
)
def groups_of_user(stage: Stage) -> None:
    stage.attribute("groups")
    user, other = stage.new_user(), stage.new_user()
    group = _group(stage, user)
    expect(group.id in elements(stage.read(user), "groups"), "the group is not among the user's groups")
    expect(group.id not in elements(stage.read(other), "groups"), "another user has the group too")


@requirement("rfc7644-3.5.2.1-member", _ADDING, MUST, "add adds a member and keeps the others.")
def add_member(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    operation = {"op": "add", "path": "members", "value": [{"value": second.id}]}
    _expect_members(stage.patched(group, operation), first, second)


@requirement(
    "rfc7644-3.5.2.1-member-present",
    _ADDING,
    SHOULD,
    "add of someone who is a member succeeds and changes nothing.",
)
def add_present(stage: Stage) -> None:
    user = stage.new_user()
    group = _group(stage, user)
    operation = {"op": "add", "path": "members", "value": [{"value": user.id}]}
    _expect_members(stage.patched(group, operation), user)


@requirement(
    "rfc7644-3.5.2.1-member-present-modified",
    _ADDING,
    MUST,
    "add of someone who is a member does not change meta.lastModified.",
)
def add_present_modified(stage: Stage) -> None:
    user = stage.new_user()
    group = _group(stage, user)
    before = stage.read(group)
    after = stage.patched(group, {"op": "add", "path": "members", "value": [{"value": user.id}]})
    seen = [member(each, "meta.lastModified") for each in (before, after)]
    expect(seen[0] == seen[1], f"meta.lastModified went from {seen[0]} to {seen[1]}")


@requirement(
    "rfc7644-3.5.2.2-member", _REMOVING, MUST, "remove with a filter takes that member and no other."
)
def remove_member(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first, second)
    operation = {"op": "remove", "path": f'members[value eq "{first.id}"]'}
    _expect_members(stage.patched(group, operation), second)


@requirement(
    "rfc7644-3.5.2.2-member-absent",
    _REMOVING,
    SHOULD,
    "remove of someone who is no member succeeds and changes nothing.",
)
def remove_absent(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    before = stage.read(group)
    after = stage.patched(group, {"op": "remove", "path": f'members[value eq "{second.id}"]'})
    _expect_members(after, first)
    expect(
        member(before, "meta.lastModified") == member(after, "meta.lastModified"), "meta.lastModified changed"
    )


@requirement(
    "rfc7644-3.5.2.2-members", _REMOVING, MUST, "remove of members without a filter takes all of them."
)
def remove_all(stage: Stage) -> None:
    group = _group(stage, stage.new_user(), stage.new_user())
    _expect_members(stage.patched(group, {"op": "remove", "path": "members"}))


@requirement("rfc7644-3.5.2.3-members", "RFC 7644 §3.5.2.3", MUST, "replace of members replaces all of them.")
def replace_all(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    operation = {"op": "replace", "path": "members", "value": [{"value": second.id}]}
    _expect_members(stage.patched(group, operation), second)


@requirement(
    "rfc7644-3.5.2-members-order",
    "RFC 7644 §3.5.2",
    MUST,
    "A removal and an addition in one PATCH both hold.",
)
def remove_and_add(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    document = stage.patched(
        group,
        {"op": "remove", "path": f'members[value eq "{first.id}"]'},
        {"op": "add", "path": "members", "value": [{"value": second.id}]},
    )
    _expect_members(document, second)


@requirement(
    "rfc7644-3.5.2-members-not-named",
    "RFC 7644 §3.5.2",
    MUST,
    "A PATCH that does not name members keeps them.",
)
def not_named(stage: Stage) -> None:
    user = stage.new_user()
    group = _group(stage, user)
    document = stage.patched(group, {"op": "replace", "path": "displayName", "value": stage.name("renamed")})
    _expect_members(document, user)


@requirement("rfc7644-3.5.1-members", "RFC 7644 §3.5.1", MUST, "A PUT with members replaces all of them.")
def put_members(stage: Stage) -> None:
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    body = stage.group_body(members=[{"value": second.id}])
    expect_status(stage.target.put(group.path, body), 200, 204)
    _expect_members(stage.read(group), second)


@requirement(
    "rfc7643-4.2-member-immutable", _SECTION, SHOULD, "value of a member cannot be changed in place."
)
def member_immutable(stage: Stage) -> None:
    stage.needs("patch")
    declared = stage.attribute("members.value", GROUP)
    if declared.mutability != "immutable":
        raise NotApplicable("members.value is not declared immutable")
    first, second = stage.new_user(), stage.new_user()
    group = _group(stage, first)
    path = f'members[value eq "{first.id}"].value'
    answer = stage.target.patch(group.path, {"op": "replace", "path": path, "value": second.id})
    expect_refused(answer)
    _expect_members(stage.read(group), first)


@requirement("rfc7644-3.4.2.2-members", "RFC 7644 §3.4.2.2", MUST, "A filter finds the groups of a member.")
def filter_members(stage: Stage) -> None:
    stage.needs("filter")
    user = stage.new_user()
    group, other = _group(stage, user), _group(stage, stage.new_user())
    for written in (f'members.value eq "{user.id}"', f'members[value eq "{user.id}"]'):
        answer = stage.target.get(stage.groups, filter=written)
        expect_status(answer, 200)
        found = {each.get("id") for each in answer.resources}
        expect(group.id in found and other.id not in found, f"{written} finds {len(found)} groups")


@requirement(
    "rfc7644-3.4.2.2-group-name", "RFC 7644 §3.4.2.2", MUST, "A filter finds a group by its displayName."
)
def filter_name(stage: Stage) -> None:
    stage.needs("filter")
    group, _ = stage.new_group(), stage.new_group()
    answer = stage.target.get(stage.groups, filter=f'displayName eq "{group.document.get("displayName")}"')
    expect_status(answer, 200)
    expect(
        [each.get("id") for each in answer.resources] == [group.id],
        f"{len(answer.resources)} groups are found",
    )


@requirement(
    "rfc7644-3.9-members-excluded",
    "RFC 7644 §3.9",
    MUST,
    "excludedAttributes=members leaves the members out.",
)
def members_excluded(stage: Stage) -> None:
    document = stage.read(_group(stage, stage.new_user()), excludedAttributes="members")
    expect("members" not in document, "members is there")
    expect(document.get("displayName"), "displayName is missing")
