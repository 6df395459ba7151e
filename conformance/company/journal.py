"""What an emulator saw: the trials of its steps, and the findings that become of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from conformance.exchange import Answer, Target
from conformance.findings import Finding, Keyword, Outcome, Requirement


class Deviates(Exception):
    """The server does something else than the step needs; the message says what was seen."""


class Skipped(Exception):
    """The server does not offer what the step is about; the message says what it lacks."""


def practice(identity: str, source: str, text: str) -> Requirement:
    """Return a requirement that a real client's way of working makes."""
    return Requirement(identity, source, Keyword.PRACTICE, text)


def expect(holds: object, seen: str) -> None:
    """:raises Deviates: with what was seen, when it does not hold."""
    if not holds:
        raise Deviates(seen)


def expect_status(answer: Answer, *statuses: int) -> None:
    """:raises Deviates: when the status is none of these."""
    wanted = " or ".join(map(str, statuses))
    expect(answer.status in statuses, f"expected {wanted}, got {answer.status}: {answer.text[:300]}")


class Journal:
    """Carries out steps as trials of requirements and keeps what became of them."""

    def __init__(self, suite: str, target: Target) -> None:
        self.suite = suite
        self.target = target
        self.passed: Counter[Requirement] = Counter()
        """How often each requirement was met."""

        self.failed: Counter[Requirement] = Counter()
        self._skipped: dict[Requirement, str] = {}
        self._fresh: list[Finding] = []

    def attempt(self, requirement: Requirement, step: Callable[[], object]) -> bool:
        """Carry out a step; return whether the server did what it needs.

        :raises ServerUnreachable: when the server stops answering.
        """
        with self.target.recording() as exchanges:
            try:
                step()
            except Deviates as seen:
                self.failed[requirement] += 1
                self._fresh.append(
                    Finding(self.suite, requirement, Outcome.FAILED, str(seen), tuple(exchanges))
                )
                return False
            except Skipped as reason:
                self._skipped[requirement] = str(reason)
                return False
        self.passed[requirement] += 1
        return True

    def note(self, requirement: Requirement, holds: object, seen: str) -> None:
        """Judge something seen in the course of another step."""
        if holds:
            self.passed[requirement] += 1
            return
        self.failed[requirement] += 1
        exchanges = tuple(self.target.recorded)
        self._fresh.append(Finding(self.suite, requirement, Outcome.FAILED, seen, exchanges))

    def fresh(self) -> Iterator[Finding]:
        """Yield the failures since the last time."""
        found, self._fresh = self._fresh, []
        yield from found

    def conclusion(self) -> Iterator[Finding]:
        """Yield what is not yet told, then a finding for each requirement always met or not tried."""
        yield from self.fresh()
        for requirement, times in self.passed.items():
            if not self.failed[requirement]:
                yield Finding(self.suite, requirement, Outcome.PASSED, f"{times} times")
        for requirement, reason in self._skipped.items():
            if not self.failed[requirement] and not self.passed[requirement]:
                yield Finding(self.suite, requirement, Outcome.NOT_APPLICABLE, reason)
