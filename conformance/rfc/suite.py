"""The suite: every trial of this package, module by module."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conformance.exchange import Target
from conformance.findings import Finding
from conformance.rfc.provider import discover
from conformance.rfc.stage import Stage
from conformance.rfc.trials import TRIALS, judge
from conformance.suites import Options

_MODULES: Final = (
    "announcing",
    "resource_types",
    "schemas",
    "messages",
    "creating",
    "comparing",
    "retrieving",
    "replacing",
    "patch_rules",
    "patch_add",
    "patch_remove",
    "patch_replace",
    "filter_operators",
    "filter_logic",
    "filter_refusals",
    "sorting",
    "paging",
    "cursors",
    "projection",
    "searching",
    "bulk",
    "bulk_references",
    "versions",
    "groups",
    "every_type",
    "deleting",
    "subject",
    "events",
)
"""The modules that declare trials, in the order of a run."""

for _module in _MODULES:
    importlib.import_module(f"conformance.rfc.{_module}")


@dataclass(frozen=True)
class RfcSuite:
    """What the RFCs require."""

    name: str = "rfc"
    description: str = "The server does what RFC 7643, RFC 7644, RFC 9865 and RFC 9967 say."

    def run(self, target: Target, options: Options) -> Iterator[Finding]:
        """Try every requirement, and yield its finding."""
        stage = Stage(target, discover(target), options.run)
        for trial in TRIALS.values():
            yield judge(trial, stage, self.name)


SUITE = RfcSuite()
