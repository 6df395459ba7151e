"""Spans of time on the command line: ``90d``, ``12h``, ``30m``, ``45s``, or a number of seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import click

_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1, "": 1}
_FORM: Final = re.compile(r"([0-9]{1,10})([dhms]?)", re.ASCII)

Reader = Callable[[click.Context, click.Parameter, str | None], int | None]


def seconds(*, least: int = 0, most: int) -> Reader:
    """Return the callback of an option that turns a span of time into a number of seconds."""

    def read(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
        if text is None:
            return None
        match = _FORM.fullmatch(text)
        if match is None:
            raise click.BadParameter(f"{text!r} is no span of time such as 90d, 12h, 30m or 45s")
        number = int(match[1]) * _SECONDS[match[2]]
        if not least <= number <= most:
            raise click.BadParameter(f"must be from {least} to {most} seconds")
        return number

    return read
