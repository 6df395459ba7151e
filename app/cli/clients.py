"""``keysteward connection …-client`` and ``keysteward warnings``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from app.access.clients import Purpose, list_clients, register_client, remove_client
from app.access.warnings import find_warnings
from app.cli.administration import connection
from app.cli.failures import Unable
from app.cli.printing import print_json, print_table, time
from app.cli.tenancy import json_option, reading, tenant_option, writing
from app.operator import views
from app.operator.clients_face import client_document


@connection.command("add-client")
@click.argument("connection_name")
@click.argument("name")
@click.option(
    "--purpose",
    type=click.Choice(list(Purpose)),
    default=Purpose.tokens,
    show_default=True,
    help="What its assertions are for: tokens, or ending all keys of a user (Okta's Universal Logout).",
)
@click.option("--jwks", type=click.Path(dir_okay=False, path_type=Path), help="File with its public keys.")
@click.option("--jwks-uri", help="Where its public keys are.")
@click.option("--issuer", help="Who vouches for it, such as https://login.microsoftonline.com/<tenant>/v2.0.")
@click.option("--subject", help="As whom.")
@click.option("--audience", help="To whom.")
@tenant_option
@json_option
def add_client(
    connection_name: str,
    name: str,
    purpose: str,
    jwks: Path | None,
    jwks_uri: str | None,
    issuer: str | None,
    subject: str | None,
    audience: str | None,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Let the OAuth client NAME get tokens for the connection CONNECTION_NAME, or end all keys of a user."""
    with writing(tenant) as work:
        made = register_client(
            work.unit,
            connection_name,
            name,
            purpose=Purpose(purpose),
            keys=None if jwks is None else _read(jwks),
            keys_url=jwks_uri,
            issuer=issuer,
            subject=subject,
            audience=audience,
            loopback=work.installation.settings.loopback_issuers,
        )
    root = work.installation.settings.root_url
    document = client_document(made, root)
    if made.purpose is Purpose.revocation:
        if as_program:
            print_json(document)
            return
        click.echo(f"Client ID            {made.id}")
        click.echo(f"Logout endpoint URL  {document['endpoint']}")
        return
    if as_program:
        print_json({**document, "tokenUrl": document["endpoint"]})
        return
    click.echo(f"Client ID    {made.id}")
    click.echo(f"Token URL    {document['endpoint']}")
    click.echo(f"Audience     {made.audience or root}")


@connection.command("clients")
@click.argument("connection_name")
@tenant_option
@json_option
def show_clients(connection_name: str, tenant: str | None, as_program: bool) -> None:
    """List the OAuth clients of the connection CONNECTION_NAME (or its id)."""
    with reading(tenant) as work:
        found = list_clients(work.unit, connection_name)
    if as_program:
        root = work.installation.settings.root_url
        print_json(views.list_document(views.whole(found), lambda each: client_document(each, root)))
        return
    print_table(
        ("client", "id", "for", "signs with", "created"),
        [
            (
                each.name,
                each.id,
                each.purpose,
                each.issuer or each.keys_url or "keys that are registered",
                time(each.created_at),
            )
            for each in found
        ],
        nothing="No clients.",
    )


@connection.command("remove-client")
@click.argument("connection_name")
@click.argument("client_id")
@tenant_option
def drop_client(connection_name: str, client_id: str, tenant: str | None) -> None:
    """Remove the client CLIENT_ID; the tokens that it has end at once."""
    with writing(tenant) as work:
        removed = remove_client(work.unit, connection_name, client_id)
    click.echo(f"Removed the client {removed.name} ({removed.id}).")


@click.command("warnings")
@tenant_option
@json_option
def show_warnings(tenant: str | None, as_program: bool) -> None:
    """Show brakes that wait, silent connections, and tokens that end soon."""
    with reading(tenant) as work:
        found = find_warnings(work.unit, work.installation.settings.silent_after_cycles)
    if as_program:
        print_json(views.list_document(views.whole(found), views.warning_document))
        return
    print_table(
        ("what", "connection", "", "since or until"),
        [(each.kind, each.connection_name or "", each.text, time(each.at)) for each in found],
        nothing="Nothing to see to.",
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unable(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise Unable(f"{file} is not JSON") from error
    if not isinstance(document, dict):
        raise Unable(f"{file} is no JWK set")
    return document
