"""``keysteward pepper …``: the secrets under which digests are made."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.failures import Unable
from app.cli.installation import Installation, actor
from app.cli.printing import print_json, print_table
from app.cli.tenancy import json_option, opened
from app.keys.digests import PepperUse, pepper_uses
from app.operator.peppers import end_all_under
from app.store.pepper_file import add_pepper, drop_pepper, use_pepper
from app.store.unit_of_work import wall_clock


@click.group()
def pepper() -> None:
    """List, add and drop the peppers of the digests; no key need be issued anew."""


@pepper.command("list")
@json_option
def list_(as_program: bool) -> None:
    """List the peppers, and what has its digest under each."""
    with opened() as installation:
        peppers = installation.peppers.held()
        uses = {each.version: each for each in _uses(installation)}
    rows = [
        (version, uses.get(version, PepperUse(version, 0, 0, 0, 0)))
        for version in sorted({*peppers.by_version, *uses})
    ]
    if as_program:
        print_json(
            [
                {
                    "version": version,
                    "present": version in peppers.by_version,
                    "current": version == peppers.current,
                    "livingSecrets": use.living_secrets,
                    "deadSecrets": use.dead_secrets,
                    "credentials": use.credentials,
                    "requests": use.requests,
                }
                for version, use in rows
            ]
        )
        return
    print_table(
        ("pepper", "", "living secrets", "dead secrets", "tokens", "requests"),
        [
            (
                version,
                _word(version in peppers.by_version, version == peppers.current),
                use.living_secrets,
                use.dead_secrets,
                use.credentials,
                use.requests,
            )
            for version, use in rows
        ],
        nothing="No peppers.",
    )


@pepper.command()
@click.option("--later", is_flag=True, help="Only verify with it, until `pepper use`: for several machines.")
def add(later: bool) -> None:
    """Add a new pepper; servers notice it by themselves."""
    with opened() as installation:
        version = add_pepper(_file(installation), later=later)
    if later:
        click.echo(f"Added pepper {version}. Bring the file to every machine, then `pepper use {version}`.")
    else:
        click.echo(f"Added pepper {version}; new digests are made under it.")


@pepper.command()
@click.argument("version", type=click.IntRange(min=1))
def use(version: int) -> None:
    """Make new digests under the pepper VERSION."""
    with opened() as installation:
        use_pepper(_file(installation), version)
    click.echo(f"New digests are made under pepper {version}.")


@pepper.command()
@click.argument("version", type=click.IntRange(min=1))
@click.option("--revoke", is_flag=True, help="Revoke the keys and tokens under it first: the pepper leaked.")
@click.option("--forget-dead", is_flag=True, help="Even if dead secrets under it are then not recognised.")
def drop(version: int, revoke: bool, forget_dead: bool) -> None:
    """Drop the pepper VERSION, under which nothing living may be any more."""
    with opened() as installation:
        file = _file(installation)
        if installation.peppers.current == version:
            raise Unable(f"pepper {version} makes the new digests: `pepper add` another one first")
        if revoke:
            end_all_under(installation.store, version, actor=actor())
        found = [each for each in _uses(installation) if each.version == version]
        if any(each.living for each in found):
            raise Unable(
                f"pepper {version} is in use: {_counted(found[0])}; `pepper list` says when it is not"
            )
        if any(each.dead_secrets for each in found) and not (forget_dead or revoke):
            raise Unable(
                f"under pepper {version} are {found[0].dead_secrets} dead secrets, whose reuse would not be "
                "recognised any more: --forget-dead if that may be"
            )
        drop_pepper(file, version)
    click.echo(f"Dropped pepper {version}.")


def _uses(installation: Installation) -> list[PepperUse]:
    with installation.store.engine.connect() as connection:
        return pepper_uses(connection, wall_clock())


def _file(installation: Installation) -> Path:
    if installation.settings.peppers is not None:
        raise Unable("the peppers come from KEYSTEWARD_PEPPERS: change them where that is set")
    return installation.settings.pepper_file


def _counted(use: PepperUse) -> str:
    return f"{use.living_secrets} secrets, {use.credentials} tokens, {use.requests} requests of the last day"


def _word(present: bool, current: bool) -> str:
    return "missing" if not present else "makes new digests" if current else ""
