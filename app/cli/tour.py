"""The command ``keysteward tour``: the product in one minute, each step timed, each promise checked."""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import IO, Any, Final, NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.failures import Unable
from app.cli.printing import plain, print_json
from app.cli.tenancy import json_option
from app.cli.tour_faces import Credentials, CredentialsUnusable, ServerUnreachable, open_faces
from app.cli.tour_server import own_server
from app.cli.tour_steps import Step, Steps
from app.cli.tour_story import Story

WIDTH_OF_FILES: Final = 120
"""How many columns there are where no terminal says so."""

COLOURS: Final = {"Okta": "blue", "Entra": "cyan", "operator": "magenta", "gate": "yellow"}


@click.command()
@click.option(
    "--credentials",
    type=click.File("r", encoding="utf-8"),
    metavar="FILE",
    help="Tour a running server, with what `keysteward init --json` printed ('-': from standard input).",
)
@json_option
def tour(credentials: IO[str] | None, as_program: bool) -> None:
    """Show the product in one minute, on a server of its own or a running one.

    Plays an identity provider, an operator and a gateway, and removes what it made. Exit code 1: a step was
    not as promised.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES, highlight=False)
    steps = Steps((lambda step: None) if as_program else (lambda step: console.print(_line(step))))
    with ended_by_signal(), ExitStack() as opened:
        if credentials is None:
            if not as_program:
                console.print("Starting a server of the tour's own …", style="dim")
            given = opened.enter_context(own_server())
        else:
            given = _read(credentials)
        try:
            faces = opened.enter_context(open_faces(given, trust_environment=credentials is not None))
        except ServerUnreachable as error:
            raise Unable(str(error)) from None
        if not as_program:
            console.print(f"The tour of {given.scim.url}\n", style="bold")
        story = Story(faces, steps)
        story.play()
    broken = sum(not step.ok for step in steps.taken)
    if as_program:
        print_json(_document(steps.taken, story.events))
    else:
        if story.events:
            console.print("\nWhat happened to Ada, as the events tell it\n", style="bold")
            console.print(_table(story.events))
        console.print(_summary(steps.taken, broken))
    if broken:
        sys.exit(1)


@contextmanager
def ended_by_signal() -> Iterator[None]:
    """Let SIGTERM end the enclosed as Ctrl-C does: by an exception, so that everything is cleaned up."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _read(credentials: IO[str]) -> Credentials:
    try:
        return Credentials.parse(credentials.read())
    except UnicodeDecodeError:
        raise Unable("the credentials are not JSON") from None
    except CredentialsUnusable as error:
        raise Unable(str(error)) from None


def _line(step: Step) -> Table:
    """One line of the narration: whether, how long, who, what, and what came of it."""
    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(width=10, justify="right")
    line.add_column(width=8)
    line.add_column()
    what = Text(step.step)
    if step.detail:
        detail = plain(step.detail)
        detail.stylize("dim" if step.ok else "red")
        what.append(": " if step.ok else "\n").append(detail)
    line.add_row(
        Text("✓", style="green") if step.ok else Text("✗", style="bold red"),
        Text(f"{step.milliseconds:.1f} ms", style="dim"),
        Text(step.who, style=COLOURS.get(step.who, "")),
        what,
    )
    return line


def _table(events: list[dict[str, Any]]) -> Table:
    table = Table("time", "type", "actor", "subject", box=None, header_style="dim", pad_edge=False)
    for column, least in zip(table.columns, (16, 13, 20, 20), strict=True):
        column.no_wrap, column.min_width = True, least
    for each in events:
        time_of_day = str(each.get("time")).rpartition("T")[2]
        table.add_row(plain(time_of_day), *(plain(each.get(name)) for name in ("type", "actor", "subject")))
    return table


def _summary(taken: list[Step], broken: int) -> Text:
    seconds = sum(step.milliseconds for step in taken) / 1000
    if broken:
        return Text(f"\n{broken} of {len(taken)} steps not as promised ({seconds:.2f} s).", style="bold red")
    return Text(f"\nAll {len(taken)} steps as promised, in {seconds:.2f} s.", style="bold green")


def _document(taken: list[Step], events: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ok": all(step.ok for step in taken),
        "steps": [dataclasses.asdict(step) for step in taken],
        "events": events,
    }
