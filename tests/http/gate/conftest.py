"""The gate behind proxies that it trusts, asked by each face, by a clock that a test can set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.gate.recorder import SpoolRecorder, Verification
from app.rights.conditions.networks import parse_network
from app.settings import Settings
from app.store.tables import tenant as table
from app.store.unit_of_work import wall_clock
from tests.http.conftest import Tenant
from tests.http.gate.faces import FACES, Asking, Clock, Everywhere, microseconds

TRUSTED = ("127.0.0.1", "10.0.0.0/30")


def trusting(settings: Settings) -> Flask:
    """Return an application that knows the proxies before it."""
    return create_app(replace(settings, trusted_proxies=tuple(parse_network(each) for each in TRUSTED)))


@pytest.fixture(scope="session")
def behind_proxies(settings: Settings) -> Flask:
    """Return another application on the same database, which knows the proxies before it."""
    return trusting(settings)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Verification]:
    """Return what the gate records from now on, by the ids of its decisions; it is recorded all the same."""
    seen: dict[str, Verification] = {}
    record = SpoolRecorder.record

    def noted(self: SpoolRecorder, verification: Verification) -> None:
        seen[verification.id] = verification
        record(self, verification)

    monkeypatch.setattr(SpoolRecorder, "record", noted)
    return seen


@pytest.fixture
def by_face(
    tenant: Tenant, behind_proxies: Flask, recorded: dict[str, Verification]
) -> Callable[[str], Asking]:
    """Return what asks by a face, behind the trusted proxies."""
    return lambda face: Asking(replace(tenant, flask=behind_proxies), face, recorded)


@pytest.fixture(params=FACES)
def asking(request: pytest.FixtureRequest, by_face: Callable[[str], Asking]) -> Asking:
    return by_face(request.param)


@pytest.fixture
def everywhere(by_face: Callable[[str], Asking]) -> Everywhere:
    return Everywhere(tuple(by_face(each) for each in FACES))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tenant: Tenant) -> Iterator[Clock]:
    def show(moment: datetime) -> None:
        standing = microseconds(moment)
        monkeypatch.setattr("app.store.unit_of_work.wall_clock", lambda: standing)

    now = wall_clock()
    yield show
    # Others fold what is in the spool, by a clock that may be far behind this one.
    with tenant.store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(table).where(table.c.last_write_at > now).values(last_write_at=now))
