"""Groups as Entra provisions them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from conformance.company.comparing import check, check_gone
from conformance.company.journal import Deviates, expect, expect_status
from conformance.company.mirror import Mirror
from conformance.company.people import Team
from conformance.entra import requirements as needs
from conformance.entra.wire import GROUP, UNDECLARED, Wire
from conformance.findings import Requirement

_MOST_IN_ONE_PATCH: Final = 256

Attempt = Callable[[str, Requirement, Callable[[], None]], bool]


class Groups:
    """Keeps the groups as the teams are."""

    def __init__(self, wire: Wire, attempt: Attempt, mirror: Mirror, chance: Random) -> None:
        """:param attempt: carries out a step for the object of a key, and says whether it worked."""
        self._wire = wire
        self._attempt = attempt
        self._mirror = mirror
        self._chance = chance

    def provision(self, team: Team) -> bool:
        """Send what changed of a team since the last time; return whether all of it was done."""
        if team.key not in self._mirror.group_ids:
            self._create(team)
            if team.key not in self._mirror.group_ids:
                return False
        before = self._mirror.teams[team.key]
        done = True
        if team.name != before.name:
            done = self._rename(Team(team.key, team.name, before.members))
            before = self._mirror.teams[team.key]
        for requirement, operation, members in self._changes(before.members, team.members):
            done = self._step(requirement, Team(team.key, before.name, members), operation) and done
            if not done:
                return False
        return done

    def delete(self, team: Team) -> bool:
        """Delete the group of a team; return whether it is gone."""
        path = self._path(team)

        def step() -> None:
            expect_status(self._wire.delete(path), 204, 404)
            check_gone(self._wire.target, path)

        done = self._attempt(team.key, needs.GROUP_DELETE, step)
        del self._mirror.teams[team.key], self._mirror.group_ids[team.key]
        return done

    def _create(self, team: Team) -> None:
        empty = Team(team.key, team.name)

        def match(found: list[str]) -> None:
            escaped = team.name.replace('"', '\\"')
            query = {"excludedAttributes": "members", "filter": f'displayName eq "{escaped}"'}
            answer = self._wire.get("Groups", **query)
            expect_status(answer, 200)
            expect([each.get("id") for each in answer.resources] == found, f"found {answer.text[:300]}")
            expect(not any("members" in each for each in answer.resources), "the look-up shows members")

        def create() -> None:
            body = {
                "schemas": [GROUP, UNDECLARED],
                "externalId": team.key,
                "displayName": team.name,
                "meta": {"resourceType": "Group"},
            }
            answer = self._wire.post("Groups", body)
            expect_status(answer, 201, 200)
            identity = answer.document.get("id")
            expect(isinstance(identity, str) and identity, "the new group has no id")
            self._mirror.group_ids[team.key] = str(identity)
            self._mirror.teams[team.key] = empty
            self._check(empty)

        self._attempt(team.key, needs.GROUP_MATCH, lambda: match([]))
        if not self._attempt(team.key, needs.GROUP_CREATE, create):
            self._create_plainly(empty)
        if team.key in self._mirror.group_ids:
            found = [self._mirror.group_ids[team.key]]
            self._attempt(team.key, needs.GROUP_MATCH, lambda: match(found))

    def _create_plainly(self, team: Team) -> None:
        """After a failed creation: make the group as the RFCs do, so that later steps can be tried."""
        if team.key in self._mirror.group_ids:
            return
        answer = self._wire.post("Groups", {"schemas": [GROUP], "displayName": team.name})
        if answer.status == 201 and answer.document.get("id"):
            self._mirror.group_ids[team.key] = str(answer.document["id"])
            self._mirror.teams[team.key] = team

    def _put_right(self, team: Team) -> bool:
        """After a failed step: put the group as the RFCs do; return whether it then is what it should be."""
        members = [{"value": each} for each in sorted(self._mirror.member_ids(team.members))]
        body = {"schemas": [GROUP], "displayName": team.name, "members": members}
        try:
            expect_status(self._wire.put(self._path(team), body), 200, 204)
            self._check(team)
        except Deviates:
            return False
        return True

    def _rename(self, team: Team) -> bool:
        if self._wire.flag:
            return self._step(
                needs.GROUP_RENAME, team, {"op": "replace", "value": {"displayName": team.name}}
            )
        operation = {"op": "Replace", "path": "displayName", "value": team.name}
        return self._step(needs.GROUP_RENAME, team, operation)

    def _changes(
        self, before: frozenset[str], after: frozenset[str]
    ) -> Iterator[tuple[Requirement, Any, frozenset[str]]]:
        """Yield each PATCH: its requirement, its operations, and the members there should be after it."""
        members = before
        size = 1 if self._chance.random() < 0.2 and len(before ^ after) < 8 else _MOST_IN_ONE_PATCH
        for keys in _parts(sorted(before - after), size):
            members = members - set(keys)
            yield self._removal(), self._remove(keys), members
        for keys in _parts(sorted(after - before), size):
            members = members | set(keys)
            value = [{"$ref": None, "value": each} for each in self._ids(keys)]
            yield needs.MEMBERS_ADD, {"op": self._wire.op("add"), "path": "members", "value": value}, members

    def _removal(self) -> Requirement:
        return needs.MEMBERS_REMOVE_FLAG if self._wire.flag else needs.MEMBERS_REMOVE

    def _remove(self, keys: list[str]) -> Any:
        if self._wire.flag:
            return [{"op": "remove", "path": f'members[value eq "{each}"]'} for each in self._ids(keys)]
        value = [{"value": each} for each in self._ids(keys)]
        return {"op": "Remove", "path": "members", "value": value}

    def _step(self, requirement: Requirement, team: Team, operation: Any) -> bool:
        operations = operation if isinstance(operation, list) else [operation]
        if not operations or operations[0].get("value") == []:
            self._mirror.teams[team.key] = team  # None of them is in the directory.
            return True

        def send() -> None:
            expect_status(self._wire.patch(self._path(team), operations), 200, 204)
            self._check(team)

        if not self._attempt(team.key, requirement, send) and not self._put_right(team):
            return False
        self._mirror.teams[team.key] = team
        if requirement is not needs.GROUP_RENAME and self._chance.random() < 0.15:
            return self._attempt(team.key, needs.MEMBERS_AGAIN, send) or self._put_right(team)
        return True

    def _ids(self, keys: list[str]) -> list[str]:
        return [self._mirror.user_ids[key] for key in keys if key in self._mirror.user_ids]

    def _check(self, team: Team) -> None:
        wanted = {"displayName": team.name, "members": self._mirror.member_ids(team.members)}
        check(self._wire.target, self._path(team), wanted)

    def _path(self, team: Team) -> str:
        return f"Groups/{self._mirror.group_ids[team.key]}"


def _parts(keys: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]
