"""The provisioning job: when what failed is tried again, when the job holds back. Pure; times in hours."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DAY: Final = 24
_FIRST_WAITS: Final = (6, 12, 24)
GIVES_UP_AFTER: Final = 28 * DAY
_QUARANTINE_SHARE: Final = 0.4
_QUARANTINE_FROM: Final = 5_000
_QUARANTINE_ALWAYS: Final = 40_000


class State(StrEnum):
    """What the job is doing."""

    RUNNING = "running"
    QUARANTINED = "quarantined"
    """Cycles are a day apart."""
    HELD = "held"
    """A cycle would have disabled or deleted more than is allowed; it waits for an administrator."""
    DISABLED = "disabled"


@dataclass
class Escrow:
    """A change that failed and waits for its next try."""

    since: int
    tries: int = 1

    def due(self, now: int) -> bool:
        """Whether it is to be tried again."""
        return now >= self.since + sum(self._wait(number) for number in range(self.tries))

    def lost(self, now: int) -> bool:
        """Whether Entra has given it up."""
        return now - self.since > GIVES_UP_AFTER

    @staticmethod
    def _wait(number: int) -> int:
        return _FIRST_WAITS[number] if number < len(_FIRST_WAITS) else DAY


@dataclass
class Job:
    """The state of provisioning as a whole."""

    deletion_threshold: int
    """How many disables and deletions, of groups too, one cycle may have."""

    state: State = State.RUNNING
    allowed: bool = False
    """Whether an administrator let the next cycle's deletions pass."""

    escrow: dict[str, Escrow] = field(default_factory=dict)
    """What waits, by the key of its object."""

    _quarantined_at: int = 0

    def cycle_due(self, now: int) -> bool:
        """Whether a cycle runs now; a quarantined job's is daily, and after four weeks there is none."""
        if self.state is State.QUARANTINED:
            if now - self._quarantined_at > GIVES_UP_AFTER:
                self.state = State.DISABLED
            return self.state is not State.DISABLED and (now - self._quarantined_at) % DAY == 0
        return self.state is State.RUNNING

    def holds(self, deletions: int) -> bool:
        """Whether so many deletions hold the cycle back; an administrator's word counts for one cycle."""
        if deletions > self.deletion_threshold and not self.allowed:
            self.state = State.HELD
            return True
        self.allowed = False
        return False

    def allow(self) -> None:
        """Let the deletions pass that the job holds."""
        self.allowed = True
        self.state = State.RUNNING

    def judge(self, tried: int, failed: int, now: int) -> None:
        """Quarantine the job when too much of a cycle failed, and end a quarantine when it did not."""
        too_much = failed >= _QUARANTINE_FROM and failed > tried * _QUARANTINE_SHARE
        if too_much or failed > _QUARANTINE_ALWAYS:
            self.quarantine(now)
        elif self.state is State.QUARANTINED:
            self.state = State.RUNNING

    def quarantine(self, now: int) -> None:
        """Slow down: the credential does not work, or too much failed."""
        if self.state is not State.QUARANTINED:
            self.state, self._quarantined_at = State.QUARANTINED, now

    def failed(self, key: str, now: int) -> None:
        """Note that an object's change failed."""
        waiting = self.escrow.get(key)
        if waiting is None:
            self.escrow[key] = Escrow(now)
        else:
            waiting.tries += 1
