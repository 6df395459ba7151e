"""Entra's provisioning service: a state machine between a company and a SCIM server."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from conformance.company.company import Company
from conformance.company.comparing import check, check_gone
from conformance.company.journal import Deviates, Journal, expect, expect_status
from conformance.company.mirror import Mirror, Truth, compare_directory
from conformance.company.patience import patient
from conformance.company.people import Person, Status
from conformance.entra import requirements as needs
from conformance.entra import users
from conformance.entra.groups import Groups
from conformance.entra.job import DAY, Job, State
from conformance.entra.wire import RoleMapping, Wire
from conformance.exchange import Target
from conformance.findings import Finding, Requirement

_ROLE_REQUIREMENTS: Final = {
    RoleMapping.SINGLE: needs.ROLES_SINGLE,
    RoleMapping.COMPLEX: needs.ROLES_COMPLEX,
    RoleMapping.ASSERTIVE: needs.ROLES_ASSERTIVE,
}
_HOURS_OF_CYCLES: Final = (8, 14, 20)
"""The cycles in which anything happens; between them Entra finds nothing to send."""


@dataclass(frozen=True)
class Configuration:
    """What the administrator set."""

    flag: bool = False
    """Whether the tenant URL ends in ``?aadOptscim062020``."""

    roles: RoleMapping = RoleMapping.ASSERTIVE
    matching: str = "userName"
    """The attribute that users are looked up by, a filter's left side."""


