"""Commands are imported when they are used, each by the name that it has."""

from __future__ import annotations

import click

from app.cli import main


def test_each_command_is_there_by_its_own_name() -> None:
    context = click.Context(main)
    names = main.list_commands(context)
    assert names == sorted(names)
    found = [main.get_command(context, name) for name in names]
    assert [each and each.name for each in found] == names
    assert main.get_command(context, "nothing") is None
