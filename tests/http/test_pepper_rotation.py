"""A pepper rotates with no key issued anew and none failing; a pepper that is gone takes its keys with it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import AFTERWARDS, create_app
from app.keys.digests import pepper_uses
from app.operator.peppers import end_all_under
from app.settings import Settings
from app.store import pepper_file
from app.store.pepper_file import add_pepper, drop_pepper
from app.store.tables import secret
from app.store.unit_of_work import wall_clock
from tests.http.conftest import Key, Tenant


@pytest.fixture
def path(settings: Settings, tmp_path: Path) -> Path:
    """Return a pepper file of the test's own: tokens are under its first pepper, new keys under another."""
    settings.load_peppers()
    shutil.copy(settings.pepper_file, tmp_path / "peppers.json")
    add_pepper(tmp_path / "peppers.json")
    return tmp_path / "peppers.json"


@pytest.fixture
def app(settings: Settings, path: Path) -> Flask:
    return create_app(replace(settings, data_dir=path.parent))


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement("orders")
    return tenant.key(tenant.user("ada", entitlements=[{"value": "orders"}]), "orders")


def pepper_of(tenant: Tenant, key: Key) -> int:
    tenant.flask.extensions[AFTERWARDS].settle()
    (row,) = tenant.sql(sa.select(secret.c.pepper).where(secret.c.key_id == key.id))
    return int(row.pepper)


def in_use(tenant: Tenant) -> dict[int, Any]:
    with tenant.store.engine.connect() as connection:
        return {each.version: each for each in pepper_uses(connection, wall_clock())}


def test_a_key_goes_over_to_the_new_pepper_when_it_is_used(tenant: Tenant, path: Path, key: Key) -> None:
    version = pepper_of(tenant, key)
    other = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    newer = add_pepper(path)
    assert pepper_of(tenant, key) == version
    for _ in range(2):
        assert tenant.verify(key) == "allow"
        assert pepper_of(tenant, key) == newer
    assert pepper_of(tenant, other) == version
    assert tenant.verify(other) == "allow"
    assert pepper_of(tenant, other) == newer
    assert tenant.verify(tenant.key(tenant.keys()[0]["consumer"]["value"], "orders")) == "allow"


def test_a_pepper_that_is_dropped_is_missed_at_once(tenant: Tenant, path: Path, key: Key) -> None:
    version = pepper_of(tenant, key)
    # The first use leaves that of the gateway to be noted; after that, no commit comes between.
    for _ in range(2):
        assert tenant.verify(key) == "allow"
        assert pepper_of(tenant, key) == version
    add_pepper(path)
    drop_pepper(path, version)
    assert tenant.verify(key) == "pepper_missing"


def test_a_pepper_that_is_gone_kills_its_keys_and_says_so(tenant: Tenant, path: Path, key: Key) -> None:
    version = pepper_of(tenant, key)
    # What is kept of it from then is worth nothing without the pepper, though its rows stay as they are.
    assert tenant.verify(key) == "allow"
    add_pepper(path)
    bob = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    drop_pepper(path, version)
    answer = tenant.gate.client.get(
        "/gate/verify", headers={**tenant.gate.headers, "Authorization": f"Bearer {key.secret}"}
    )
    assert (answer.status_code, answer.get_json()["reason"]) == (401, "pepper_missing")
    assert tenant.verify(bob) == "allow"


def test_a_file_that_still_has_a_leaked_pepper_revives_nothing(
    tenant: Tenant, path: Path, settings: Settings, key: Key
) -> None:
    version = pepper_of(tenant, key)
    rotated = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    older = path.read_text()
    add_pepper(path)
    new = Key(rotated.id, tenant.operator.post(f"/keys/{rotated.id}/rotate").get_json()["secret"])
    end_all_under(tenant.store, version, actor="cli:test")
    drop_pepper(path, version)
    assert tenant.verify(key) == tenant.verify(rotated) == "pepper_missing"
    assert tenant.verify(new) == "allow"
    path.write_text(older)
    again = create_app(replace(settings, data_dir=path.parent))
    restarted = replace(tenant, gate=replace(tenant.gate, client=again.test_client()))
    assert restarted.verify(key) == "key_revoked"
    assert restarted.verify(rotated) == "secret_rotated"
    assert restarted.verify(new) == "pepper_missing"
    assert in_use(tenant)[version].living == 0


def test_a_dead_key_stays_dead_under_every_pepper(
    tenant: Tenant, path: Path, settings: Settings, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pepper_file, "LOOKED_AT_EVERY", 0)
    older = path.read_text()
    tenant.operator.post(f"/keys/{key.id}/revoke")
    newer = add_pepper(path)
    assert tenant.verify(key) == "key_revoked"
    assert pepper_of(tenant, key) == newer
    # Restarted with the older file: the tombstone cannot be read, and opens nothing either.
    path.write_text(older)
    again = create_app(replace(settings, data_dir=path.parent))
    restarted = replace(tenant, gate=replace(tenant.gate, client=again.test_client()))
    assert restarted.verify(key) == "pepper_missing"
    assert tenant.verify(key) == "pepper_missing"


def test_what_is_under_which_pepper_is_counted(tenant: Tenant, path: Path, key: Key) -> None:
    version = pepper_of(tenant, key)
    newer = add_pepper(path)
    before = in_use(tenant)
    tenant.verify(key)
    pepper_of(tenant, key)
    after = in_use(tenant)
    assert before[version].living_secrets - after[version].living_secrets == 1
    assert after[newer].living_secrets == (before[newer].living_secrets if newer in before else 0) + 1
    tenant.operator.post(f"/keys/{key.id}/revoke")
    dead = in_use(tenant)
    assert dead[newer].living_secrets == after[newer].living_secrets - 1
    assert dead[newer].dead_secrets == after[newer].dead_secrets + 1
    assert sum(each.credentials for each in dead.values()) >= 3


def test_a_move_that_fails_changes_nothing(
    tenant: Tenant, path: Path, key: Key, caplog: pytest.LogCaptureFixture
) -> None:
    # The use of the gateway is noted, so the move is all that there is to write.
    assert tenant.verify(key) == "allow"
    version = pepper_of(tenant, key)
    add_pepper(path)
    afterwards = tenant.flask.extensions[AFTERWARDS]
    store, afterwards._store = afterwards._store, None
    with caplog.at_level(logging.ERROR):
        assert tenant.verify(key) == "allow"
        assert pepper_of(tenant, key) == version
    assert key.secret not in caplog.text
    afterwards._store = store
    assert tenant.verify(key) == "allow"
    assert pepper_of(tenant, key) > version


def test_dropping_the_older_pepper_leaves_what_went_over(tenant: Tenant, path: Path, key: Key) -> None:
    version = pepper_of(tenant, key)
    left = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    add_pepper(path)
    assert tenant.verify(key) == "allow"
    assert pepper_of(tenant, key) > version
    drop_pepper(path, version)
    assert [tenant.verify(each) for each in (key, left)] == ["allow", "pepper_missing"]
