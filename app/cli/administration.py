"""``keysteward tenant …`` and ``keysteward connection …``."""

from __future__ import annotations

from typing import Any

import click

from app.access.connections import disable_connection, get_connection, list_connections
from app.access.credentials import DEFAULT_OVERLAP, Credential, issue_credential
from app.access.deviations import list_deviations
from app.access.tenants import (
    DEFAULT_RECOVERY_WINDOW,
    KEEP,
    LONGEST_RECOVERY_WINDOW,
    REFUSE,
    SUSPEND,
    founding,
    list_tenants,
    this_tenant,
)
from app.access.warnings import find_warnings
from app.cli.durations import seconds
from app.cli.installation import actor
from app.cli.printing import print_json, print_table, time
from app.cli.tenancy import json_option, opened, reading, tenant_option, writing
from app.directory.follow_ups import list_follow_ups
from app.operator import views
from app.operator.connections import open_connection, rotate_token
from app.operator.tenants import change_settings
from app.rights.words import duration
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS

_SECOND = 1_000_000
_SPAN = seconds(most=LONGEST_RECOVERY_WINDOW // _SECOND)


@click.group()
def tenant() -> None:
    """Make tenants, list them, and change their settings."""


@tenant.command("create")
@click.argument("name")
@click.option(
    "--recovery-window",
    metavar="SPAN",
    callback=_SPAN,
    default=f"{DEFAULT_RECOVERY_WINDOW // _SECOND // 3600}h",
    show_default=True,
    help="How long somebody may be away and keep a working key; 0: not at all.",
)
@click.option(
    "--unmatched-values",
    type=click.Choice([KEEP, REFUSE]),
    default=KEEP,
    show_default=True,
    help="What a value gets that names no entitlement.",
)
@json_option
def create_tenant(name: str, recovery_window: int, unmatched_values: str, as_program: bool) -> None:
    """Make the tenant NAME; print an operator's and a gateway's token for it, once."""
    with (
        opened() as installation,
        founding(
            installation.store,
            name,
            recovery_window=recovery_window * _SECOND,
            unmatched_values=unmatched_values,
            actor=actor(),
        ) as unit,
    ):
        made = this_tenant(unit)
        tokens = {
            scope: issue_credential(unit, installation.peppers, label=label, scopes=[scope])[1]
            for scope, label in (("operator", "operator"), ("gate", "gateway"))
        }
    if as_program:
        print_json({**views.tenant_document(made), "tokens": tokens})
        return
    click.echo(f"Made the tenant {made.name} ({made.id}). Its tokens are shown this once:\n")
    click.echo(f"  Operator token  {tokens['operator']}")
    click.echo(f"  Gate token      {tokens['gate']}\n")
    click.echo(f"`keysteward connection create <name> --tenant {made.name}` lets an identity provider in.")


@tenant.command("list")
@json_option
def list_all_tenants(as_program: bool) -> None:
    """List the tenants and their settings."""
    with opened() as installation:
        found = list_tenants(installation.store)
    if as_program:
        print_json(views.list_document(views.whole(found), views.tenant_document))
        return
    print_table(
        ("tenant", "id", "recovery window", "unmatched values", "created"),
        [
            (each.name, each.id, duration(each.recovery_window), each.unmatched_values, time(each.created_at))
            for each in found
        ],
        nothing="No tenants: `keysteward init` makes the first one.",
    )


@tenant.command("set")
@click.option(
    "--recovery-window",
    metavar="SPAN",
    callback=_SPAN,
    help="How long somebody may be away and keep a working key.",
)
@click.option(
    "--unmatched-values",
    type=click.Choice([KEEP, REFUSE]),
    help="What a value gets that names no entitlement.",
)
@click.option(
    "--sponsor-policy",
    type=click.Choice([SUSPEND, KEEP]),
    help="What the keys of a service user do while its sponsor is away.",
)
@tenant_option
@json_option
def set_tenant(
    recovery_window: int | None,
    unmatched_values: str | None,
    sponsor_policy: str | None,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Change settings; a longer recovery window wakes no key that is dead already."""
    if recovery_window is None and unmatched_values is None and sponsor_policy is None:
        raise click.UsageError("say what to set: --recovery-window, --unmatched-values or --sponsor-policy")
    with writing(tenant) as work:
        changed = change_settings(
            work.unit,
            recovery_window=None if recovery_window is None else recovery_window * _SECOND,
            unmatched_values=unmatched_values,
            sponsor_policy=sponsor_policy,
        )
    if as_program:
        print_json(views.tenant_document(changed))
        return
    window = duration(changed.recovery_window)
    click.echo(
        f"{changed.name}: recovery window {window}, unmatched values: {changed.unmatched_values}, "
        f"sponsor policy: {changed.sponsor_policy}"
    )


@click.group()
def connection() -> None:
    """Let identity providers in: a connection for each, with a token of its own."""


@connection.command("create")
@click.argument("name")
@click.option(
    "--dialect",
    type=click.Choice(sorted(DIALECTS)),
    default=DEFAULT_DIALECT,
    show_default=True,
    help="Which deviations from the standard it may have.",
)
@tenant_option
@json_option
def create_connection(name: str, dialect: str, tenant: str | None, as_program: bool) -> None:
    """Make the connection NAME and print what to paste into the identity provider, once."""
    with writing(tenant) as work:
        made, issued, token = open_connection(
            work.unit, work.installation.peppers, name, dialect, dialects=DIALECTS
        )
    url = f"{work.installation.settings.root_url}/scim/v2"
    if as_program:
        print_json({**views.connection_document(made), **_pasted(url, issued, token)})
        return
    click.echo(f"Made the connection {made.name} ({made.id}) with the dialect {made.dialect}.")
    _echo_token(url, issued, token)


@connection.command("list")
@tenant_option
@json_option
def list_all_connections(tenant: str | None, as_program: bool) -> None:
    """List the connections, disabled ones too."""
    with reading(tenant) as work:
        found = list_connections(work.unit)
        warned = find_warnings(work.unit, work.installation.settings.silent_after_cycles)
    if as_program:
        print_json(
            views.list_document(views.whole(found), lambda each: views.connection_document(each, warned))
        )
        return
    print_table(
        ("connection", "id", "dialect", "created", "last call", "disabled", "warnings"),
        [
            (
                each.name,
                each.id,
                each.dialect,
                time(each.created_at),
                time(each.last_call_at),
                time(each.disabled_at),
                " ".join(one.kind for one in warned if one.connection_id == each.id),
            )
            for each in found
        ],
        nothing="No connections.",
    )


@connection.command("rotate-token")
@click.argument("name")
@click.option(
    "--overlap",
    metavar="SPAN",
    callback=_SPAN,
    default=f"{DEFAULT_OVERLAP // 3600}h",
    show_default=True,
    help="How long the tokens that it has still work.",
)
@tenant_option
@json_option
def rotate(name: str, overlap: int, tenant: str | None, as_program: bool) -> None:
    """Issue a new token for the connection NAME (or its id) and print it, once."""
    with writing(tenant) as work:
        issued, token = rotate_token(work.unit, work.installation.peppers, name, overlap=overlap)
    url = f"{work.installation.settings.root_url}/scim/v2"
    if as_program:
        print_json({"id": issued.connection_id, **_pasted(url, issued, token)})
        return
    click.echo(f"The tokens that {issued.connection_name} had work for {duration(overlap * _SECOND)} more.")
    _echo_token(url, issued, token)


@connection.command()
@click.argument("name", required=False)
@tenant_option
@json_option
def deviations(name: str | None, tenant: str | None, as_program: bool) -> None:
    """Show what the client of the connection NAME (or of every one) sends that only its dialect tolerates."""
    with reading(tenant) as work:
        of_one = None if name is None else get_connection(work.unit, name).id
        found = list_deviations(work.unit, of_one)
    if as_program:
        print_json(views.list_document(views.whole(found), views.deviation_document))
        return
    print_table(
        ("connection", "deviation", "requests", "first", "last"),
        [
            (
                each.connection_name,
                each.deviation,
                str(each.requests),
                time(each.first_at),
                time(each.last_at),
            )
            for each in found
        ],
        nothing="Nothing but what the standards say.",
    )


@connection.command()
@click.argument("name")
@tenant_option
@json_option
def disable(name: str, tenant: str | None, as_program: bool) -> None:
    """Disable the connection NAME (or its id) for good, with all of its tokens."""
    with writing(tenant) as work:
        disabled = disable_connection(work.unit, name)
    if as_program:
        print_json(views.connection_document(disabled))
    else:
        click.echo(f"{disabled.name} is disabled since {time(disabled.disabled_at)}.")


def _pasted(url: str, issued: Credential, token: str) -> dict[str, Any]:
    return {"url": url, "token": token, "expiresAt": views.time(issued.expires_at)}


def _echo_token(url: str, issued: Credential, token: str) -> None:
    click.echo(f"The token is shown this once; it expires at {time(issued.expires_at)}.\n")
    click.echo(f"  SCIM base URL   {url}")
    click.echo(f"  Bearer token    {token}")


@click.command("follow-ups")
@tenant_option
@json_option
def follow_ups(tenant: str | None, as_program: bool) -> None:
    """Show what changes that moved very many keys have left to do, and how far it came."""
    with reading(tenant) as work:
        found = list_follow_ups(work.unit)
    if as_program:
        print_json(views.list_document(views.whole(found), views.follow_up_document))
        return
    print_table(
        ("change", "keys of", "at", "people", "finished"),
        [
            (
                each.txn,
                each.kind,
                time(each.moment),
                f"{each.done} of {'?' if each.total is None else each.total}",
                time(each.finished_at),
            )
            for each in found
        ],
        nothing="Nothing was left to do.",
    )
