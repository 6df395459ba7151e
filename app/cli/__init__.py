"""The command ``keysteward``."""

from __future__ import annotations

import click

from app.cli.administration import connection, follow_ups, tenant
from app.cli.brakes import brake
from app.cli.claims import claim, claim_link
from app.cli.clients import show_warnings
from app.cli.entitlements import entitlement
from app.cli.keys import explain, key
from app.cli.login_providers import login_provider
from app.cli.peppers import pepper
from app.cli.planning import plan
from app.cli.serving import init, serve, settings
from app.cli.tour import tour
from app.cli.usage import dead_secrets, decisions, networks, unused, usage


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keysteward")
def main() -> None:
    """SCIM in, consumer keys out: API keys that live and die with the directory."""


for command in (serve, init, settings, tour):
    main.add_command(command)

for command in (claim, claim_link):
    key.add_command(command)

for command in (
    tenant,
    login_provider,
    connection,
    entitlement,
    key,
    explain,
    plan,
    follow_ups,
    brake,
    pepper,
    show_warnings,
    usage,
    unused,
    dead_secrets,
    networks,
    decisions,
):
    main.add_command(command)
