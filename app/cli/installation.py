"""The installation that a command works on: its settings, its data folder, its peppers, its database."""

from __future__ import annotations

import getpass
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from app.cli.failures import Unable, reason
from app.settings import Settings, masked
from app.store.engine import create_engine
from app.store.peppers import Peppers
from app.store.unit_of_work import Store
from app.store.upgrading import upgrade


@dataclass(frozen=True)
class Installation:
    """An installation whose database is of the newest version."""

    settings: Settings
    store: Store
    peppers: Peppers


def open_installation(settings: Settings) -> Installation:
    """Open an installation; what is missing of it (data folder, peppers, tables) is made.

    :raises Unable: when the data folder cannot be written, or the database does not answer.
    :raises PepperUnusable: when the peppers cannot be read or written.
    :raises DatabaseNewer: when the database is of a version that this code does not know.
    """
    _prepare_folder(settings.data_dir)
    peppers = settings.load_peppers()
    try:
        store = Store(create_engine(settings.database_url))
        upgrade(store.engine)
    except sa.exc.SQLAlchemyError as error:
        raise Unable(f"cannot use the database {masked(settings.database_url)}: {reason(error)}") from error
    return Installation(settings, store, peppers)


def actor() -> str:
    """Who events say it was: the person at the command line."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # in a container, the user may have a number only
        return f"cli:{os.getuid()}"


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Unable(f"cannot write to the data folder {folder}: {error.strerror}") from error
