"""Brings a database to the newest version of its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from app.store.unit_of_work import StoreError

MIGRATIONS: Final = Path(__file__).parent / "migrations"

# PostgreSQL's advisory locks are numbers; this one is "keystewd" in ASCII.
_LOCK: Final = 0x6B65797374657764


class DatabaseNewer(StoreError):
    """The database is of a version that this code does not know."""


def upgrade(engine: Engine) -> None:
    """Create the tables, or change them, until the database is of the newest version; in one transaction.

    Several processes may do so at once: one does the work, the others wait and find it done.

    :raises DatabaseNewer: when the database is of a version that this code does not know; nothing is changed.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database does not answer, or refuses.
    """
    config = Config()
    # Alembic takes "%" in an option for an interpolation.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with engine.begin() as connection:
        if _is_newest(connection, config):
            return
    with engine.execution_options(writing=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        if not _is_newest(connection, config):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _is_newest(connection: Connection, config: Config) -> bool:
    scripts = ScriptDirectory.from_config(config)
    versions = set(MigrationContext.configure(connection).get_current_heads())
    unknown = versions - {script.revision for script in scripts.walk_revisions()}
    if unknown:
        raise DatabaseNewer(
            f"the database is of version {', '.join(sorted(unknown))}, which this version of Keysteward does "
            "not know: start the newer one"
        )
    return versions == set(scripts.get_heads())
