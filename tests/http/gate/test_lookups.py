"""What a verification asks of the store: nothing twice, and nothing that is known to be as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import Client

from app import AFTERWARDS, VERIFY
from app.gate.door import Door
from app.store import prepared_reads
from tests.http.conftest import Key, Tenant
from tests.http.gate.test_verify import nobody


@pytest.fixture
def tenant(tenant: Tenant) -> Tenant:
    """Return the tenant with a gateway that asks by the hot door, with nothing behind it."""
    tenant.entitlement("orders")
    client: Any = Client(Door(tenant.flask.extensions[VERIFY], nobody))
    return replace(tenant, gate=replace(tenant.gate, client=client))


@pytest.fixture
def keys(tenant: Tenant) -> list[Key]:
    users = [tenant.user(name, entitlements=[{"value": "orders"}]) for name in ("ada", "bo")]
    return [tenant.key(user, "orders") for user in users]


@pytest.fixture
def statements(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return a list of all statements that are run from now on: the gate's own, and those by SQLAlchemy."""
    ran: list[str] = []
    for reader in (prepared_reads._Sqlite, prepared_reads._Postgresql):
        fetched = reader._fetched

        def counted(self: Any, text: str, *rest: Any, fetched: Any = fetched) -> Any:
            ran.append(text)
            return fetched(self, text, *rest)

        monkeypatch.setattr(reader, "_fetched", counted)

    def executed(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        ran.append(statement)

    sa.event.listen(tenant.store.engine, "before_cursor_execute", executed)
    yield ran
    sa.event.remove(tenant.store.engine, "before_cursor_execute", executed)


def cost(tenant: Tenant, statements: list[str], key: Key) -> int:
    """Return how many statements one accepted use of a key takes."""
    statements.clear()
    assert tenant.verify(key) == "allow"
    return len(statements)


def settle(tenant: Tenant) -> None:
    """Wait for what a gateway's first use leaves to be written: it is a commit."""
    tenant.flask.extensions[AFTERWARDS].settle()


def test_on_sqlite_a_known_key_costs_nothing_until_something_was_committed(
    tenant: Tenant, keys: list[Key], statements: list[str]
) -> None:
    if tenant.store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL does not tell of others' commits")
    ada, bo = keys
    assert tenant.verify(ada) == "allow"
    settle(tenant)
    assert cost(tenant, statements, ada) == 2  # the gateway's token, and the key
    assert cost(tenant, statements, bo) == 1
    assert [cost(tenant, statements, each) for each in keys * 20] == [0] * 40
    # Whatever it is that was committed, and by whomever.
    for number in range(3):
        tenant.user(f"somebody{number}")
        assert [cost(tenant, statements, each) for each in (ada, ada, bo, bo, ada)] == [2, 0, 1, 0, 0]


def test_on_postgresql_each_use_takes_one_lookup_of_the_gateway_and_the_key(
    tenant: Tenant, keys: list[Key], statements: list[str]
) -> None:
    if tenant.store.engine.dialect.name != "postgresql":
        pytest.skip("SQLite tells of others' commits")
    assert tenant.verify(keys[0]) == "allow"
    settle(tenant)
    assert [cost(tenant, statements, each) for each in keys * 5] == [1] * 10


def test_a_denied_key_is_looked_up_once_like_any_other(
    tenant: Tenant, keys: list[Key], statements: list[str]
) -> None:
    assert tenant.operator.post(f"/keys/{keys[0].id}/revoke").status_code == 200
    assert tenant.verify(keys[0]) == "key_revoked"
    settle(tenant)
    statements.clear()
    assert tenant.verify(keys[0]) == "key_revoked"
    assert len(statements) == (2 if tenant.store.engine.dialect.name == "sqlite" else 1)
