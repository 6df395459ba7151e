"""References between the operations of one bulk request (RFC 7644 §3.7.1, §3.7.2)."""

from __future__ import annotations

from typing import Any, Final

from conformance.rfc.bulk import creation, results
from conformance.rfc.expectations import elements, expect, expect_same, member
from conformance.rfc.provider import ENTERPRISE, GROUP
from conformance.rfc.stage import PATCH_OPERATION, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.7.2"


def _group(stage: Stage, *members: str, **more: Any) -> dict[str, Any]:
    stage.attribute("members", GROUP)
    data = stage.group_body(members=[{"value": each, **more} for each in members])
    return {"method": "POST", "path": f"/{stage.groups}", "bulkId": stage.name("b"), "data": data}


def _id(result: dict[str, Any]) -> str:
    return str(result.get("location")).rstrip("/").rpartition("/")[2]


def _made(found: list[dict[str, Any]]) -> list[str]:
    statuses = [str(each.get("status")) for each in found]
    expect(all(each == "201" for each in statuses), f"statuses: {statuses}")
    return [_id(each) for each in found]


@requirement(
    "rfc7644-3.7.2-backward",
    _SECTION,
    MUST,
    "bulkId: and a bulkId stands for the id of what was made before.",
)
def backward(stage: Stage) -> None:
    user = creation(stage)
    made = _made(results(stage, user, _group(stage, f"bulkId:{user['bulkId']}")))
    document = stage.target.get(f"{stage.groups}/{made[1]}").document
    expect_same(elements(document, "members"), [made[0]], "the members")


@requirement(
    "rfc7644-3.7.2-forward", _SECTION, MUST, "A bulkId may be referred to before the operation that makes it."
)
def forward(stage: Stage) -> None:
    user = creation(stage)
    made = _made(results(stage, _group(stage, f"bulkId:{user['bulkId']}"), user))
    document = stage.target.get(f"{stage.groups}/{made[0]}").document
    expect_same(elements(document, "members"), [made[1]], "the members")


@requirement(
    "rfc7644-3.7.1-circular",
    "RFC 7644 §3.7.1",
    MUST,
    "Two creations that refer to each other are resolved, or answered 409.",
)
def circular(stage: Stage) -> None:
    first, second = _group(stage), _group(stage)
    first["data"]["members"] = [{"value": f"bulkId:{second['bulkId']}", "type": "Group"}]
    second["data"]["members"] = [{"value": f"bulkId:{first['bulkId']}", "type": "Group"}]
    found = results(stage, first, second)
    statuses = {str(each.get("status")) for each in found}
    if statuses == {"201"}:
        made = [_id(each) for each in found]
        for here, there in (made, reversed(made)):
            document = stage.target.get(f"{stage.groups}/{here}").document
            expect_same(elements(document, "members"), [there], "the members")
    else:
        expect("409" in statuses, f"statuses: {sorted(statuses)}")


@requirement("rfc7644-3.7.2-patch", _SECTION, MUST, "A bulkId is resolved in the data of a PATCH.")
def in_patch(stage: Stage) -> None:
    stage.needs("patch")
    stage.attribute("members", GROUP)
    group, user = stage.new_group(), creation(stage)
    operation = {"op": "add", "path": "members", "value": [{"value": f"bulkId:{user['bulkId']}"}]}
    data = {"schemas": [PATCH_OPERATION], "Operations": [operation]}
    found = results(stage, user, {"method": "PATCH", "path": f"/{group.path}", "data": data})
    statuses = [str(each.get("status")) for each in found]
    expect(statuses[0] == "201" and statuses[-1] in ("200", "204"), f"statuses: {statuses}")
    expect_same(elements(stage.read(group), "members"), [_id(found[0])], "the members")


@requirement("rfc7644-3.7.2-path", _SECTION, SHOULD, "A bulkId is resolved in the path of an operation.")
def in_path(stage: Stage) -> None:
    user = creation(stage)
    found = results(stage, user, {"method": "DELETE", "path": f"/{stage.users}/bulkId:{user['bulkId']}"})
    statuses = [str(each.get("status")) for each in found]
    expect(statuses == ["201", "204"], f"statuses: {statuses}")


@requirement("rfc7644-3.7.2-extension", _SECTION, MUST, "A bulkId is resolved in an extension.")
def in_extension(stage: Stage) -> None:
    stage.attribute("manager.value", ENTERPRISE)
    boss = creation(stage)
    report = creation(stage, **{ENTERPRISE: {"manager": {"value": f"bulkId:{boss['bulkId']}"}}})
    made = _made(results(stage, boss, report))
    document = stage.target.get(f"{stage.users}/{made[1]}").document
    expect_same(member(document, f"{ENTERPRISE}:manager.value"), made[0], "manager.value")


@requirement(
    "rfc7644-3.7.2-unknown", _SECTION, MUST, "A bulkId that no operation has makes its operation fail."
)
def unknown(stage: Stage) -> None:
    found = results(stage, _group(stage, f"bulkId:{stage.name('nothing')}"))
    statuses = [str(each.get("status")) for each in found]
    expect(len(statuses) == 1 and statuses[0].startswith("4"), f"statuses: {statuses}")


@requirement(
    "rfc7644-3.7.2-failed",
    _SECTION,
    MUST,
    "An operation that refers to one that failed fails too, and does not keep the reference.",
)
def failed(stage: Stage) -> None:
    user = {**creation(stage), "data": stage.user_body(userName=None)}
    found = results(stage, user, _group(stage, f"bulkId:{user['bulkId']}"))
    statuses = [str(each.get("status")) for each in found]
    expect(all(each.startswith("4") for each in statuses), f"statuses: {statuses}")
