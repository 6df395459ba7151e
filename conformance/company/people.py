"""The people and teams of the company, as values; and where their names come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GIVEN_NAMES: Final = (
    *("Ada", "Zoë", "Łukasz", "José", "Mei", "Søren", "Ayşe", "Olu", "Ingrid", "Nguyễn", "Priya", "李"),
    *("Tomás", "Grace", "Fatima", "Jean-Luc", "Bjørk", "Ewa", "Noor", "Πέτρος"),
)
FAMILY_NAMES: Final = (
    *("Byron", "O'Brien", "Ångström", "Müller", "D'Angelo", "García", "Smith", "Okafor", "Nakamura", "Šimić"),
    *("van der Berg", "Żak", "Þórsson", "Hopper", "Öztürk", "Ní Chéilleachair", "St. John", "Wójcik", "Lê"),
)
TITLES: Final = ("Engineer", "Senior Engineer", "Analyst", "Accountant", "Buyer", "Head of Section")
DEPARTMENTS: Final = ("Engineering", "Finance", "R&D", "Sales & Marketing", "Legal", "Köln Plant")
TEAM_NAMES: Final = (
    *("Everyone", "Payments", "Équipe Support", "On-call", "Auditors", "Ledger", "API Users", "Café"),
)
ROLES: Final = ("Reader", "Writer", "Approver", "Admin")
RIGHTS: Final = ("reports", "exports", "orders", "billing", "archive")


class Status(StrEnum):
    """Where a person stands with the company."""

    ACTIVE = "active"
    DISABLED = "disabled"
    """The account is switched off and kept."""
    DELETED = "deleted"
    """The account lies in the recycle bin, from which it can be restored for a while."""


@dataclass(frozen=True)
class Person:
    """One person's account in the source directory."""

    key: str
    """Never changes and never names anyone else; it is what the identity provider calls ``externalId``."""

    user_name: str
    given_name: str
    family_name: str
    mail: str
    title: str | None
    department: str | None
    phone: str | None
    employee_number: str
    contractor: bool
    manager: str | None = None
    """The key of another person."""

    roles: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()
    status: Status = Status.ACTIVE
    left_on: int | None = None
    """The day on which the person left; None while they are here."""

    @property
    def active(self) -> bool:
        return self.status is Status.ACTIVE

    @property
    def display_name(self) -> str:
        return f"{self.given_name} {self.family_name}"


@dataclass(frozen=True)
class Team:
    """A group of people in the source directory."""

    key: str
    name: str
    members: frozenset[str] = frozenset()
    """The keys of persons, those who left among them for as long as nobody took them out."""
