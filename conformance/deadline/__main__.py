"""``python -m conformance.deadline``: withdraw keys under load and show that none is accepted afterwards."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from conformance.arguments import Refused, at_least_one, ensure_folders, read_token, read_url
from conformance.deadline.judging import Spread, judge
from conformance.deadline.report import Report, to_html, to_json
from conformance.deadline.routes import ROUTES
from conformance.deadline.run import ClocksDiffer, Options, withdraw_under_load
from conformance.deadline.server import Unexpected, open_server
from conformance.exchange import ServerUnreachable

NONE_LATE: Final = 0
AT_FAULT: Final = 1
NOT_RUN: Final = 2

TOKENS: Final = {
    "scim": "CONFORMANCE_TOKEN",
    "operator": "CONFORMANCE_OPERATOR_TOKEN",
    "gate": "CONFORMANCE_GATE_TOKEN",
}
"""Whose tokens are needed, and the variable that may hold each."""

_EXAMPLE: Final = "https://keys.example.com"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    :return: 0 when no verification that started after a withdrawal's 2xx was accepted, 1 when one was, or got
        an answer that is neither an accept nor a deny, 2 when the run did not come to its end.
    """
    asked = _parser().parse_args(arguments)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        url = read_url(asked.url, option="--url", example=_EXAMPLE)
        nodes = tuple(
            read_url(each, option="--gate-url", example=_EXAMPLE) for each in asked.gate_url or [asked.url]
        )
        tokens = {
            name: read_token(getattr(asked, f"{name}_token_file"), variable, option=f"--{name}-token-file")
            for name, variable in TOKENS.items()
        }
        ensure_folders(asked.report, asked.json)
        server = open_server(url, tokens["scim"], tokens["operator"])
    except (Refused, httpx2.InvalidURL) as error:
        errors.print(f"[red]not run:[/red] {escape(str(error))}")
        return NOT_RUN

    routes = tuple(each for each in ROUTES if each.name in asked.route)
    options = Options(
        asked.workers, asked.withdrawals, routes, asked.seed, f"deadline-{secrets.token_hex(4)}"
    )
    started_at = datetime.now(UTC)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    recorded, broken_off = None, ""
    with console.status("…") as status:
        try:
            recorded = withdraw_under_load(
                server,
                nodes,
                tokens["gate"],
                options,
                lambda what, number: status.update(f"{what}: {number} of {options.withdrawals}"),
            )
        except KeyboardInterrupt:
            broken_off = "interrupted"
        except (Unexpected, ClocksDiffer, ServerUnreachable) as error:
            broken_off = str(error)
        finally:
            status.update("cleaning up")
            stayed = server.scim.clean_up()
    if stayed:
        errors.print(f"[red]could not be deleted:[/red] {escape(', '.join(stayed))}")
    if recorded is None:
        errors.print(f"[red]not run to the end:[/red] {escape(broken_off)}")
        return NOT_RUN

    judgement = judge(recorded.decisions, recorded.withdrawals)
    report = Report(url, nodes, options, started_at, recorded.seconds, judgement, tuple(stayed))
    if asked.report is not None:
        asked.report.write_text(to_html(report), encoding="utf-8")
    if asked.json is not None:
        asked.json.write_text(to_json(report), encoding="utf-8")
    _tell(console, report)
    if judgement.late or judgement.strange:
        return AT_FAULT
    return NOT_RUN if judgement.blind else NONE_LATE


def _tell(console: Console, report: Report) -> None:
    table = Table("route", "withdrawals", "late accepts", "first deny: p50", "p90", "p99", "largest")
    for name, withdrawals, late, first, _ in report.rows:
        table.add_row(name, str(withdrawals), str(late), *_cells(first))
    console.print(table)
    console.print(
        "first deny: milliseconds from the 2xx, negative when it was seen before the 2xx had arrived"
    )
    judgement = report.judgement
    console.print(
        f"{judgement.answers.total()} decisions in {report.seconds:.1f} s, "
        f"accepted although they started after the 2xx: {len(judgement.late)}"
    )
    for what, number in (
        ("answers that are neither an accept nor a deny", judgement.strange.total()),
        ("withdrawals that show nothing, their keys not asked about before and after", len(judgement.blind)),
    ):
        if number:
            console.print(f"[red]{what}: {number}[/red]")


def _cells(spread: Spread | None) -> list[str]:
    if spread is None:
        return ["–"] * 4
    return [f"{each:.2f}" for each in (spread.p50, spread.p90, spread.p99, spread.largest)]


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """Let a request to terminate clean up as Ctrl-C does."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.deadline",
        description="Withdraw keys on every route while processes verify them, and find every verification "
        "that started after the answer which withdrew its key and was accepted all the same.",
        epilog="Exit code: 0 there was none, 1 there was one, or an answer that is neither an accept nor a "
        "deny, 2 the run did not come to an end that shows anything.",
    )
    parser.add_argument("--url", required=True, help=f"root URL of the server that is written to: {_EXAMPLE}")
    parser.add_argument(
        "--gate-url",
        action="append",
        metavar="URL",
        help="root URL of a node that verifies; say it for each node. Default: the one of --url",
    )
    for name, variable in TOKENS.items():
        parser.add_argument(
            f"--{name}-token-file",
            type=Path,
            metavar="FILE",
            help=f"file that holds the {name} token and nothing else; or set {variable}",
        )
    parser.add_argument("--workers", type=at_least_one, default=8, help="processes that verify; default: 8")
    parser.add_argument(
        "--withdrawals", type=at_least_one, default=1000, help="keys that are withdrawn; default: 1000"
    )
    names = [each.name for each in ROUTES]
    parser.add_argument(
        "--route",
        nargs="+",
        choices=names,
        default=names,
        metavar="NAME",
        help=f"of {', '.join(names)}; default: all",
    )
    parser.add_argument("--seed", type=int, default=1, help="decides what is asked when; default: 1")
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a page with a plot")
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="write the same for machines")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(NOT_RUN)
