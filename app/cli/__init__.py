"""The command ``keysteward``."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from app.cli.importing import uncollected

_COMMANDS: Final = {
    "brake": "brakes:brake",
    "connection": "administration:connection brakes clients",
    "dead-secrets": "usage:dead_secrets",
    "decisions": "usage:decisions",
    "entitlement": "entitlements:entitlement",
    "explain": "keys:explain",
    "follow-ups": "administration:follow_ups",
    "init": "serving:init",
    "key": "keys:key claims",
    "login-provider": "login_providers:login_provider",
    "new-networks": "usage:networks",
    "pepper": "peppers:pepper",
    "plan": "planning:plan",
    "serve": "serving:serve",
    "settings": "serving:settings",
    "tenant": "administration:tenant",
    "tour": "tour:tour",
    "unused-keys": "usage:unused",
    "usage": "usage:usage",
    "warnings": "clients:show_warnings",
}
"""Where each command is, and the other modules that add commands to it."""


class _Commands(click.Group):
    """Imports a command when it is used: to import all of them takes longer than most of them do."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        place, *adding = _COMMANDS[cmd_name].split()
        module, _, attribute = place.partition(":")
        with uncollected():
            for each in adding:
                import_module(f"app.cli.{each}")
            command: click.Command = getattr(import_module(f"app.cli.{module}"), attribute)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keysteward")
def main() -> None:
    """SCIM in, consumer keys out: API keys that live and die with the directory."""
