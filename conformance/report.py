"""The report of a run: one page for people, one JSON document for machines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conformance.exchange import Exchange
from conformance.findings import Finding, Outcome
from conformance.suites import Options, Suite

_HIDDEN: Final = "[credential]"
_FORMAT: Final = 1


@dataclass(frozen=True)
class Report:
    """All that a run found, without any credential."""

    url: str
    suites: tuple[Suite, ...]
    options: Options
    started_at: datetime
    finished_at: datetime
    findings: tuple[Finding, ...]

    stayed: tuple[str, ...] = ()
    """Paths of what the run made and could not delete."""

    broken_off: str = ""
    """Why the run did not come to its end; empty when it did."""

    def counts(self) -> dict[str, dict[str, int]]:
        """Return for each suite how many requirements ended how: passed, failed, warnings, not applicable."""
        return {
            suite.name: count([finding for finding in self.findings if finding.suite == suite.name])
            for suite in self.suites
        }


def count(findings: list[Finding]) -> dict[str, int]:
    """Return how many findings ended how, by the words that reports use."""
    words = dict.fromkeys(("passed", "failed", "warnings", "broken", "not applicable"), 0)
    for finding in findings:
        words[verdict(finding)] += 1
    return words


def verdict(finding: Finding) -> str:
    """Return the word under which a finding is counted: a SHOULD that is not done is a warning."""
    if finding.outcome in (Outcome.FAILED, Outcome.BROKEN) and not finding.counts_against:
        return "warnings"
    return str(finding.outcome)


def without_secret(finding: Finding, secret: str) -> Finding:
    """Return the finding with every occurrence of a secret blotted out, even where the server repeated it."""

    def clean(text: str) -> str:
        return text.replace(secret, _HIDDEN)

    def clean_exchange(exchange: Exchange) -> Exchange:
        return Exchange(
            exchange.method,
            clean(exchange.url),
            {name: clean(value) for name, value in exchange.request_headers.items()},
            clean(exchange.request_body),
            exchange.status,
            {name: clean(value) for name, value in exchange.response_headers.items()},
            clean(exchange.response_body),
        )

    return replace(
        finding,
        detail=clean(finding.detail),
        exchanges=tuple(clean_exchange(exchange) for exchange in finding.exchanges),
    )


def to_json(report: Report) -> str:
    """Return the report as a JSON document; ``format`` counts up when its form changes."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "url": report.url,
        "startedAt": report.started_at.isoformat(timespec="seconds"),
        "finishedAt": report.finished_at.isoformat(timespec="seconds"),
        "suites": [suite.name for suite in report.suites],
        "options": {
            "seed": report.options.seed,
            "employees": report.options.employees,
            "days": report.options.days,
            "run": report.options.run,
        },
        "counts": report.counts(),
        "stayed": list(report.stayed),
        "brokenOff": report.broken_off or None,
        "findings": [
            {**finding.to_json(), "countsAgainst": finding.counts_against} for finding in report.findings
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_html(report: Report) -> str:
    """Return the report as one page that needs nothing but itself."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = _pretty
    counts = report.counts()
    numbered = list(enumerate(report.findings, start=1))
    parts = [
        (suite, counts[suite.name], _by_source([each for each in numbered if each[1].suite == suite.name]))
        for suite in report.suites
    ]
    troubles = [each for each in numbered if each[1].outcome in (Outcome.FAILED, Outcome.BROKEN)]
    return environment.get_template("report.html.jinja").render(
        report=report, parts=parts, troubles=troubles, verdict=verdict
    )


_Numbered = tuple[int, Finding]
"""A finding, and which of the run it is."""


def _by_source(findings: list[_Numbered]) -> list[tuple[str, list[_Numbered]]]:
    """Group findings by what asks for them, the sections of a standard in the order of their numbers."""

    def source(each: _Numbered) -> str:
        return each[1].requirement.source

    def position(each: _Numbered) -> list[tuple[int, str]]:
        # As numbers, so that §3.5.2 comes before §3.12.
        return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", source(each))]

    return [(name, list(group)) for name, group in groupby(sorted(findings, key=position), source)]


def _pretty(text: str) -> str:
    """Return JSON with line breaks, anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
