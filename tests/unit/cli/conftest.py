"""The command on an installation of its own, and its directory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from app.access.tenants import get_tenant
from app.cli import main
from app.directory.consumers import ConsumerState, assert_consumer
from app.directory.membership import Member, change
from app.store.engine import create_engine
from app.store.tables import resource
from app.store.unit_of_work import Store, Unit, new_id


@dataclass(frozen=True)
class Keysteward:
    """Runs commands as an administrator would, and changes the directory as an identity provider would."""

    folder: Path

    def run(self, *words: str) -> Result:
        environment = {"KEYSTEWARD_DATA_DIR": str(self.folder), "COLUMNS": "200"}
        return CliRunner(env=environment).invoke(main, words)

    def told(self, *words: str) -> str:
        """Return what a command that does its work prints."""
        result = self.run(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def document(self, *words: str) -> Any:
        """Return the JSON that a command that does its work prints."""
        return json.loads(self.told(*words, "--json"))

    def refused(self, *words: str) -> str:
        """Return the line with which a command ends that cannot do its work."""
        result = self.run(*words)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit)
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: ")
        return line.removeprefix("Error: ")

    @contextmanager
    def writing(self, tenant: str = "default") -> Iterator[Unit]:
        engine = create_engine(f"sqlite:///{self.folder / 'keysteward.sqlite3'}")
        store = Store(engine)
        with store.writing(get_tenant(store, tenant).id, actor="connection:test") as unit:
            yield unit
        engine.dispose()

    def user(self, name: str, *values: str, user_id: str | None = None, active: bool = True) -> str:
        """Add or change a user with values of entitlements; return its id."""
        user_id = user_id or new_id()
        direct = frozenset(("direct", value) for value in values)
        with self.writing() as unit:
            assert_consumer(unit, user_id, ConsumerState(name, active, None, None, direct))
        return user_id

    def group(self, display: str, *members: str, kind: str = "User") -> str:
        """Add a group with members; return its id."""
        group_id = new_id()
        with self.writing() as unit:
            unit.execute(
                sa.insert(resource).values(
                    id=group_id,
                    tenant_id=unit.tenant_id,
                    type="Group",
                    document={"displayName": display},
                    comparable={},
                    revision=1,
                    created_at=unit.now,
                    modified_at=unit.now,
                )
            )
            change(unit, group_id, [Member(member, kind) for member in members], [])
        return group_id


@pytest.fixture
def fresh(tmp_path: Path) -> Keysteward:
    """Return an installation on which nothing has been done."""
    return Keysteward(tmp_path / "data")


@pytest.fixture
def keysteward(fresh: Keysteward) -> Keysteward:
    """Return an installation that is set up."""
    fresh.told("init")
    return fresh
