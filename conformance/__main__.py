"""``python -m conformance``: run suites against a SCIM server and report what they found."""

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

from conformance.arguments import Refused, at_least_one, ensure_folders, read_token, read_url
from conformance.exchange import ServerUnreachable, Target, open_target
from conformance.findings import Finding
from conformance.progress import Progress
from conformance.report import Report, to_html, to_json, without_secret
from conformance.suites import SUITE_NAMES, Options, Suite, SuiteMissing, load_suite

ALL_FINE: Final = 0
AT_FAULT: Final = 1
NOT_RUN: Final = 2

_TOKEN_VARIABLE: Final = "CONFORMANCE_TOKEN"  # noqa: S105 - the name of it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    :return: 0 when nothing counts against the server, 1 when something does, 2 when the suites could not be
        run to their end.
    """
    asked = _parser().parse_args(arguments)
    progress = Progress()
    signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        token = _token(asked)
        suites = [load_suite(name) for name in dict.fromkeys(asked.suite)]
        url = read_url(asked.url, option="--url", example="https://example.com/scim/v2")
        target = open_target(url, token)
        ensure_folders(asked.report, asked.json)
        _ensure_no_users(target, allowed=asked.allow_existing_users)
    except (Refused, SuiteMissing, ServerUnreachable, httpx2.InvalidURL) as error:
        progress.problem(str(error))
        return NOT_RUN

    options = Options(asked.seed, asked.employees, asked.days, f"c{asked.seed}x{secrets.token_hex(4)}")
    report = _run(target, suites, options, token, progress)
    if asked.report is not None:
        asked.report.write_text(to_html(report), encoding="utf-8")
    if asked.json is not None:
        asked.json.write_text(to_json(report), encoding="utf-8")
    progress.summary(report)
    if report.broken_off:
        return NOT_RUN
    return AT_FAULT if any(finding.counts_against for finding in report.findings) else ALL_FINE


def _run(target: Target, suites: Sequence[Suite], options: Options, token: str, progress: Progress) -> Report:
    """Run the suites one after the other and clean up, whatever happens on the way."""
    started_at = datetime.now(UTC)
    findings: list[Finding] = []
    broken_off = ""
    stayed: list[str] = []
    try:
        for suite in suites:
            progress.begin(suite)
            for finding in suite.run(target, options):
                findings.append(without_secret(finding, token))
                progress.found(findings[-1])
    except KeyboardInterrupt:
        broken_off = "interrupted"
    except ServerUnreachable as error:
        broken_off = f"the server stopped answering: {error}"
    finally:
        progress.end()
        stayed = target.clean_up()
    return Report(
        url=str(target.client.base_url),
        suites=tuple(suites),
        options=options,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        findings=tuple(findings),
        stayed=tuple(stayed),
        broken_off=broken_off,
    )


def _ensure_no_users(target: Target, *, allowed: bool) -> None:
    """Let only a server be tried that has no users to lose, unless told otherwise.

    :raises Refused: when it has some, or does not say.
    :raises ServerUnreachable: when there is no answer.
    """
    answer = target.get("Users", count=1)
    if answer.status in (401, 403):
        raise Refused(f"the server does not accept the token: GET /Users answers {answer.status}")
    found = answer.document.get("totalResults")
    if allowed:
        return
    if answer.status != 200 or not isinstance(found, int):
        raise Refused(
            f"GET /Users answers {answer.status} and no list, so that it is not known whether the server has "
            "users; --allow-existing-users runs the suites all the same"
        )
    if found:
        raise Refused(
            f"the server has users ({found}): the suites are for a server made for trials. "
            "--allow-existing-users runs them all the same"
        )


def _token(asked: argparse.Namespace) -> str:
    if asked.token is not None and asked.token_file is not None:
        raise Refused("give --token-file or --token, not both")
    return read_token(asked.token_file, _TOKEN_VARIABLE, option="--token-file", given=asked.token)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """Let a request to terminate clean up as Ctrl-C does."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Show whether a SCIM 2.0 server does what the standards say and what real clients need.",
        epilog="Exit code: 0 nothing counts against the server, 1 something does, "
        "2 the suites were not run to their end.",
    )
    parser.add_argument("--url", required=True, help="base URL of the service: https://example.com/scim/v2")
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="file that holds the bearer token and nothing else"
    )
    parser.add_argument(
        "--token",
        help="the bearer token itself; other people of this machine can read it in its list of processes, so "
        f"prefer --token-file or the environment variable {_TOKEN_VARIABLE}",
    )
    parser.add_argument(
        "--suite",
        nargs="+",
        default=["rfc"],
        metavar="NAME",
        help=f"of {', '.join(SUITE_NAMES)}; default: rfc",
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a page for people")
    parser.add_argument("--json", type=Path, metavar="FILE.json", help="write the same for machines")
    parser.add_argument(
        "--seed", type=int, default=1, help="decides all that is chosen by chance; default: 1"
    )
    parser.add_argument(
        "--employees", type=at_least_one, default=25, help="size of the virtual company; default: 25"
    )
    parser.add_argument("--days", type=at_least_one, default=60, help="days of its life; default: 60")
    parser.add_argument(
        "--allow-existing-users", action="store_true", help="run even though the server has users"
    )
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(NOT_RUN)
