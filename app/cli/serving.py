"""The commands that set an installation up and serve it: ``serve``, ``init``, ``settings``."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import sys

import click
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app import create_app
from app.cli.failures import Unable, told_in_one_line
from app.cli.first_start import as_json, as_text, found_default_tenant, issue_new_tokens
from app.cli.importing import uncollected
from app.cli.installation import open_installation
from app.cli.listening import listening_address
from app.folding_process import folding_process
from app.log_lines import log_configuration
from app.settings import Settings
from app.worker import load

# How many seconds a worker gets to finish its requests when the server is told to stop.
GRACE = 30


@click.command()
def serve() -> None:
    """Serve all faces; the first start sets up a tenant and prints its tokens, once."""
    with told_in_one_line():
        settings = Settings.from_environment()
        address = listening_address(settings.host, settings.port)
        installation = open_installation(settings)
        # What cannot be served is said before a tenant is set up. And the processes that serve, which are
        # forked, need not import again what this does.
        with uncollected():
            create_app(settings)
        tokens = found_default_tenant(installation)
    # The workers are forked: they must not share these connections.
    installation.store.engine.dispose()
    if tokens is not None:
        click.echo(as_text(tokens, settings.root_url))
    click.echo(f"Keysteward serves {settings.root_url}")
    with folding_process(settings):
        _run(settings, address)


@click.command()
@click.option("--json", "as_program", is_flag=True, help="Print URLs and tokens as JSON.")
@click.option("--new-tokens", is_flag=True, help="Issue fresh tokens beside the old ones, if there are any.")
def init(as_program: bool, new_tokens: bool) -> None:
    """Set up what `serve` needs, without serving, and print the tokens, once."""
    with told_in_one_line():
        settings = Settings.from_environment()
        installation = open_installation(settings)
        tokens = found_default_tenant(installation)
        if tokens is None and new_tokens:
            tokens = issue_new_tokens(installation)
    if tokens is not None:
        root_url = settings.root_url
        click.echo(json.dumps(as_json(tokens, root_url)) if as_program else as_text(tokens, root_url))
    elif as_program:
        raise Unable(
            "everything is set up already, and tokens are shown once: "
            "`keysteward init --json --new-tokens` issues fresh ones beside the old"
        )
    else:
        click.echo(
            "Everything is set up already, and tokens are shown once: "
            "`keysteward init --new-tokens` issues fresh ones beside the old."
        )


@click.command()
@click.option("--json", "as_program", is_flag=True, help="Print the settings as JSON.")
def settings(as_program: bool) -> None:
    """List every setting with its value; secrets and passwords are masked."""
    with told_in_one_line():
        described = Settings.from_environment().describe()
    if as_program:
        click.echo(json.dumps([dataclasses.asdict(each) for each in described], indent=2))
        return
    table = Table("setting", "value", "default", "meaning", show_lines=True)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    for each in described:
        table.add_row(*(Text(cell) for cell in (each.name, each.value, each.default, each.description)))
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _run(settings: Settings, address: str) -> None:
    """Serve until told to stop; requests that are being served then are finished."""
    # From Python 3.14 on this is not the default, and each worker would import everything anew.
    multiprocessing.set_start_method("fork", force=True)
    Granian(
        "keysteward",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE,
        log_level=_log_level_of_server(settings.log_level),
        log_dictconfig=log_configuration(settings.log_level),
    ).serve(target_loader=load, wrap_loader=False)


def _log_level_of_server(level: str) -> LogLevels:
    # What granian tells about its own steps is worth as much as the details of others.
    return LogLevels.warning if level == "info" else LogLevels(level)
