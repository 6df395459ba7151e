"""What a suite is, and where the suites are found by name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from conformance.exchange import Target
from conformance.findings import Finding

SUITE_NAMES: Final = ("rfc", "okta", "entra", "hr")
"""Each is a package of this one that exposes ``SUITE: Suite``."""


@dataclass(frozen=True)
class Options:
    """What a run is asked to do, the same for every suite."""

    seed: int = 1
    """Decides everything that a suite chooses by chance: equal seeds give equal companies and histories."""

    employees: int = 25
    """How many people the virtual company starts with (``okta``, ``entra``, ``hr``)."""

    days: int = 60
    """How many days of its life are played (``okta``, ``entra``, ``hr``)."""

    run: str = "conformance"
    """Lower-case letters and digits, new for each run: part of every userName, displayName and externalId
    that a suite makes, so that what an earlier run left behind does not clash."""


class Suite(Protocol):
    """A set of requirements and the trials that show whether a server does them."""

    @property
    def name(self) -> str:
        """One of :data:`SUITE_NAMES`."""

    @property
    def description(self) -> str:
        """What passing it means, in one sentence for people."""

    def run(self, target: Target, options: Options) -> Iterator[Finding]:
        """Try the server and yield each finding as soon as it is known.

        A suite may leave what it made: whoever runs it calls ``target.clean_up()`` afterwards, also when the
        run is broken off between two findings.

        :raises ServerUnreachable: when the server stops answering.
        """


class SuiteMissing(Exception):
    """There is no suite of this name; the message says which there are."""


def load_suite(name: str) -> Suite:
    """Return a suite by its name.

    :raises SuiteMissing: when there is none.
    """
    module_name = f"conformance.{name}"
    if name not in SUITE_NAMES:
        raise SuiteMissing(f"there is no suite {name!r}; there are {', '.join(SUITE_NAMES)}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise SuiteMissing(f"the suite {name!r} is not installed") from error
    suite: Suite = module.SUITE
    return suite
