"""What the administrator's commands share: which tenant they work on, and one unit of work in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from scim2_models import SCIMException

from app.access.tenants import Tenant, get_tenant, list_tenants
from app.cli.failures import Unable, told_in_one_line
from app.cli.installation import Installation, actor, open_installation
from app.directory.brakes import BrakeDecided, BrakeUnknown
from app.keys.lifecycle import KeyNotClaimable, KeyUnknown
from app.keys.rotation import KeyNotRotatable
from app.operator.errors import OperatorError
from app.rights.explain import NothingToExplain
from app.settings import Settings
from app.store.unit_of_work import Store, Unit

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Work:
    """One unit of work in a tenant of an installation."""

    installation: Installation
    unit: Unit


def tenant_option(command: Command) -> Command:
    """Give a command the option ``--tenant``."""
    return click.option(
        "--tenant", metavar="NAME", help="The tenant, by name or id; not needed where there is only one."
    )(command)


def json_option(command: Command) -> Command:
    """Give a command the option ``--json``, as the parameter ``as_program``."""
    return click.option("--json", "as_program", is_flag=True, help="Print JSON, for programs.")(command)


@contextmanager
def reading(tenant: str | None) -> Iterator[Work]:
    """Open a unit of work that reads; what goes wrong in it ends the command with one line."""
    with opened() as installation:
        chosen = chosen_tenant(installation.store, tenant)
        with installation.store.reading(chosen.id) as unit:
            yield Work(installation, unit)


@contextmanager
def writing(tenant: str | None) -> Iterator[Work]:
    """Open a unit of work that writes. It is committed at the end: print only after that."""
    with opened() as installation:
        chosen = chosen_tenant(installation.store, tenant)
        with installation.store.writing(chosen.id, actor=actor()) as unit:
            yield Work(installation, unit)


@contextmanager
def opened() -> Iterator[Installation]:
    """Open the installation that the environment names; what goes wrong ends the command with one line."""
    with told_in_one_line(), _told():
        installation = open_installation(Settings.from_environment())
        try:
            yield installation
        finally:
            installation.store.engine.dispose()


def chosen_tenant(store: Store, tenant: str | None) -> Tenant:
    """Return the tenant that a command works on: the one that it names, or the only one.

    :raises Unable: when it names none and there is not exactly one.
    """
    if tenant is not None:
        return get_tenant(store, tenant)
    tenants = list_tenants(store)
    if not tenants:
        raise Unable("there is no tenant yet: `keysteward init` makes the first one")
    if len(tenants) > 1:
        raise Unable(f"name one of the tenants with --tenant: {', '.join(each.name for each in tenants)}")
    return tenants[0]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except KeyUnknown as error:
        raise Unable(f"no key {str(error)!r}") from error
    except (
        KeyNotClaimable,
        KeyNotRotatable,
        NothingToExplain,
        OperatorError,
        BrakeUnknown,
        BrakeDecided,
    ) as error:
        raise Unable(str(error)) from error
    except SCIMException as error:
        raise Unable(error.detail or str(error)) from error
