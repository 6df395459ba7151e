"""What operators are warned of is logged, once a day."""

from __future__ import annotations

import logging
import threading

import pytest
import sqlalchemy as sa

from app.access import watch
from app.access.connections import create_connection
from app.access.credentials import issue_credential
from app.access.tenants import Tenant
from app.access.watch import AGAIN, Watch
from app.store import tables
from app.store.peppers import Peppers
from app.store.unit_of_work import Store

DAY = 24 * 3600 * 1_000_000


@pytest.fixture
def token(store: Store, peppers: Peppers, tenant: Tenant) -> str:
    """Return a token of a connection that has called, and then not for a month."""
    with store.writing(tenant.id, actor="system") as unit:
        made = create_connection(unit, "okta", "okta")
        _, token = issue_credential(unit, peppers, label="idp", scopes=["scim"], connection_id=made.id)
        unit.execute(sa.update(tables.connection).values(last_call_at=unit.now - 30 * DAY))
    return token


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == watch.__name__]


def test_a_warning_is_logged_when_it_begins_and_daily_after(
    store: Store, token: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = Watch(store, silent_after=3)
    for _ in range(3):
        looking.look()
    (line,) = lines(caplog)
    assert line.startswith("connection_silent: acme/okta: ")
    assert token not in caplog.text
    later = watch.wall_clock() + AGAIN
    monkeypatch.setattr(watch, "wall_clock", lambda: later)
    looking.look()
    looking.look()
    assert len(lines(caplog)) == 2


def test_what_is_over_and_comes_again_is_logged_again(
    store: Store, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    looking = Watch(store, silent_after=3)
    for disabled_at in (None, 1, None):
        with store.engine.begin() as connection:
            connection.execute(sa.update(tables.connection).values(disabled_at=disabled_at))
        looking.look()
    assert len(lines(caplog)) == 2


def test_it_looks_by_itself(store: Store, token: str, caplog: pytest.LogCaptureFixture) -> None:
    logged = threading.Event()

    class Notices(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logged.set()

    notices = Notices()
    watch.log.addHandler(notices)
    looking = Watch(store, silent_after=3)
    looking.start()
    try:
        assert logged.wait(60)
    finally:
        looking.stop()
        watch.log.removeHandler(notices)
