"""What a command says when it cannot do its work: one line on stderr and exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa

from app.access.errors import AccessError
from app.scim.resource_types import SchemasInvalid
from app.settings import SettingsInvalid
from app.store.peppers import PepperUnusable
from app.store.unit_of_work import StoreError


class Unable(click.ClickException):
    """The command cannot do its work for a reason that lies outside of it."""

    exit_code = 2


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Turn the failures that an administrator can do something about into :class:`Unable`."""
    try:
        yield
    except (SettingsInvalid, PepperUnusable, SchemasInvalid, StoreError, AccessError) as error:
        raise Unable(str(error)) from error
    except sa.exc.SQLAlchemyError as error:
        raise Unable(f"the database does not do its work: {reason(error)}") from error


def reason(error: sa.exc.SQLAlchemyError) -> str:
    """Return the first line of what the database said, without the statement and its parameters."""
    said = str(error.orig if isinstance(error, sa.exc.DBAPIError) else error).strip()
    return said.splitlines()[0] if said else type(error).__name__
