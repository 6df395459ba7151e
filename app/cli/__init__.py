"""The command ``keysteward``."""

from __future__ import annotations

import click

from app.cli.administration import connection, follow_ups, tenant
from app.cli.entitlements import entitlement
from app.cli.keys import explain, key
from app.cli.serving import init, serve, settings
from app.cli.tour import tour


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keysteward")
def main() -> None:
    """SCIM in, consumer keys out: API keys that live and die with the directory."""


for command in (serve, init, settings, tour):
    main.add_command(command)

for command in (tenant, connection, entitlement, key, explain, follow_ups):
    main.add_command(command)
