"""The report of a run: one page with its plot, one JSON document."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from math import log10
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conformance.deadline.judging import Judgement, Outcome, Spread, spread
from conformance.deadline.run import Options

_FORMAT: Final = 1
_LATE_SHOWN: Final = 100
_AXIS_MILLISECONDS: Final = (-1000, -100, -10, -1, 0, 1, 10, 100, 1000)
_PLOT_WIDTH: Final = 900
_ROW_HEIGHT: Final = 26
_LEFT: Final = 170
_HALF: Final = (_PLOT_WIDTH - _LEFT - 20) / 2
_STEPS: Final = 4
"""The plot ends a second before and after the 2xx: 1 ms, 10 ms, 100 ms, 1 s."""


@dataclass(frozen=True)
class Report:
    """What a run found, without any credential."""

    url: str
    nodes: tuple[str, ...]
    options: Options
    started_at: datetime
    seconds: float
    judgement: Judgement
    stayed: tuple[str, ...]

    @property
    def rows(self) -> list[tuple[str, int, int, Spread | None, Spread | None]]:
        """For all together and each route: name, withdrawals, late accepts, first deny, last accept."""
        routes = {"all": list(self.judgement.outcomes), **self.judgement.by_route()}
        return [
            (
                name,
                len(outcomes),
                sum(len(each.late) for each in outcomes),
                spread(each.first_deny for each in outcomes),
                spread(each.last_accept for each in outcomes),
            )
            for name, outcomes in routes.items()
        ]


def to_json(report: Report) -> str:
    """Return the report as a JSON document; times are milliseconds after the 2xx, negative before it."""
    judgement = report.judgement
    document: dict[str, Any] = {
        "format": _FORMAT,
        "url": report.url,
        "nodes": list(report.nodes),
        "startedAt": report.started_at.isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 3),
        "workers": report.options.workers,
        "seed": report.options.seed,
        "decisions": judgement.answers.total(),
        "answers": {str(status): number for status, number in sorted(judgement.answers.items())},
        "lateAccepts": len(judgement.late),
        "late": [
            {
                "route": withdrawal.route,
                "node": report.nodes[decision.node],
                "milliseconds": (decision.started - withdrawal.answered) / 1_000_000,
            }
            for withdrawal, decision in judgement.late[:_LATE_SHOWN]
        ],
        "blind": [each.number for each in judgement.blind],
        "routes": {
            name: {
                "withdrawals": withdrawals,
                "lateAccepts": late,
                "firstDeny": None if first is None else asdict(first),
                "lastAccept": None if last is None else asdict(last),
            }
            for name, withdrawals, late, first, last in report.rows
        },
        "stayed": list(report.stayed),
    }
    return json.dumps(document, indent=2) + "\n"


def to_html(report: Report) -> str:
    """Return the report as one page that needs nothing but itself."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(report=report, plot=_plot(report.judgement))


@dataclass(frozen=True)
class _Row:
    name: str
    y: int
    accepts: list[float]
    late: list[float]
    denies: list[float]


@dataclass(frozen=True)
class _Plot:
    width: int
    height: int
    left: int
    zero: float
    ticks: list[tuple[float, str]]
    rows: list[_Row]


def _plot(judgement: Judgement) -> _Plot:
    """Return where the marks stand: a row for each route, time to the right."""
    rows = [
        _row(name, _ROW_HEIGHT * (number + 1), outcomes)
        for number, (name, outcomes) in enumerate(judgement.by_route().items())
    ]
    ticks = [(_place(each), f"{each:+d}" if each else "2xx") for each in _AXIS_MILLISECONDS]
    return _Plot(_PLOT_WIDTH, _ROW_HEIGHT * (len(rows) + 2), _LEFT, _place(0), ticks, rows)


def _row(name: str, y: int, outcomes: list[Outcome]) -> _Row:
    last = [each.last_accept / 1_000_000 for each in outcomes if each.last_accept is not None]
    return _Row(
        name,
        y,
        [_place(each) for each in last if each <= 0],
        [_place(each) for each in last if each > 0],
        [_place(each.first_deny / 1_000_000) for each in outcomes if each.first_deny is not None],
    )


def _place(milliseconds: float) -> float:
    """Return where a time stands: even up to 1 ms around the 2xx, logarithmic further out."""
    size = abs(milliseconds)
    outward = min(size if size <= 1 else 1 + log10(size), _STEPS) / _STEPS * _HALF
    return round(_LEFT + _HALF + (outward if milliseconds >= 0 else -outward), 1)
