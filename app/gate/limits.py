"""Limits on how often a right may be used: the seam between the gate and what counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.gate.decision import Allow, Deny


@dataclass(frozen=True, slots=True)
class LimitState:
    """What a limit leaves to its user, for ``RateLimit`` headers."""


class Limits(Protocol):
    """Counts uses against the rates and quotas of rights."""

    def take(self, allowed: Allow, now: int) -> Allow | Deny:
        """Count the use against the limits of the rights that satisfied the question.

        A right without any costs nothing.
        """
