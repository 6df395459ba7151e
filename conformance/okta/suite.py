"""The suite: the life of a company through an app of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.company.company import Company
from conformance.company.journal import Journal
from conformance.exchange import Target
from conformance.findings import Finding
from conformance.okta.connector import Mode, OktaConnector
from conformance.suites import Options


@dataclass(frozen=True)
class OktaSuite:
    """What Okta needs."""

    name: str = "okta"
    description: str = "Okta can provision users, groups and entitlements, and the server follows every step."

    def run(self, target: Target, options: Options) -> Iterator[Finding]:
        """Play the company's life through a custom app, then another's through one of the catalogue."""
        journal = Journal(self.name, target)
        for mode in Mode:
            company = Company(options.seed, options.employees, f"{options.run}{mode[:2]}")
            connector = OktaConnector(target, company, mode, seed=options.seed, journal=journal)
            yield from connector.live(options.days)
        yield from journal.conclusion()


SUITE = OktaSuite()
