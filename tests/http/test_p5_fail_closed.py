"""P5: unknown owner, lookup error, store down, clock absurd: deny, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from app import create_app
from app.settings import Settings
from app.store import tables
from app.store.patience import StoreUnavailable
from tests.http.conftest import Key, Tenant


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement("orders")
    return tenant.key(tenant.user("ada", entitlements=[{"value": "orders"}]), "orders")


def asked_of(flask: Flask, tenant: Tenant, key: Key) -> tuple[int, str | None]:
    answer = flask.test_client().get(
        "/gate/verify", headers={**tenant.gate.headers, "Authorization": f"Bearer {key.secret}"}
    )
    return answer.status_code, answer.headers.get("X-Auth-Reason")


def test_a_store_that_does_not_answer_denies(
    tenant: Tenant, key: Key, settings: Settings, tmp_path: Path
) -> None:
    assert tenant.verify(key) == "allow"
    for url in (f"sqlite:///{tmp_path}/empty.sqlite3", "postgresql://nobody@127.0.0.1:1/nothing"):
        elsewhere = Settings.from_environment(
            {"KEYSTEWARD_DATA_DIR": str(settings.data_dir), "KEYSTEWARD_DATABASE_URL": url}
        )
        assert asked_of(create_app(elsewhere), tenant, key) == (403, "store_unavailable")


@pytest.mark.parametrize("failure", [StoreUnavailable("disk I/O error"), RuntimeError("anything else")])
def test_a_store_that_fails_after_the_gateway_was_let_in_denies(
    tenant: Tenant, key: Key, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def failing(*_: object) -> None:
        raise failure

    monkeypatch.setattr("app.gate.current.State.key", failing)
    assert tenant.verify(key) == "store_unavailable"


def test_a_pepper_that_is_gone_denies(tenant: Tenant, key: Key) -> None:
    tenant.sql(sa.update(tables.secret).where(tables.secret.c.key_id == key.id).values(pepper=99))
    assert tenant.verify(key) == "pepper_missing"


def test_a_clock_far_behind_the_last_write_denies(tenant: Tenant, key: Key) -> None:
    with tenant.wrote_in_the_future():
        # The gateway's own credential cannot be judged by such a clock either.
        assert tenant.verify(key) in ("clock_absurd", "store_unavailable", "gate_unauthenticated")


def test_a_key_issued_in_the_future_denies(tenant: Tenant, key: Key) -> None:
    future = tables.key.c.issued_at + 3600 * 1_000_000
    tenant.sql(sa.update(tables.key).where(tables.key.c.id == key.id).values(issued_at=future))
    assert tenant.verify(key) == "clock_absurd"


def test_a_consumer_that_is_gone_denies(tenant: Tenant, key: Key) -> None:
    deleted = sa.update(tables.consumer).where(tables.consumer.c.tenant_id == tenant.id)
    tenant.sql(deleted.values(deleted_at=1))
    assert tenant.verify(key) == "consumer_deleted"


def test_an_entitlement_that_is_gone_denies(tenant: Tenant, key: Key) -> None:
    tenant.sql(sa.delete(tables.entitlement).where(tables.entitlement.c.tenant_id == tenant.id))
    assert tenant.verify(key) == "right_lapsed"


def test_a_key_without_entitlements_denies(tenant: Tenant, key: Key) -> None:
    tenant.sql(sa.delete(tables.key_entitlement).where(tables.key_entitlement.c.key_id == key.id))
    assert tenant.verify(key) == "right_lapsed"
