"""``keysteward login-provider …``: where the consumers of a tenant log in."""

from __future__ import annotations

import sys

import click

from app.access.login_provider import (
    ATTRIBUTES,
    CLIENT_AUTHENTICATIONS,
    ClientSecrets,
    get_login_provider,
    remove_login_provider,
    set_login_provider,
)
from app.cli.failures import Unable
from app.cli.printing import print_json
from app.cli.tenancy import Work, json_option, reading, tenant_option, writing
from app.operator.claims_face import login_provider_document


@click.group("login-provider")
def login_provider() -> None:
    """Let consumers log in at an OpenID provider, to see and claim their own keys."""


@login_provider.command("set")
@click.option("--issuer", required=True, metavar="URL", help="The provider's issuer.")
@click.option("--client-id", required=True, metavar="ID", help="What the provider calls Keysteward.")
@click.option(
    "--client-authentication",
    type=click.Choice(CLIENT_AUTHENTICATIONS),
    default=CLIENT_AUTHENTICATIONS[0],
    show_default=True,
    help="How Keysteward shows that it is the client; none: a public client.",
)
@click.option(
    "--client-secret-stdin",
    is_flag=True,
    help="Read the client's secret from standard input, and keep it in a file beside the database.",
)
@click.option("--claim", metavar="NAME", help="The claim that names a user.  [default: see docs/claiming.md]")
@click.option(
    "--attribute",
    type=click.Choice(ATTRIBUTES),
    default=ATTRIBUTES[0],
    show_default=True,
    help="The attribute of a user that it is compared with.",
)
@tenant_option
@json_option
def set_(
    issuer: str,
    client_id: str,
    client_authentication: str,
    client_secret_stdin: bool,
    claim: str | None,
    attribute: str,
    tenant: str | None,
    as_program: bool,
) -> None:
    """Let consumers log in at a provider, instead of at the one before; their sessions end."""
    secret = sys.stdin.readline().strip() if client_secret_stdin else None
    if client_secret_stdin and not secret:
        raise Unable("there is no secret on standard input")
    with writing(tenant) as work:
        made = set_login_provider(
            work.unit,
            issuer,
            client_id,
            client_authentication=client_authentication,
            claim=claim,
            attribute=attribute,
            loopback=work.installation.settings.loopback_issuers,
        )
        if secret:
            _secrets(work).keep(made, secret)
    document = login_provider_document(made, _secrets(work), work.installation.settings.root_url)
    if as_program:
        print_json(document)
        return
    click.echo(f"Redirect URI   {document['redirectUri']}")
    if client_authentication != "none":
        click.echo(f"Secret file    {_secrets(work).path(made)}")


@login_provider.command()
@tenant_option
@json_option
def show(tenant: str | None, as_program: bool) -> None:
    """Show where consumers log in."""
    with reading(tenant) as work:
        found = get_login_provider(work.unit)
    document = login_provider_document(found, _secrets(work), work.installation.settings.root_url)
    if as_program:
        print_json(document)
        return
    for name, value in document.items():
        click.echo(f"{name:<22}{'' if value is None else value}")


@login_provider.command()
@tenant_option
def remove(tenant: str | None) -> None:
    """Let nobody log in any more; sessions end at once."""
    with writing(tenant) as work:
        remove_login_provider(work.unit)
    click.echo("Nobody can log in any more.")


def _secrets(work: Work) -> ClientSecrets:
    return ClientSecrets(work.installation.settings.login_secrets_folder)
