"""The suite: the life of a company, each decision said on another way than the last of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.company.company import Company
from conformance.company.journal import Journal
from conformance.company.patience import patient
from conformance.exchange import Target
from conformance.findings import Finding
from conformance.hr.connector import HrConnector
from conformance.suites import Options


@dataclass(frozen=True)
class HrSuite:
    """What joiners, movers, leavers and re-hires need."""

    name: str = "hr"
    description: str = (
        "Whoever joins, moves, leaves or comes back does so on the server too, on whichever way it is told."
    )

    def run(self, target: Target, options: Options) -> Iterator[Finding]:
        """Play the company's life."""
        journal = Journal(self.name, patient(target))
        company = Company(options.seed, options.employees, f"{options.run}hr")
        yield from HrConnector(journal.target, company, seed=options.seed, journal=journal).live(options.days)
        yield from journal.conclusion()


SUITE = HrSuite()
