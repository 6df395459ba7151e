"""How commands print: tables and trees for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from app.store.moments import rfc3339

WIDTH_OF_A_FILE = 200


def print_json(document: Any) -> None:
    """Print a document for programs."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> None:
    """Print rows as a table for people, or, where there are none, a line that says so."""
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    if table.row_count:
        show(table)
    else:
        click.echo(nothing)


def show(shown: RenderableType) -> None:
    """Print something of rich's, as wide as the terminal or, elsewhere, wide enough."""
    width = None if sys.stdout.isatty() else WIDTH_OF_A_FILE
    Console(width=width, highlight=False).print(shown)


def plain(value: object) -> Text:
    """Return a value as text without any effect on the terminal, whoever chose its characters."""
    text = "" if value is None else str(value)
    return Text("".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text))


def time(moment: int | None) -> str:
    """Return a time to the second, for people; nothing for None."""
    return "" if moment is None else rfc3339(moment, precision="seconds")
