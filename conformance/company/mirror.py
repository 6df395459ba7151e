"""What a connector remembers of the server: links to its objects, and what it last sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from conformance.company.comparing import check_document, list_all
from conformance.company.journal import Deviates, Journal
from conformance.company.people import Person, Team
from conformance.findings import Requirement


@dataclass(frozen=True)
class Truth:
    """What the server should hold, by the server's ids."""

    users: Mapping[str, Person]
    groups: Mapping[str, Team]
    user_ids: Mapping[str, str]
    """The server's id of each person, by the person's key."""

    group_ids: Mapping[str, str]
    """The server's id of each team, by the team's key."""

    def members(self, team: Team) -> frozenset[str]:
        """Return the server's ids of a team's members."""
        return frozenset(self.user_ids[key] for key in team.members if key in self.user_ids)


@dataclass
class Mirror:
    """The connector's side of what it provisions."""

    user_ids: dict[str, str] = field(default_factory=dict)
    group_ids: dict[str, str] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    """What was last sent of each linked person, by key."""

    teams: dict[str, Team] = field(default_factory=dict)

    def member_ids(self, keys: frozenset[str]) -> frozenset[str]:
        """Return the server's ids of those who have one."""
        return frozenset(self.user_ids[key] for key in keys if key in self.user_ids)

    def linked(self, team: Team) -> Team:
        """Return a team with those of its members who have a user on the server."""
        return replace(team, members=team.members.intersection(self.user_ids))

    def truth(self) -> Truth:
        """Return what the server should hold now."""
        users = {self.user_ids[key]: person for key, person in self.persons.items()}
        groups = {self.group_ids[key]: team for key, team in self.teams.items()}
        return Truth(users, groups, dict(self.user_ids), dict(self.group_ids))


def compare_directory(
    journal: Journal,
    requirement: Requirement,
    path: str,
    wanted: Mapping[str, Mapping[str, Any]],
    is_ours: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Compare every resource of an endpoint with what should be there, each as one trial.

    :param wanted: by the server's id, what :func:`~conformance.company.comparing.differences` wants.
    :param is_ours: whether a resource that is not wanted came from this emulator all the same.
    """
    found: dict[str, dict[str, Any]] = {}

    def read() -> None:
        found.update((str(each.get("id")), each) for each in list_all(journal.target, path))
        lacking = [identity for identity in wanted if identity not in found]
        extra = [identity for identity, each in found.items() if identity not in wanted and is_ours(each)]
        if lacking or extra:
            counted = f"{len(lacking)} lack {lacking[:3]}, {len(extra)} are too many {extra[:3]}"
            raise Deviates(f"/{path}: {counted}")

    def compare(identity: str) -> None:
        try:
            check_document(found[identity], wanted[identity])
        except Deviates:
            # The pages are too long for a report: it shows the one resource instead.
            journal.target.get(f"{path}/{identity}")
            raise

    journal.attempt(requirement, read)
    for identity in wanted:
        if identity in found:
            journal.attempt(requirement, partial(compare, identity))
