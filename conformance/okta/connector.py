"""Okta's connector: a state machine between a company and a SCIM server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import StrEnum
from random import Random
from typing import Final

from conformance.company.company import Company
from conformance.company.comparing import check, list_all
from conformance.company.journal import Deviates, Journal, expect, expect_status
from conformance.company.mirror import Mirror, Truth, compare_directory
from conformance.company.people import Person
from conformance.exchange import Answer, Target
from conformance.findings import Finding, Requirement
from conformance.okta import requirements as needs
from conformance.okta.entitlements import NOTHING, Catalogue, discover
from conformance.okta.groups import GroupPush
from conformance.okta.users import creation, replacement, wanted
from conformance.okta.wire import Wire

_DAYS_BETWEEN_IMPORTS: Final = 30


class Mode(StrEnum):
    """Which kind of app stands on Okta's side."""

    CUSTOM = "custom"
    """Made by the App Integration Wizard: everything is a PUT."""

    CATALOGUE = "catalogue"
    """From the Integration Network: activation, passwords and groups are PATCHed."""


class OktaConnector:
    """Provisions a company day by day, and checks what it touched after every step."""

    def __init__(
        self,
        target: Target,
        company: Company,
        mode: Mode,
        *,
        seed: int = 1,
        journal: Journal | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """:param journal: of another connector, to share; a new one without.
        :param wait: lets seconds pass when the server asks for a pause (429).
        """
        self.company = company
        self.journal = journal or Journal("okta", target)
        self.wire = Wire(self.journal, wait)
        self._mode = mode
        self._enabled = False
        self._mirror = Mirror()
        self._catalogue: Catalogue = NOTHING
        self._assigned: set[str] = set()
        self._astray: set[str] = set()
        self._chance = Random(f"okta/{seed}")  # noqa: S311 - no secret
        self._groups = GroupPush(
            self.wire, self.journal, self._mirror, whole=mode is Mode.CUSTOM, chance=self._chance
        )

    @property
    def truth(self) -> Truth:
        """What the server should hold now."""
        return self._mirror.truth()

    def live(self, days: int, each_day: Callable[[int], None] | None = None) -> Iterator[Finding]:
        """Enable provisioning, let a number of days happen, compare everything, and yield what failed.

        :param each_day: called after each day's changes are sent, with the number of the day.
        :raises ServerUnreachable: when the server stops answering.
        """
        if not self._enabled:
            self.enable()
        yield from self.journal.fresh()
        for _ in range(days):
            self.company.advance()
            self.synchronise()
            if self.company.day % _DAYS_BETWEEN_IMPORTS == 0:
                self.journal.attempt(needs.IMPORT, self._import)
            if each_day is not None:
                each_day(self.company.day)
            yield from self.journal.fresh()
        self._try_unknown_member()
        self.compare()
        yield from self.journal.fresh()

    def enable(self) -> None:
        """Discover entitlements, import, and push everyone."""
        self._enabled = True

        def find_entitlements() -> None:
            self._catalogue = discover(self.wire)

        self.journal.attempt(needs.DISCOVERY, find_entitlements)
        self.journal.attempt(needs.IMPORT, self._import)
        self.synchronise()

    def synchronise(self) -> None:
        """Send everything that changed in the company since the last time."""
        for person in self.company.persons.values():
            if self._mirror.persons.get(person.key) is not person:
                self._provision(person)
        for team in self.company.teams.values():
            if self._mirror.teams.get(team.key) != self._mirror.linked(team):
                self._groups.push(self._mirror.linked(team))
        for key in [key for key in self._mirror.teams if key not in self.company.teams]:
            self._groups.delete(self._mirror.teams[key])

    def compare(self) -> None:
        """Compare the server's whole directory with the truth."""
        run = self.company.run
        users = {
            self._mirror.user_ids[key]: wanted(person, self._catalogue, assigned=key in self._assigned)
            for key, person in self._mirror.persons.items()
            if key not in self._astray
        }
        groups = {
            self._mirror.group_ids[key]: {
                "displayName": team.name,
                "members": self._mirror.member_ids(team.members),
            }
            for key, team in self._mirror.teams.items()
            if key not in self._groups.astray
        }
        astray = {self._mirror.user_ids[key] for key in self._astray if key in self._mirror.user_ids}
        group_ids = self._mirror.group_ids
        astray |= {group_ids[key] for key in self._groups.astray if key in group_ids}
        compare_directory(
            self.journal,
            needs.EQUAL_USERS,
            "Users",
            users,
            lambda each: str(each.get("userName")).endswith(f"@{run}.example") and each["id"] not in astray,
        )
        compare_directory(
            self.journal,
            needs.EQUAL_GROUPS,
            "Groups",
            groups,
            lambda each: str(each.get("displayName")).endswith(run) and each["id"] not in astray,
        )

    def _provision(self, person: Person) -> None:
        if person.key in self._astray:
            return
        before = self._mirror.persons.get(person.key)
        if before is None:
            if not person.active:
                return
            self._create(person)
            return
        if replace(before, manager=person.manager) == person:
            self._mirror.persons[person.key] = person  # Managers are not mapped: nothing is sent.
        elif before.active and not person.active:
            self._change(needs.DEACTIVATE_PUT, needs.DEACTIVATE_PATCH, before, person)
        elif person.active and not before.active:
            self._change(needs.ACTIVATE_PUT, needs.ACTIVATE_PATCH, before, person)
        elif before.roles != person.roles or before.rights != person.rights:
            self._attempt(needs.ASSIGN if self._catalogue is not NOTHING else needs.UPDATE, person)
        else:
            self._attempt(needs.UPDATE, person)

    def _create(self, person: Person) -> None:
        former = self._former(person)
        if former is not None:
            self._take_over(former, person)
            return

        def look_up() -> None:
            found = self.wire.find("Users", "userName", person.user_name)
            expect(not found, f"the look-up of {person.user_name} finds {found!r:.300}")

        def create() -> None:
            answer = self.wire.post("Users", creation(person))
            expect_status(answer, 201, 200)
            identity = answer.document.get("id")
            expect(isinstance(identity, str) and identity, "Create new user returned empty user")
            self._mirror.user_ids[person.key] = str(identity)
            self._mirror.persons[person.key] = person
            expect("password" not in answer.document, "the answer shows the password")
            check(self.journal.target, self._path(person), wanted(person, self._catalogue, assigned=False))

        def match() -> None:
            found = self.wire.find("Users", "userName", person.user_name)
            identities = [each.get("id") for each in found]
            expect(identities == [self._mirror.user_ids[person.key]], f"found {identities}")

        def again() -> None:
            expect_status(self.wire.post("Users", creation(person)), 409)

        self.journal.attempt(needs.LOOK_UP, look_up)
        created = self.journal.attempt(needs.CREATE, create)
        if person.key not in self._mirror.user_ids:
            self._astray.add(person.key)
            return
        if not created:
            self._put_right(person)
        self.journal.attempt(needs.MATCH, match)
        if self._chance.random() < 0.05:
            self.journal.attempt(needs.CREATE_AGAIN, again)
        if self._mode is Mode.CATALOGUE and self._chance.random() < 0.1:
            self.journal.attempt(needs.PASSWORD, lambda: self._synchronise_password(person))
        if self._catalogue is not NOTHING:
            self._attempt(needs.ASSIGN, person)

    def _former(self, person: Person) -> str | None:
        """Return the key of an account that is gone and left its user, under the same userName, behind."""
        for key, known in self._mirror.persons.items():
            if known.user_name == person.user_name and key not in self.company.persons:
                return key
        return None

    def _take_over(self, former: str, person: Person) -> None:
        """Link a new account to the user that the look-up finds, and bring that user up to date."""
        identity = self._mirror.user_ids.pop(former)
        del self._mirror.persons[former]
        self._mirror.user_ids[person.key] = identity
        if former in self._astray:
            self._astray.add(person.key)
            return

        def match() -> None:
            found = [each.get("id") for each in self.wire.find("Users", "userName", person.user_name)]
            expect(found == [identity], f"the look-up of a deactivated user finds {found}")

        self.journal.attempt(needs.MATCH, match)
        self._attempt(needs.TAKE_OVER, person)

    def _synchronise_password(self, person: Person) -> None:
        secret = f"Pw-{person.employee_number}-{self._chance.randrange(10**9)}"
        answer = self.wire.patch(self._path(person), {"op": "replace", "value": {"password": secret}})
        expect_status(answer, 200, 204)
        expect(secret not in answer.text, "the answer shows the password")

    def _change(self, by_put: Requirement, by_patch: Requirement, before: Person, person: Person) -> None:
        """Switch an account off or on, and send what else changed."""
        if self._mode is Mode.CUSTOM:
            self._attempt(by_put, person)
            return
        switched = replace(before, status=person.status, left_on=person.left_on)

        def step() -> None:
            operation = {"op": "replace", "value": {"active": person.active}}
            expect_status(self.wire.patch(self._path(person), operation), 200, 204)
            self._check(switched)

        self._mirror.persons[person.key] = switched
        if not self.journal.attempt(by_patch, step):
            self._put_right(switched)
        if switched == person:
            self._mirror.persons[person.key] = person
        else:
            self._attempt(needs.UPDATE, person)

    def _attempt(self, requirement: Requirement, person: Person) -> None:
        """Put a user back as the person is now, and check it."""

        def step() -> None:
            expect_status(self._put(person), 200, 204)
            self._check(person)

        self._mirror.persons[person.key] = person
        self._assigned.add(person.key)
        if not self.journal.attempt(requirement, step):
            self._put_right(person)

    def _put(self, person: Person) -> Answer:
        read = self.wire.get(self._path(person))
        expect_status(read, 200)
        return self.wire.put(self._path(person), replacement(read.document, person, self._catalogue))

    def _put_right(self, person: Person) -> None:
        """After a failed step: try once more with a PUT, and leave the user alone when that fails too."""
        self._assigned.add(person.key)
        try:
            expect_status(self._put(person), 200, 204)
            self._check(person)
        except Deviates:
            self._astray.add(person.key)

    def _check(self, person: Person) -> None:
        assigned = person.key in self._assigned
        check(self.journal.target, self._path(person), wanted(person, self._catalogue, assigned=assigned))

    def _import(self) -> None:
        found = [str(each.get("id")) for each in list_all(self.journal.target, "Users")]
        again = [str(each.get("id")) for each in list_all(self.journal.target, "Users")]
        expect(found == again, "two imports in a row read the users in different orders")
        lacking = set(self._mirror.user_ids.values()) - set(found)
        expect(not lacking, f"{len(lacking)} users are not in the import: {sorted(lacking)[:3]}")

    def _try_unknown_member(self) -> None:
        for team in self._mirror.teams.values():
            newcomers = [
                key
                for key, person in self._mirror.persons.items()
                if person.active and key not in team.members and key in self._mirror.user_ids
            ]
            if newcomers and team.key not in self._groups.astray:
                self._groups.try_unknown_member(team, newcomers[0])
                return

    def _path(self, person: Person) -> str:
        return f"Users/{self._mirror.user_ids[person.key]}"
