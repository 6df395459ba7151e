"""What a suite says: requirements, and a finding for each time one was tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from conformance.exchange import Exchange


class Keyword(StrEnum):
    """How strongly a requirement binds (RFC 2119), or that it comes from practice instead."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    PRACTICE = "practice"
    """No standard asks for it, but the client that is emulated does not work without it."""


class Outcome(StrEnum):
    """How the trial of a requirement ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    """The server does not offer, and does not announce, what the requirement is about."""
    BROKEN = "broken"
    """The trial itself could not be carried out: what it builds on failed."""


@dataclass(frozen=True)
class Requirement:
    """One thing that a server is to do, and where that is said."""

    id: str
    """Stable, unique in its suite: ``rfc7644-3.5.2-replace-no-target``."""

    source: str
    """``RFC 7644 §3.5.2.3``, or whose client needs it: ``Okta``, ``Microsoft Entra``."""

    keyword: Keyword
    text: str
    """What is required, in one sentence of our own."""


@dataclass(frozen=True)
class Finding:
    """A requirement, how its trial ended, why, and what went over the wire."""

    suite: str
    requirement: Requirement
    outcome: Outcome
    detail: str = ""
    """What was seen instead of what was required; empty for what passed."""

    exchanges: tuple[Exchange, ...] = field(default=(), repr=False)

    @property
    def counts_against(self) -> bool:
        """Whether the server is at fault: a SHOULD that is not done is a warning, and no fault."""
        return self.outcome in (Outcome.FAILED, Outcome.BROKEN) and (
            self.requirement.keyword is not Keyword.SHOULD
        )

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the machine-readable report holds it."""
        return {
            "suite": self.suite,
            "id": self.requirement.id,
            "source": self.requirement.source,
            "keyword": str(self.requirement.keyword),
            "requirement": self.requirement.text,
            "outcome": str(self.outcome),
            "detail": self.detail,
            "exchanges": [exchange.to_json() for exchange in self.exchanges],
        }
