"""Group push as Okta does it."""

from __future__ import annotations

from random import Random
from typing import Any

from conformance.company.comparing import check, check_gone, values_of
from conformance.company.journal import Journal, expect, expect_status
from conformance.company.mirror import Mirror
from conformance.company.people import Team
from conformance.okta import requirements as needs
from conformance.okta.wire import GROUP, Wire


class GroupPush:
    """Keeps the pushed groups as the teams are."""

    def __init__(self, wire: Wire, journal: Journal, mirror: Mirror, *, whole: bool, chance: Random) -> None:
        """:param whole: whether groups are sent whole, by PUT, as custom apps do."""
        self._wire = wire
        self._journal = journal
        self._mirror = mirror
        self._whole = whole
        self._chance = chance
        self.astray: set[str] = set()
        """The keys of teams that the server could not be brought to hold."""

    def push(self, team: Team) -> None:
        """Send what changed of a team since the last time."""
        if team.key in self.astray:
            return
        if team.key not in self._mirror.teams and not self._create(team):
            self.astray.add(team.key)
            return
        before = self._mirror.teams[team.key]
        if team.name != before.name or team.members != before.members:
            if self._whole:
                self._put(team)
            else:
                self._patch(before, team)

    def delete(self, team: Team) -> None:
        """Delete the group of a team ("delete in target app")."""
        path = self._path(team)

        def step() -> None:
            expect_status(self._wire.delete(path), 204)
            check_gone(self._journal.target, path)

        self._journal.attempt(needs.GROUP_DELETE, step)
        del self._mirror.teams[team.key], self._mirror.group_ids[team.key]

    def _create(self, team: Team) -> bool:
        empty = Team(team.key, team.name)

        def create() -> None:
            answer = self._wire.post("Groups", {"schemas": [GROUP], "displayName": team.name, "members": []})
            expect_status(answer, 201, 200)
            identity = answer.document.get("id")
            expect(isinstance(identity, str) and identity, "the new group has no id")
            self._mirror.group_ids[team.key] = str(identity)
            self._mirror.teams[team.key] = empty
            self._check(empty)

        def look_up() -> None:
            found = self._wire.find("Groups", "displayName", team.name)
            expected = [self._mirror.group_ids[team.key]]
            expect([each.get("id") for each in found] == expected, f"found {found!r:.300}")

        self._journal.attempt(needs.GROUP_CREATE, create)
        if team.key not in self._mirror.group_ids:
            return False
        self._journal.attempt(needs.GROUP_LOOK_UP, look_up)
        return True

    def _put(self, team: Team) -> None:
        self._attempt(needs.GROUP_PUT, team, lambda: self._send_whole(team))

    def _patch(self, before: Team, team: Team) -> None:
        renamed = Team(team.key, team.name, before.members)
        path, identity = self._path(team), self._mirror.group_ids[team.key]
        rename = {"op": "replace", "value": {"id": identity, "displayName": team.name}}
        # Okta sends the name with every change of members.
        if not self._attempt(
            needs.GROUP_RENAME, renamed, lambda: expect_status(self._wire.patch(path, rename), 200, 204)
        ):
            return
        added, removed = team.members - before.members, before.members - team.members
        if not added and not removed:
            return
        if not team.members:
            self._replace_members(needs.GROUP_EMPTY, team)
        elif self._chance.random() < 0.25:
            self._replace_members(needs.GROUP_FULL, team)
        else:
            self._delta(team, added, removed)

    def _replace_members(self, requirement: Any, team: Team) -> None:
        operation = {"op": "replace", "path": "members", "value": self._members(team.members)}
        path = self._path(team)
        self._attempt(requirement, team, lambda: expect_status(self._wire.patch(path, operation), 200, 204))

    def _delta(self, team: Team, added: frozenset[str], removed: frozenset[str]) -> None:
        operations: list[dict[str, Any]] = [
            {"op": "remove", "path": f'members[value eq "{identity}"]'}
            for identity in sorted(self._mirror.member_ids(removed))
        ]
        if self._mirror.member_ids(added):
            operations.append({"op": "add", "path": "members", "value": self._members(added)})
        if not operations:
            return
        path = self._path(team)

        def step() -> None:
            expect_status(self._wire.patch(path, *operations), 200, 204)

        if self._attempt(needs.GROUP_DELTA, team, step) and self._chance.random() < 0.2:
            self._attempt(needs.GROUP_AGAIN, team, step)

    def try_unknown_member(self, team: Team, newcomer: str) -> None:
        """Add someone together with an id that no user has, as a stale link makes Okta do."""
        grown = Team(team.key, team.name, team.members | {newcomer})
        sent = self._mirror.member_ids(grown.members)
        value = [{"value": "no-user-has-this-id", "display": "gone"}, *self._members(frozenset([newcomer]))]
        operation = {"op": "add", "path": "members", "value": value}
        path = self._path(team)

        def step() -> None:
            expect_status(self._wire.patch(path, operation), 200, 204)
            seen = values_of(self._wire.get(path).document.get("members"))
            expect(sent <= seen, f"{len(sent - seen)} members lack: {sorted(sent - seen)[:3]}")

        self._mirror.teams[team.key] = grown
        self._journal.attempt(needs.GROUP_UNKNOWN, step)
        # Some servers keep the unknown id: the group is to be what the team is again.
        self._send_whole(grown, judged=False)

    def _attempt(self, requirement: Any, team: Team, send: Any) -> bool:
        """Carry out a step after which the group should be as the team is; put it right when it is not."""

        def step() -> None:
            send()
            self._check(team)

        self._mirror.teams[team.key] = team
        if self._journal.attempt(requirement, step):
            return True
        self._send_whole(team, judged=False)
        answer = self._wire.get(self._path(team))
        if values_of(answer.document.get("members")) != self._mirror.member_ids(team.members):
            self.astray.add(team.key)
        return False

    def _send_whole(self, team: Team, *, judged: bool = True) -> None:
        body = {
            "schemas": [GROUP],
            "id": self._mirror.group_ids[team.key],
            "displayName": team.name,
            "members": self._members(team.members),
        }
        answer = self._wire.put(self._path(team), body)
        if judged:
            expect_status(answer, 200, 204)

    def _members(self, keys: frozenset[str]) -> list[dict[str, str]]:
        return [
            {"value": self._mirror.user_ids[key], "display": self._mirror.persons[key].user_name}
            for key in sorted(keys)
            if key in self._mirror.user_ids
        ]

    def _check(self, team: Team) -> None:
        wanted = {"displayName": team.name, "members": self._mirror.member_ids(team.members)}
        check(self._journal.target, self._path(team), wanted)

    def _path(self, team: Team) -> str:
        return f"Groups/{self._mirror.group_ids[team.key]}"
