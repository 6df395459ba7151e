"""The suite: the life of a company through each configuration, and the harness's direct tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conformance.company.company import Company
from conformance.company.journal import Journal
from conformance.company.patience import patient
from conformance.entra.connector import Configuration, EntraConnector
from conformance.entra.harness import Harness
from conformance.entra.wire import RoleMapping, Wire
from conformance.exchange import Target
from conformance.findings import Finding
from conformance.suites import Options

CONFIGURATIONS: Final = {
    "d": Configuration(flag=False, roles=RoleMapping.ASSERTIVE, matching="userName"),
    "f": Configuration(flag=True, roles=RoleMapping.SINGLE, matching="externalId"),
    "c": Configuration(flag=False, roles=RoleMapping.COMPLEX, matching='emails[type eq "work"].value'),
}
"""By the letter that names their company."""


@dataclass(frozen=True)
class EntraSuite:
    """What Microsoft Entra needs."""

    name: str = "entra"
    description: str = "Microsoft Entra can provision users and groups, and the server follows every step."

    def run(self, target: Target, options: Options) -> Iterator[Finding]:
        """Play the company's life through each configuration, then the direct tests."""
        target = patient(target)
        journal = Journal(self.name, target)
        for letter, configuration in CONFIGURATIONS.items():
            company = Company(options.seed, options.employees, f"{options.run}{letter}")
            connector = EntraConnector(target, company, configuration, seed=options.seed, journal=journal)
            yield from connector.live(options.days)
        Harness(Wire(target, flag=False), journal, f"{options.run}h").run()
        yield from journal.conclusion()


SUITE = EntraSuite()