class EntraConnector:
    """Provisions a company cycle by cycle, and checks what it touched after every step."""

    def __init__(
        self,
        target: Target,
        company: Company,
        configuration: Configuration = Configuration(),
        *,
        seed: int = 1,
        journal: Journal | None = None,
    ) -> None:
        """:param journal: of another connector on the same target, to share; a new one without."""
        target = journal.target if journal else patient(target)
        self.company = company
        self.journal = journal or Journal("entra", target)
        self.job = Job(deletion_threshold=max(3, len(company.persons) // 10))
        self._configuration = configuration
        self._wire = Wire(target, configuration.flag)
        self._mirror = Mirror()
        self._used_ids: set[str] = set()
        self._chance = Random(f"entra/{seed}")  # noqa: S311 - no secret
        self._groups = Groups(self._wire, self._attempt, self._mirror, self._chance)
        self._out_of_scope: frozenset[str] = frozenset()
        self._bursting = False
        self._now = 0
        self._enabled = False

    @property
    def truth(self) -> Truth:
        """What the server should hold now."""
        return self._mirror.truth()

    def live(self, days: int, each_day: Callable[[int], None] | None = None) -> Iterator[Finding]:
        """Enable provisioning, let a number of days happen, compare everything, and yield what failed.

        A third of the way, an administrator narrows the scope by mistake, lets the deletions pass that were
        held back, and widens it again.

        :param each_day: called after each day's cycles, with the number of the day.
        :raises ServerUnreachable: when the server stops answering.
        """
        self.enable()
        yield from self.journal.fresh()
        for day in range(1, days + 1):
            self.company.advance()
            if day == days // 3 and days > 9:
                self._out_of_scope = self._mistaken_scope()
            elif day == days // 3 + 3:
                self._out_of_scope = frozenset()
            for hour in _HOURS_OF_CYCLES:
                self._now = self.company.day * DAY + hour
                if self.job.cycle_due(self._now):
                    self.cycle()
            if self.job.state is State.HELD:
                self.job.allow()
                self._bursting = True
            if each_day is not None:
                each_day(self.company.day)
            yield from self.journal.fresh()
        self.cycle()
        self.compare()
        yield from self.journal.fresh()

    def enable(self) -> None:
        """Test the connection and push everyone."""
        if not self._enabled:
            self._enabled = True
            if self.test_connection():
                self.cycle()

    def test_connection(self) -> bool:
        """Do what the button does; a failure quarantines the job."""

        def step() -> None:
            for path, attribute in (("Users", "userName"), ("Groups", "displayName")):
                name = uuid.UUID(int=self._chance.getrandbits(128))
                answer = self._wire.get(path, filter=f'{attribute} eq "{name}"')
                expect_status(answer, 200)
                expect(answer.document.get("totalResults") == 0, f"the list is {answer.text[:300]}")

        if self.journal.attempt(needs.TEST_CONNECTION, step):
            return True
        self.job.quarantine(self._now)
        return False

    def cycle(self) -> None:
        """Send everything that changed since the last cycle, unless that takes away too much."""
        changed = self._changed()
        gone = [person for key, person in self._mirror.persons.items() if key not in self.company.persons]
        disbanded = [team for key, team in self._mirror.teams.items() if key not in self.company.teams]
        disabled = sum(1 for before, person in changed if before and before.active and not person.active)
        if self.job.holds(disabled + len(gone) + len(disbanded)):
            return
        tried = failed = 0
        burst = disabled if self._bursting else 0
        for before, person in changed:
            if self._waits(person.key):
                continue
            tried += 1
            done = self._update(before, person) if before else self._create(person)
            failed += not self._noted(person.key, done)
        for _, person in changed:
            if person.key in self._mirror.persons and not self._waits(person.key):
                self._noted(person.key, self._manage(person))
        for person in gone:
            self._delete(person)
        for source in self.company.teams.values():
            team = self._mirror.linked(source)
            if self._mirror.teams.get(team.key) != team and not self._waits(team.key):
                self._noted(team.key, self._groups.provision(team))
        for team in disbanded:
            self._groups.delete(team)
        self.job.judge(tried, failed, self._now)
        if burst > self.job.deletion_threshold:
            self._bursting = False
            self.journal.attempt(needs.BURST, lambda: expect(not failed, f"{failed} of {tried} failed"))

    def compare(self) -> None:
        """Compare the server's whole directory with the truth, what waits to be tried again left aside."""
        run, waiting = self.company.run, self.job.escrow
        wanted = {
            self._mirror.user_ids[key]: users.wanted(person, self._manager_id(person))
            for key, person in self._mirror.persons.items()
            if key not in waiting
        }
        groups = {
            self._mirror.group_ids[key]: {
                "displayName": team.name,
                "members": self._mirror.member_ids(team.members),
            }
            for key, team in self._mirror.teams.items()
            if key not in waiting
        }
        known = {*self._mirror.user_ids.values(), *self._mirror.group_ids.values()}
        compare_directory(
            self.journal,
            needs.EQUAL_USERS,
            "Users",
            wanted,
            lambda each: str(each.get("userName")).endswith(f"@{run}.example") and each["id"] not in known,
        )
        compare_directory(
            self.journal,
            needs.EQUAL_GROUPS,
            "Groups",
            groups,
            lambda each: str(each.get("displayName")).endswith(run) and each["id"] not in known,
        )

    def _mistaken_scope(self) -> frozenset[str]:
        """Return a third of those who are here, and so many that their deactivation is held back."""
        here = sorted(key for key, person in self._mirror.persons.items() if person.active)
        return frozenset(here[: max(self.job.deletion_threshold + 1, len(here) // 3)])

    # One user

    def _changed(self) -> list[tuple[Person | None, Person]]:
        found: list[tuple[Person | None, Person]] = []
        for source in self.company.persons.values():
            before = self._mirror.persons.get(source.key)
            person = self._effective(before, source)
            if before != person and (before or person.active):
                found.append((before, person))
        return found

    def _effective(self, before: Person | None, source: Person) -> Person:
        """Return a person as the mapping makes them: in scope or not, with the roles that it can carry."""
        had = before.roles if before else frozenset()
        roles = users.effective_roles(had, source.roles, self._configuration.roles)
        person = replace(source, roles=roles)
        if source.active and source.key in self._out_of_scope:
            return replace(person, status=Status.DISABLED)
        return person

    def _create(self, person: Person) -> bool:
        with_nulls = self._chance.random() < 0.3
        unmanaged = replace(person, manager=None)

        def match(expected: list[str]) -> None:
            found = self._look_up(person)
            expect(found == expected, f"the look-up of {person.user_name} finds {found}")

        def create() -> None:
            body = users.creation(person, self._configuration.roles, with_nulls=with_nulls)
            answer = self._wire.post("Users", body)
            expect_status(answer, 201, 200)
            identity = answer.document.get("id")
            expect(isinstance(identity, str) and identity, "the new user has no id")
            self._mirror.user_ids[person.key] = str(identity)
            expect(identity not in self._used_ids, f"the id {identity} was another user's")
            self._used_ids.add(str(identity))
            check(self.journal.target, self._path(person), self._created(unmanaged))

        def complete() -> None:
            operations = users.filtered(person, self._wire)
            expect_status(self._wire.patch(self._path(person), operations), 200, 204)
            self._check(unmanaged)

        if person.key not in self._mirror.user_ids:
            self._attempt(person.key, needs.MATCH, lambda: match([]))
            if not self._attempt(person.key, needs.CREATE, create) and not self._create_plainly(unmanaged):
                return False
            self._attempt(person.key, needs.MATCH, lambda: match([self._mirror.user_ids[person.key]]))
        if not self._attempt(person.key, needs.FILTERED, complete) and not self._put_right(unmanaged):
            return False
        self._mirror.persons[person.key] = unmanaged
        return True

    def _create_plainly(self, person: Person) -> bool:
        """After a failed creation: make the user as the RFCs do, so that later steps can be tried."""
        if person.key not in self._mirror.user_ids:
            answer = self._wire.post("Users", users.plain(person, None))
            if answer.status == 201 and answer.document.get("id"):
                self._mirror.user_ids[person.key] = str(answer.document["id"])
        return person.key in self._mirror.user_ids and self._put_right(person)

    def _put_right(self, person: Person) -> bool:
        """After a failed step: put the user as the RFCs do; return whether it then is what it should be."""
        answer = self._wire.put(self._path(person), users.plain(person, self._manager_id(person)))
        try:
            expect_status(answer, 200, 204)
            self._check(person)
        except Deviates:
            return False
        return True

    def _update(self, before: Person, person: Person) -> bool:
        """Send an account's changes, each kind as one step; the manager comes after everyone."""
        now = before
        if before.active and not person.active:
            now = replace(now, status=person.status, left_on=person.left_on)
            need = needs.DISABLE_FLAG if self._wire.flag else needs.DISABLE
            if not self._step(need, now, [users.activation(False, self._wire)]):
                return False
        elif person.active and not before.active:
            now = replace(now, status=person.status, left_on=person.left_on)
            if not self._step(needs.RESTORE, now, [users.activation(True, self._wire)]):
                return False
        if now.roles != person.roles:
            operations = users.role_operations(now.roles, person.roles, self._configuration.roles, self._wire)
            now = replace(now, roles=person.roles)
            if not self._step(_ROLE_REQUIREMENTS[self._configuration.roles], now, operations):
                return False
        operations = users.updates(now, person, self._wire)
        now = replace(person, manager=now.manager)
        if not operations:
            self._mirror.persons[person.key] = now
            return True
        return self._step(self._kind(operations), now, operations)

    def _manage(self, person: Person) -> bool:
        before = self._mirror.persons[person.key]
        if before.manager == person.manager:
            return True
        managed = replace(before, manager=person.manager)
        if self._manager_id(before) == self._manager_id(managed):
            self._mirror.persons[person.key] = managed
            return True
        operation = users.management(self._manager_id(managed), self._wire)
        return self._step(needs.MANAGER, managed, [operation])

    def _delete(self, person: Person) -> None:
        path = self._path(person)

        def step() -> None:
            expect_status(self._wire.delete(path), 204, 404)
            check_gone(self.journal.target, path)

        self.journal.attempt(needs.DELETE, step)
        del self._mirror.persons[person.key], self._mirror.user_ids[person.key]
        self.job.escrow.pop(person.key, None)

    def _step(self, requirement: Requirement, person: Person, operations: list[users.Operation]) -> bool:
        def step() -> None:
            expect_status(self._wire.patch(self._path(person), operations), 200, 204)
            self._check(person)

        if not self._attempt(person.key, requirement, step) and not self._put_right(person):
            return False
        self._mirror.persons[person.key] = person
        return True

    def _kind(self, operations: list[users.Operation]) -> Requirement:
        if any("path" not in each for each in operations):
            return needs.UPDATE_DOTTED
        if any(each["value"] == "" for each in operations):
            return needs.CLEAR
        return needs.FILTERED if any("[" in each["path"] for each in operations) else needs.UPDATE

    # What failed

    def _attempt(self, key: str, requirement: Requirement, step: Callable[[], None]) -> bool:
        """Carry out a step; what waits from an earlier failure is told once, not at every retry."""
        if key not in self.job.escrow:
            return self.journal.attempt(requirement, step)
        try:
            step()
        except Deviates:
            return False
        return True

    def _waits(self, key: str) -> bool:
        waiting = self.job.escrow.get(key)
        return waiting is not None and (waiting.lost(self._now) or not waiting.due(self._now))

    def _noted(self, key: str, done: bool) -> bool:
        if not done:
            self.job.failed(key, self._now)
        elif self.job.escrow.pop(key, None) is not None:
            self.journal.note(needs.RETRY, True, "")
        return done

    # What should be there

    def _look_up(self, person: Person) -> list[str]:
        attribute = self._configuration.matching
        value = {"userName": person.user_name, "externalId": person.key}.get(attribute, person.mail)
        answer = self._wire.get("Users", filter=f'{attribute} eq "{value}"')
        expect_status(answer, 200)
        return [str(each.get("id")) for each in answer.resources]

    def _created(self, person: Person) -> dict[str, object]:
        """What a creation alone makes: what filtered paths write is not there yet."""
        later: dict[str, object] = {"phoneNumbers": frozenset(), "addresses[].postalCode": frozenset()}
        return {**users.wanted(person, None), **later}

    def _check(self, person: Person) -> None:
        wanted = users.wanted(person, self._manager_id(person))
        check(self.journal.target, self._path(person), wanted)

    def _manager_id(self, person: Person) -> str | None:
        return self._mirror.user_ids.get(person.manager) if person.manager else None

    def _path(self, person: Person) -> str:
        return f"Users/{self._mirror.user_ids[person.key]}"
