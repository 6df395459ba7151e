"""An HR system: a state machine between a company and a SCIM server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from random import Random
from typing import Final

from conformance.company.company import Company
from conformance.company.comparing import check, check_gone
from conformance.company.journal import Deviates, Journal, expect, expect_status
from conformance.company.mirror import Mirror, Truth, compare_directory
from conformance.company.patience import patient
from conformance.company.people import Person, Status
from conformance.exchange import Target
from conformance.findings import Finding
from conformance.hr import requirements as needs
from conformance.hr import ways
from conformance.hr.groups import Groups
from conformance.hr.inbound import InboundReader
from conformance.hr.records import Announced, Record, announced
from conformance.hr.ways import Way

_DAYS_BETWEEN_READS: Final = 5


class HrConnector:
    """Tells the server day by day what HR decided, and checks what it touched after every step."""

    def __init__(
        self, target: Target, company: Company, *, seed: int = 1, journal: Journal | None = None
    ) -> None:
        """:param journal: of another connector on the same target, to share; a new one without."""
        self.company = company
        self.journal = journal or Journal("hr", patient(target))
        self.target = self.journal.target
        self._server: Announced | None = None
        self._mirror = Mirror()
        self._records: dict[str, Record] = {}
        """What the server should have of everyone who is there, by key."""

        self._used_ids: set[str] = set()
        """Every id that a user ever had: RFC 7643 §3.1 lets none come again."""

        self._former: set[str] = set()
        """The userNames of those who were deleted."""

        self._astray: set[str] = set()
        self._groups = Groups(target, self.journal, self._mirror)
        self._reader = InboundReader(target)
        self._touched: set[str] = set()
        """The keys of those who changed since the reader's last time."""

        self._chance = Random(f"hr/{seed}")  # noqa: S311 - no secret
        self._joining = cycle((needs.JOIN, needs.JOIN_EARLY, needs.JOIN_WITH_START))
        self._leaving = cycle((*ways.LEAVING, ways.LEAVING_BY_DATE))
        self._returning = cycle(ways.RETURNING)
        self._moving = cycle(ways.MOVING)
        self._changing_roles = cycle(ways.CHANGING_ROLES)
        self._changing_rights = cycle(ways.CHANGING_RIGHTS)

    @property
    def truth(self) -> Truth:
        """What the server should hold now; whose access ended counts as disabled."""
        return self._mirror.truth()

    def live(self, days: int, each_day: Callable[[int], None] | None = None) -> Iterator[Finding]:
        """Send everyone, let a number of days happen, compare everything, and yield what failed.

        :param each_day: called after each day's changes are sent, with the number of the day.
        :raises ServerUnreachable: when the server stops answering.
        """
        self.enable()
        yield from self.journal.fresh()
        for _ in range(days):
            self.company.advance()
            self.synchronise()
            if self.company.day % _DAYS_BETWEEN_READS == 0:
                self._read_over()
            if each_day is not None:
                each_day(self.company.day)
            yield from self.journal.fresh()
        self._rehearse()
        self.compare()
        yield from self.journal.fresh()

    def enable(self) -> None:
        """Find out what the server can hold, and send everyone."""
        if self._server is None:
            self._server = announced(self.target)
            self.synchronise()

    def synchronise(self) -> None:
        """Send everything that changed in the company since the last time."""
        for person in list(self.company.persons.values()):
            if self._mirror.persons.get(person.key) != person and person.key not in self._astray:
                self._tell(person)
        for key, record in list(self._records.items()):
            person = record.person  # Whose manager joined after them.
            if record.manager_id != self._manager_id(person) and key not in self._astray:
                self._touched.add(key)
                self._move(person)
        for team in self.company.teams.values():
            self._groups.synchronise(team)
        for key in [key for key in self._mirror.teams if key not in self.company.teams]:
            self._groups.delete(key)

    def compare(self) -> None:
        """Compare the server's whole directory with the truth."""
        run, mirror = self.company.run, self._mirror
        server = self._announced
        wanted = {
            mirror.user_ids[key]: record.wanted(server)
            for key, record in self._records.items()
            if key not in self._astray
        }
        astray = {mirror.user_ids.get(key) for key in self._astray}
        compare_directory(
            self.journal,
            needs.EQUAL_USERS,
            "Users",
            wanted,
            lambda each: str(each.get("userName")).endswith(f"@{run}.example") and each["id"] not in astray,
        )
        lost = {mirror.group_ids.get(key) for key in self._groups.astray}
        compare_directory(
            self.journal,
            needs.EQUAL_GROUPS,
            "Groups",
            self._groups.wanted(),
            lambda each: str(each.get("displayName")).endswith(run) and each["id"] not in lost,
        )

    @property
    def _announced(self) -> Announced:
        assert self._server is not None
        return self._server

    # Decisions

    def _tell(self, person: Person) -> None:
        record = self._records.get(person.key)
        if record is None:
            if person.active:
                self._join(person)
            return
        self._touched.add(person.key)
        if person.status is Status.DELETED:
            self._leave_for_good(person.key)
        elif record.person.active and not person.active:
            self._leave(person)
        elif person.active and not record.person.active:
            self._return(person)
            self._move(person)
        else:
            self._move(person)

    def _rehearse(self) -> None:
        """Let people leave and come back on each way, so that even a short life has tried them all."""
        people = [
            each
            for each in self.company.persons.values()
            if each.active and each.key in self._records and each.key not in self._astray
        ]
        if not people:
            return
        chosen = cycle(people)
        by_date = (ways.LEAVING_BY_DATE,) if self._announced.access else ()
        for way in (*ways.LEAVING, *by_date):
            person = next(chosen)
            self._leave(replace(person, status=Status.DISABLED, left_on=self.company.day), way)
            self._return(person)
        person = next(chosen)
        if person.key not in self._astray:
            self._leave_for_good(person.key, again=True)
            self.synchronise()

    def _join(self, person: Person) -> None:
        how = needs.BACK_NEW if person.user_name in self._former else next(self._joining)
        if how is needs.JOIN_WITH_START and not self._announced.access:
            how = needs.JOIN
        starts_at = _moment(timedelta(days=-1)) if how is needs.JOIN_WITH_START else None
        managed = Record(person, True, self._manager_id(person), starts_at)
        record = replace(managed, active=how is not needs.JOIN_EARLY)

        def create() -> None:
            answer = self.target.post("Users", record.creation(self._announced))
            expect_status(answer, 201)
            identity = str(answer.document.get("id") or "")
            expect(identity, "the new user has no id")
            self._mirror.user_ids[person.key] = identity
            used = identity in self._used_ids
            self._used_ids.add(identity)
            self._keep(record)
            self._check(record)
            expect(not used, f"the id {identity} was another user's")

        done = self.journal.attempt(how, create)
        if person.key not in self._mirror.user_ids:
            self._astray.add(person.key)
            return
        self._touched.add(person.key)
        if not done:
            self._put_right(record)
        if not record.active:
            self._step(ways.STARTING, managed)

    def _leave(self, person: Person, way: Way | None = None) -> None:
        before = self._records[person.key]
        way = way or next(self._leaving)
        if way is ways.LEAVING_BY_DATE and not self._announced.access:
            way = next(self._leaving)
        gone = replace(before.person, status=person.status, left_on=person.left_on)
        if way is ways.LEAVING_BY_DATE:
            after = replace(before, person=gone, ends_at=_moment(timedelta(seconds=-1)))
        else:
            after = replace(before, person=gone, active=False)
        if not self._step(way, after):
            return
        if self._chance.random() < 0.3:
            self._step(Way(needs.LEAVE_AGAIN, way.send), after, since=before)
        if not after.active:
            self.journal.attempt(needs.STILL_FOUND, lambda: self._find(after))

    def _leave_for_good(self, key: str, *, again: bool = False) -> None:
        path = self._path(key)
        groups = [group for group, team in self._mirror.teams.items() if key in team.members]

        def delete() -> None:
            expect_status(self.target.delete(path), 204)
            check_gone(self.target, path)

        def say_again() -> None:
            active = {"op": "replace", "value": {"active": True}}
            for answer in (self.target.delete(path), self.target.patch(path, active)):
                expect_status(answer, 404)

        if not self.journal.attempt(needs.LEAVE_DELETE, delete):
            self._astray.add(key)
            return
        if again or self._chance.random() < 0.3:
            self.journal.attempt(needs.DELETE_AGAIN, say_again)
        self._former.add(self._records.pop(key).person.user_name)
        del self._mirror.persons[key], self._mirror.user_ids[key]
        self._touched.discard(key)
        for group in groups:
            self._groups.without(group, key)

    def _return(self, person: Person) -> None:
        before = self._records[person.key]
        back = replace(before.person, status=person.status, left_on=person.left_on)
        way = ways.RETURNING_BY_DATE if before.active else next(self._returning)
        self._step(way, replace(before, person=back, active=True, ends_at=None))

    def _move(self, person: Person) -> None:
        """Send what else changed: roles, entitlements, then all the rest."""
        for attribute, each in (("roles", self._changing_roles), ("rights", self._changing_rights)):
            before = self._records[person.key]
            changed = replace(before.person, **{attribute: getattr(person, attribute)})
            sent = self._announced.roles if attribute == "roles" else self._announced.entitlements
            if changed == before.person:
                continue
            if sent:
                self._step(next(each), replace(before, person=changed))
            else:
                self._keep(replace(before, person=changed))
        before = self._records[person.key]
        after = replace(before, person=person, manager_id=self._manager_id(person))
        if after.values(self._announced) == before.values(self._announced):
            self._keep(after)
        else:
            self._step(next(self._moving), after)

    def _read_over(self) -> None:
        """Let a reader take the active users over, and compare them with those there are."""
        sound = {key for key in self._records if key not in self._astray}
        active = {self._mirror.user_ids[key] for key in sound if self._records[key].active}
        ours = {self._mirror.user_ids[key] for key in sound}

        def read_all() -> None:
            found = self._reader.read_all() & ours
            expect(found == active, f"{len(active - found)} lack, {len(found - active)} are too many")

        def read_changed() -> None:
            changed = active & {self._mirror.user_ids[key] for key in self._touched & sound}
            found = self._reader.read_changed()
            expect(changed <= found, f"{len(changed - found)} lack: {sorted(changed - found)[:3]}")
            expect(found & ours <= active, "an inactive user is among the active")

        if self._reader.has_read:
            self.journal.attempt(needs.INBOUND_NEW, read_changed)
        self.journal.attempt(needs.INBOUND, read_all)
        self._touched.clear()

    # Steps

    def _step(self, way: Way, after: Record, since: Record | None = None) -> bool:
        """Tell a step on a way and check the user; after a failure put it right."""
        before = since or self._records[after.person.key]

        def step() -> None:
            answer = way.send(self.target, self._path(after.person.key), before, after, self._announced)
            expect_status(answer, 200, 204)
            self._check(after)

        self._keep(after)
        return self.journal.attempt(way.requirement, step) or self._put_right(after)

    def _put_right(self, record: Record) -> bool:
        """After a failed step: put the whole record, and leave the user alone when that fails too."""
        path = self._path(record.person.key)
        try:
            expect_status(self.target.put(path, record.replacement(self._announced)), 200, 204)
            self._check(record)
        except Deviates:
            self._astray.add(record.person.key)
            return False
        return True

    def _keep(self, record: Record) -> None:
        self._records[record.person.key] = record
        self._mirror.persons[record.person.key] = record.person

    def _check(self, record: Record) -> None:
        check(self.target, self._path(record.person.key), record.wanted(self._announced))

    def _find(self, record: Record) -> None:
        identity, name = self._mirror.user_ids[record.person.key], record.person.user_name
        for asked, expected in (("", [identity]), (" and active eq true", [])):
            answer = self.target.get("Users", filter=f'userName eq "{name}"{asked}')
            expect_status(answer, 200)
            found = [str(each.get("id")) for each in answer.resources]
            expect(found == expected, f"the look-up of {name}{asked} finds {found}")

    def _manager_id(self, person: Person) -> str | None:
        return self._mirror.user_ids.get(person.manager) if person.manager else None

    def _path(self, key: str) -> str:
        return f"Users/{self._mirror.user_ids[key]}"


def _moment(later: timedelta) -> str:
    return (datetime.now(UTC) + later).strftime("%Y-%m-%dT%H:%M:%SZ")
