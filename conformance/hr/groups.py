"""Groups as an HR system keeps them: by changes of members and by the whole list, in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import cycle
from typing import Any

from conformance.company.comparing import Wanted, check, check_gone
from conformance.company.journal import Deviates, Journal, expect, expect_status
from conformance.company.mirror import Mirror
from conformance.company.people import Team
from conformance.exchange import Answer, Target
from conformance.findings import Requirement
from conformance.hr import requirements as needs
from conformance.hr.records import GROUP


class Groups:
    """Keeps the groups as the teams are."""

    def __init__(self, target: Target, journal: Journal, mirror: Mirror) -> None:
        self._target = target
        self._journal = journal
        self._mirror = mirror
        self._ways = cycle(((needs.GROUP_DELTA, self._delta), (needs.GROUP_PUT, self._put)))
        self.astray: set[str] = set()
        """The keys of teams that the server could not be brought to hold."""

    def synchronise(self, team: Team) -> None:
        """Send what changed of a team since the last time, of its members those who have a user."""
        if team.key in self.astray:
            return
        team = self._mirror.linked(team)
        before = self._mirror.teams.get(team.key)
        if before is None:
            self._create(team)
        elif team != before:
            requirement, send = next(self._ways)
            self._step(requirement, team, lambda: send(before, team))

    def delete(self, key: str) -> None:
        """Delete the group of a team that was dissolved."""
        path = self._path(key)

        def step() -> None:
            expect_status(self._target.delete(path), 204)
            check_gone(self._target, path)

        self._journal.attempt(needs.GROUP_DELETE, step)
        del self._mirror.teams[key], self._mirror.group_ids[key]

    def without(self, key: str, person: str) -> None:
        """Check that a group does not have a deleted user any more."""
        team = self._mirror.teams[key]
        self._mirror.teams[key] = replace(team, members=team.members - {person})
        if key in self.astray:
            return

        def step() -> None:
            self._check(self._mirror.teams[key])

        if not self._journal.attempt(needs.LEAVE_DELETE_GROUPS, step):
            self._put_right(self._mirror.teams[key])

    def wanted(self) -> dict[str, Wanted]:
        """Return what the server should say of each group, by its id."""
        return {
            self._mirror.group_ids[key]: self._wanted(team)
            for key, team in self._mirror.teams.items()
            if key not in self.astray
        }

    def _create(self, team: Team) -> None:
        def step() -> None:
            answer = self._target.post("Groups", self._body(team))
            expect_status(answer, 201)
            identity = str(answer.document.get("id") or "")
            expect(identity, "the new group has no id")
            self._mirror.group_ids[team.key] = identity
            self._mirror.teams[team.key] = team
            self._check(team)

        if self._journal.attempt(needs.GROUP_CREATE, step):
            return
        if team.key not in self._mirror.group_ids:
            self.astray.add(team.key)
            return
        self._put_right(team)

    def _step(self, requirement: Requirement, team: Team, send: Callable[[], Answer]) -> None:
        def step() -> None:
            expect_status(send(), 200, 204)
            self._check(team)

        self._mirror.teams[team.key] = team
        if not self._journal.attempt(requirement, step):
            self._put_right(team)

    def _delta(self, before: Team, team: Team) -> Answer:
        operations: list[dict[str, Any]] = [
            {"op": "remove", "path": f'members[value eq "{each}"]'}
            for each in sorted(self._mirror.member_ids(before.members - team.members))
        ]
        added = self._mirror.member_ids(team.members - before.members)
        if added:
            value = [{"value": each} for each in sorted(added)]
            operations.append({"op": "add", "path": "members", "value": value})
        if team.name != before.name:
            operations.append({"op": "replace", "path": "displayName", "value": team.name})
        return self._target.patch(self._path(team.key), *operations)

    def _put(self, before: Team, team: Team) -> Answer:
        return self._target.put(self._path(team.key), self._body(team))

    def _put_right(self, team: Team) -> None:
        try:
            expect_status(self._put(team, team), 200, 204)
            self._check(team)
        except Deviates:
            self.astray.add(team.key)

    def _body(self, team: Team) -> dict[str, Any]:
        members = [{"value": each} for each in sorted(self._mirror.member_ids(team.members))]
        return {"schemas": [GROUP], "displayName": team.name, "members": members}

    def _wanted(self, team: Team) -> Wanted:
        return {"displayName": team.name, "members": self._mirror.member_ids(team.members)}

    def _check(self, team: Team) -> None:
        check(self._target, self._path(team.key), self._wanted(team))

    def _path(self, key: str) -> str:
        return f"Groups/{self._mirror.group_ids[key]}"
