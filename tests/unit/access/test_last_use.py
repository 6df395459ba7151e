from __future__ import annotations

import dataclasses
import threading

import pytest
import sqlalchemy as sa

from app.access.credentials import Credential, get_credential, issue_credential
from app.access.last_use import INTERVAL, note_use
from app.access.tenants import Tenant
from app.store.engine import create_engine
from app.store.peppers import Peppers
from app.store.tables import credential
from app.store.unit_of_work import Store, wall_clock


@pytest.fixture
def issued(store: Store, peppers: Peppers, tenant: Tenant) -> Credential:
    with store.writing(tenant.id, actor="system") as unit:
        return issue_credential(unit, peppers, label="test", scopes=["gate"])[0]


def current(store: Store, issued: Credential) -> Credential:
    with store.reading(issued.tenant_id) as unit:
        return get_credential(unit, issued.id)


def test_the_first_use_is_noted(store: Store, issued: Credential) -> None:
    before = wall_clock()
    note_use(store, issued)
    noted = current(store, issued)
    assert noted.last_used_at is not None
    assert before <= noted.last_used_at <= wall_clock()
    assert dataclasses.replace(noted, last_used_at=None) == issued


def test_within_a_minute_nothing_is_written(store: Store, issued: Credential) -> None:
    note_use(store, issued)
    noted = current(store, issued)
    # The second process may have read the credential before the first one wrote.
    note_use(store, issued)
    note_use(store, noted)
    assert current(store, issued) == noted


def test_after_a_minute_it_is_written_again(store: Store, issued: Credential) -> None:
    long_ago = wall_clock() - INTERVAL - 1
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(credential).values(last_used_at=long_ago))
    note_use(store, current(store, issued))
    noted = current(store, issued).last_used_at
    assert noted is not None
    assert noted > long_ago


def test_it_gives_way_to_another_write(store: Store, issued: Credential) -> None:
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(credential).values(label="being changed"))
        # Were it to wait, it would wait for this block to end, and the thread would not.
        noting = threading.Thread(target=note_use, args=(store, issued), daemon=True)
        noting.start()
        noting.join(20)
        assert not noting.is_alive()
    assert current(store, issued).last_used_at is None
    note_use(store, issued)
    assert current(store, issued).last_used_at is not None


def test_its_impatience_is_not_left_behind(store: Store, issued: Credential) -> None:
    if store.engine.dialect.name != "sqlite":
        pytest.skip("only SQLite's connections have a patience")
    note_use(store, issued)
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 30_000


def test_a_store_that_does_not_answer_fails_no_request(issued: Credential) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all"):
        note_use(Store(create_engine(url)), issued)
