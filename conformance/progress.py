"""What a run says while it goes on: one line that changes on a terminal, one line per finding elsewhere."""

from __future__ import annotations

from collections import Counter
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from conformance.findings import Finding, Outcome
from conformance.report import Report
from conformance.suites import Suite

_STYLES: Final = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.NOT_APPLICABLE: "dim",
    Outcome.BROKEN: "red",
}


class Progress:
    """Tells whoever started the run what happens."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._seen: Counter[Outcome] = Counter()

    def begin(self, suite: Suite) -> None:
        """Say which suite comes next."""
        self.end()
        self._seen.clear()
        self._console.print(f"[bold]{suite.name}[/bold]  {escape(suite.description)}")
        if self._console.is_terminal:
            self._status = self._console.status("…")
            self._status.start()

    def found(self, finding: Finding) -> None:
        """Show a finding; on a terminal only what a person should look at."""
        self._seen[finding.outcome] += 1
        if self._status is not None:
            counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self._seen.items()))
            self._status.update(f"{escape(finding.requirement.id)} ({counts})")
            if finding.outcome in (Outcome.PASSED, Outcome.NOT_APPLICABLE):
                return
        detail = f": {finding.detail}" if finding.detail else ""
        style = "yellow" if _is_warning(finding) else _STYLES[finding.outcome]
        outcome = "warning" if _is_warning(finding) else str(finding.outcome)
        self._console.print(f"[{style}]{outcome}[/{style}]  {escape(finding.requirement.id)}{escape(detail)}")

    def end(self) -> None:
        """Leave the line that changes."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def problem(self, message: str) -> None:
        """Say why nothing was run."""
        self._errors.print(f"[red]not run:[/red] {escape(message)}")

    def summary(self, report: Report) -> None:
        """Say how it ended, and what a person has to see to."""
        for name, counts in report.counts().items():
            words = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
            self._console.print(f"[bold]{name}[/bold]: {words or 'nothing was tried'}")
        if report.broken_off:
            self._errors.print(f"[red]not run to the end:[/red] {escape(report.broken_off)}")
        if report.stayed:
            self._errors.print(f"[red]could not be deleted:[/red] {escape(', '.join(report.stayed))}")


def _is_warning(finding: Finding) -> bool:
    return finding.outcome in (Outcome.FAILED, Outcome.BROKEN) and not finding.counts_against
