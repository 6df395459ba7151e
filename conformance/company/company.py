"""The company: what happens in it day by day, decided by its seed. It holds the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Final

from conformance.company import people
from conformance.company.people import Person, Status, Team

RECYCLE_BIN_DAYS: Final = 30
"""How long a deleted account can be restored; after it the account is gone from the directory."""

_DAYS_UNTIL_FORGOTTEN: Final = 5
"""How long after that nobody is taken back, so that every client has had the time to delete."""

_CHANGES_PER_PERSON_AND_DAY: Final = 0.006

_REHIRES_PER_DAY: Final = 0.5
"""As long as there is someone to take back."""


class Company:
    """A company at some day of its life. Persons and teams are values: a change replaces one."""

    def __init__(self, seed: int, employees: int, run: str) -> None:
        """Found a company.

        :param employees: how many people it starts with.
        :param run: part of every name and address, so that two companies on one server never clash.
        """
        self.day = 0
        self.persons: dict[str, Person] = {}
        """Everyone whose account is in the directory, by key."""

        self.teams: dict[str, Team] = {}
        """Every team, by key."""

        self.run = run
        self._alumni: list[tuple[int, Person]] = []
        """Whose accounts are gone, with the day on which they went."""

        self._chance = Random(f"{seed}/{run}")  # noqa: S311 - a history that can be played again, no secret
        self._numbers = 0
        # Somebody's account is deleted first: what follows takes over a month, and is seen in a short life.
        self._deck: list[Callable[[], None]] = [partial(self._leave, Status.DELETED)]
        for _ in range(employees):
            self._join()
        for name in people.TEAM_NAMES[: max(3, min(len(people.TEAM_NAMES), employees // 4))]:
            self._make_team(name)
        self._assign(next(iter(self.teams)), self.persons)

    def advance(self) -> None:
        """Let the next day happen."""
        self.day += 1
        self._empty_recycle_bin()
        if self._chance.random() < _REHIRES_PER_DAY:
            self._rehire()
        count = 1 + int(len(self._here()) * _CHANGES_PER_PERSON_AND_DAY + self._chance.random())
        for _ in range(count):
            if not self._deck:
                self._deck = self._events()
                self._chance.shuffle(self._deck)
            self._deck.pop()()

    def _events(self) -> list[Callable[[], None]]:
        """One round of what happens: each kind as often as it is listed, so that no round lacks one."""
        return [
            *(self._join, self._join, self._come_back),
            *(partial(self._leave, Status.DISABLED), partial(self._leave, Status.DELETED)),
            *(self._marry, self._change_user_name, self._move, self._move, self._change_manager),
            *(self._lose_manager, self._change_phone, self._change_title),
            *(self._swap_members, self._swap_members, self._many_members, self._empty_team, self._fill_team),
            *(self._rename_team, self._found_team, self._disband_team),
            *(self._change_roles, self._change_roles, self._lose_roles),
            *(self._change_rights, self._change_rights, self._lose_rights),
        ]

    # People

    def _join(self) -> None:
        self._numbers += 1
        number = self._numbers
        given, family = self._chance.choice(people.GIVEN_NAMES), self._chance.choice(people.FAMILY_NAMES)
        contractor = self._chance.random() < 0.15
        person = Person(
            key=f"{self.run}-p{number:05}",
            user_name=self._user_name(given, family, number),
            given_name=given,
            family_name=family,
            mail=f"person{number}@mail.{self.run}.example",
            title=self._chance.choice((None, *people.TITLES)),
            department=self._chance.choice(people.DEPARTMENTS),
            phone=self._chance.choice((None, f"5555{number:07}")),
            employee_number=f"{'C' if contractor else 'E'}{number:05}",
            contractor=contractor,
            manager=self._someone_or_none(),
            roles=self._some(people.ROLES, 2),
            rights=self._some(people.RIGHTS, 2),
        )
        self.persons[person.key] = person
        for team in self.teams.values():
            if team.name.startswith(people.TEAM_NAMES[0]) or self._chance.random() < 0.2:
                self._assign(team.key, [*team.members, person.key])

    def _user_name(self, given: str, family: str, number: int) -> str:
        local = f"{given}.{family}".replace(" ", "").lower()
        return f"{local}.{number}@{self.run}.example"

    def _leave(self, status: Status) -> None:
        here = self._here()
        if len(here) < 4:
            return
        leaver = self.persons[self._chance.choice(here)]
        self.persons[leaver.key] = replace(leaver, status=status, left_on=self.day)
        for person in list(self.persons.values()):
            if person.manager == leaver.key:
                manager = leaver.manager if leaver.manager != person.key else None
                self.persons[person.key] = replace(person, manager=manager)
        if self._chance.random() < 0.5:
            self._out_of_teams(leaver.key)

    def _come_back(self) -> None:
        away = [person for person in self.persons.values() if not person.active]
        if away:
            person = self._chance.choice(away)
            self.persons[person.key] = replace(person, status=Status.ACTIVE, left_on=None)

    def _rehire(self) -> None:
        """Take someone back whose account is gone: a new account under the old userName."""
        for gone_on, former in self._alumni:
            if self.day - gone_on >= _DAYS_UNTIL_FORGOTTEN:
                self._alumni.remove((gone_on, former))
                self._numbers += 1
                key = f"{self.run}-p{self._numbers:05}"
                manager = self._someone_or_none()
                self.persons[key] = replace(
                    former, key=key, manager=manager, status=Status.ACTIVE, left_on=None
                )
                self._assign(next(iter(self.teams)), [*next(iter(self.teams.values())).members, key])
                return

    def _empty_recycle_bin(self) -> None:
        for person in list(self.persons.values()):
            left_on = self.day if person.left_on is None else person.left_on
            if person.status is Status.DELETED and self.day - left_on >= RECYCLE_BIN_DAYS:
                del self.persons[person.key]
                self._alumni.append((self.day, person))
                self._out_of_teams(person.key)
                for other in list(self.persons.values()):
                    if other.manager == person.key:
                        self.persons[other.key] = replace(other, manager=None)

    def _marry(self) -> None:
        self._change(family_name=self._chance.choice(people.FAMILY_NAMES))

    def _change_user_name(self) -> None:
        person = self.persons[self._chance.choice(self._here())]
        family = self._chance.choice(people.FAMILY_NAMES)
        self._numbers += 1
        user_name = self._user_name(person.given_name, family, self._numbers)
        mail = f"person{self._numbers}@mail.{self.run}.example"
        self.persons[person.key] = replace(person, family_name=family, user_name=user_name, mail=mail)

    def _move(self) -> None:
        key = self._chance.choice(self._here())
        self._change(
            key,
            department=self._chance.choice(people.DEPARTMENTS),
            title=self._chance.choice(people.TITLES),
            manager=self._someone_or_none(but=key),
        )
        teams = self._chance.sample(list(self.teams.values()), min(2, len(self.teams)))
        for team in teams:
            self._assign(team.key, team.members ^ {key})

    def _change_manager(self) -> None:
        key = self._chance.choice(self._here())
        self._change(key, manager=self._someone_or_none(but=key))

    def _lose_manager(self) -> None:
        managed = [key for key in self._here() if self.persons[key].manager]
        if managed:
            self._change(self._chance.choice(managed), manager=None)

    def _change_phone(self) -> None:
        phone = f"5555{self._chance.randrange(10**7):07}"
        self._change(phone=self._chance.choice((None, phone)))

    def _change_title(self) -> None:
        self._change(title=self._chance.choice((None, *people.TITLES)))

    def _change_roles(self) -> None:
        self._change(roles=self._some(people.ROLES, 3))

    def _lose_roles(self) -> None:
        self._change(roles=frozenset())

    def _change_rights(self) -> None:
        self._change(rights=self._some(people.RIGHTS, 3))

    def _lose_rights(self) -> None:
        self._change(rights=frozenset())

    # Teams

    def _make_team(self, name: str) -> None:
        self._numbers += 1
        members = self._some(self._here(), max(2, len(self.persons) // 4))
        key = f"{self.run}-t{self._numbers:05}"
        self.teams[key] = Team(key, f"{name} {self._numbers} {self.run}", members)

    def _found_team(self) -> None:
        self._make_team(self._chance.choice(people.TEAM_NAMES[1:]))

    def _disband_team(self) -> None:
        if len(self.teams) > 3:
            del self.teams[self._chance.choice(list(self.teams)[1:])]

    def _rename_team(self) -> None:
        team = self._team()
        self._numbers += 1
        first = team.name.split(" ")[0]
        self.teams[team.key] = replace(team, name=f"{first} ({self._numbers}) {self.run}")

    def _swap_members(self) -> None:
        team = self._team()
        leaving = self._some(team.members, 1)
        self._assign(team.key, (team.members - leaving) | self._some(self._here(), 1))

    def _many_members(self) -> None:
        team = self._team()
        self._assign(team.key, team.members ^ self._some(self._here(), max(3, len(self.persons) // 3)))

    def _empty_team(self) -> None:
        self._assign(self._team().key, ())

    def _fill_team(self) -> None:
        self._assign(self._team().key, self._here())

    def _team(self) -> Team:
        return self._chance.choice(list(self.teams.values()))

    def _out_of_teams(self, key: str) -> None:
        for team in list(self.teams.values()):
            if key in team.members:
                self._assign(team.key, team.members - {key})

    def _assign(self, key: str, members: Iterable[str]) -> None:
        self.teams[key] = replace(self.teams[key], members=frozenset(members))

    # Chance

    def _change(self, key: str | None = None, **changes: object) -> None:
        key = key or self._chance.choice(self._here())
        self.persons[key] = replace(self.persons[key], **changes)  # type: ignore[arg-type]

    def _here(self) -> list[str]:
        return [key for key, person in self.persons.items() if person.active]

    def _someone_or_none(self, but: str | None = None) -> str | None:
        others = [key for key in self._here() if key != but]
        return self._chance.choice(others) if others and self._chance.random() < 0.8 else None

    def _some(self, source: Iterable[str], most: int) -> frozenset[str]:
        # Sorted: a set of strings has another order in each process, and would make another history.
        listed = sorted(source)
        return frozenset(self._chance.sample(listed, self._chance.randint(0, min(most, len(listed)))))
