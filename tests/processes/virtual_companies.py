"""What the tests of the emulators share: connections, a mapped catalogue, the rights that should follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from conformance.company.mirror import Truth
from conformance.company.people import RIGHTS, ROLES, Team
from conformance.exchange import Target, open_target
from conformance.findings import Finding
from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import create, entitlement

ROLE = "urn:ietf:params:scim:schemas:core:2.0:Role"


def connect(server: LiveServer, dialect: str) -> Target:
    """Open a connection of a dialect, as an emulator speaks to it."""
    with server.operator() as operator:
        made = operator.post("/connections", json={"name": f"as-{dialect}", "dialect": dialect})
    assert made.status_code == 201, made.text
    document = made.json()
    return open_target(server.credentials["scim"]["url"], document["token"])


def counting_against(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.requirement.id, each.detail) for each in findings if each.counts_against]


def offer(server: LiveServer) -> None:
    """Fill the catalogue: rights for direct assignment, and one for each role; keys come by themselves."""
    with server.scim() as scim:
        for right in RIGHTS:
            create(scim, "/Entitlements", entitlement(right))
        for role in ROLES:
            create(scim, "/Roles", {"schemas": [ROLE], "value": role, "display": role})
            create(scim, "/Entitlements", entitlement(for_role(role), roles=[{"value": role}]))


def map_teams(server: LiveServer, truth: Truth) -> None:
    """Grant an entitlement to each group that there is now."""
    with server.scim() as scim:
        for identity in truth.groups:
            create(scim, "/Entitlements", entitlement(for_group(identity), groups=[{"value": identity}]))


def for_role(role: str) -> str:
    return f"by-role-{role}"


def for_group(identity: str) -> str:
    return f"by-group-{identity}"


def rights_due(truth: Truth, mapped: Iterable[str], *, direct: bool) -> dict[str, frozenset[str]]:
    """Return the entitlements that each user should hold, worked out from the truth alone.

    :param mapped: the ids of the groups that :func:`map_teams` mapped.
    :param direct: whether the identity provider writes entitlements into users.
    """
    groups: dict[str, set[str]] = {identity: set() for identity in truth.users}
    still_there: dict[str, Team] = {each: truth.groups[each] for each in mapped if each in truth.groups}
    for group_id, team in still_there.items():
        for user_id in truth.members(team):
            groups[user_id].add(for_group(group_id))
    return {
        identity: frozenset(
            groups[identity] | set(map(for_role, person.roles)) | (person.rights if direct else set())
            if person.active
            else ()
        )
        for identity, person in truth.users.items()
    }


def rights_held(server: LiveServer, user_ids: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the entitlements that each user holds, as ``explain`` says."""
    held = {}
    with server.operator() as operator:
        for identity in user_ids:
            answer = operator.get(f"/consumers/{identity}/explain")
            assert answer.status_code == 200, answer.text
            grants: list[dict[str, Any]] = answer.json()["grants"]
            held[identity] = frozenset(each["value"] for each in grants)
    return held


def keys_follow(server: LiveServer, due: Callable[[], Mapping[str, frozenset[str]]]) -> Callable[[int], None]:
    """Return what an emulator can call after each day: the keys that live are those that are due then."""

    def compare(day: int) -> None:
        wanted = {user: rights for user, rights in due().items() if rights}
        assert rights_of_live_keys(server) == wanted, f"day {day}"

    return compare


def rights_of_live_keys(server: LiveServer) -> dict[str, frozenset[str]]:
    """Return the entitlements of the keys of each user that are neither dormant nor dead."""
    found: dict[str, set[str]] = {}
    with server.operator() as operator:
        start = 1
        while True:
            page = operator.get("/keys", params={"startIndex": start, "count": 1000}).json()
            for key in page["Resources"]:
                if key["state"] in ("issued", "active"):
                    values = {each["display"] for each in key["entitlements"]}
                    found.setdefault(key["consumer"]["value"], set()).update(values)
            start += len(page["Resources"])
            if start > page["totalResults"] or not page["Resources"]:
                return {identity: frozenset(values) for identity, values in found.items()}
