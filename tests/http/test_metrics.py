"""``/metrics``, as Prometheus reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from app import FOLDING, create_app
from app.gate.metrics import METRICS
from app.settings import Settings
from tests.http.conftest import Tenant

TOKEN = "t" * 32
OPEN = {"Authorization": f"Bearer {TOKEN}"}
DOCUMENT = (Path(__file__).parents[2] / "docs" / "usage.md").read_text(encoding="utf-8")


@pytest.fixture
def measured(settings: Settings, tmp_path: Path) -> Flask:
    """Return an application with a spool of its own, and its metrics open to a token."""
    alone = replace(settings, data_dir=tmp_path, peppers=settings.load_peppers(), metrics_token=TOKEN)
    return create_app(alone)


def samples(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics", headers=OPEN)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in read_text(answer.text)
        for sample in family.samples
    }


def test_what_is_counted_is_what_was_decided(measured: Flask, tenant: Tenant) -> None:
    client = measured.test_client()
    theirs = replace(tenant, gate=replace(tenant.gate, client=client))
    tenant.entitlement("orders", scopes=["read"])
    key = tenant.key(tenant.user("alice", entitlements=[{"value": "orders"}]), "orders")
    for scope in ("read", "read", "write"):
        theirs.verify(key, scope=scope)
    before = samples(client)
    assert before["keysteward_spool_unfolded_bytes", ()] == before["keysteward_spool_bytes", ()] > 0
    assert before["keysteward_spool_oldest_unfolded_seconds", ()] > 0
    assert before["keysteward_store_up", ()] == 1
    measured.extensions[FOLDING].fold_all()
    # Another process of the node says the same.
    for each in (client, measured.test_client()):
        after = samples(each)
        allowed = (("face", "verify"), ("outcome", "allow"), ("reason", ""))
        denied = (("face", "verify"), ("outcome", "deny"), ("reason", "scope_missing"))
        assert after["keysteward_decisions_total", allowed] == 2
        assert after["keysteward_decisions_total", denied] == 1
        verify = (("face", "verify"),)
        assert after["keysteward_decision_seconds_count", verify] == 3
        assert after["keysteward_decision_seconds_bucket", (*verify, ("le", "+Inf"))] == 3
        assert after["keysteward_decision_seconds_sum", verify] > 0
        assert after["keysteward_spool_unfolded_bytes", ()] == 0
        assert after["keysteward_spool_oldest_unfolded_seconds", ()] == 0
    assert tenant.id not in client.get("/metrics", headers=OPEN).text


def test_it_opens_to_its_own_token_alone(measured: Flask, tenant: Tenant, client: FlaskClient) -> None:
    for headers in (
        {},
        tenant.operator.headers,
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ):
        answer = measured.test_client().get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert "keysteward_" not in answer.text
    assert client.get("/metrics", headers=OPEN).status_code == 404


def test_without_the_store_it_says_so(measured: Flask, settings: Settings, tmp_path: Path) -> None:
    nowhere = replace(
        settings,
        data_dir=tmp_path,
        peppers=settings.load_peppers(),
        metrics_token=TOKEN,
        database_url="postgresql://nobody@127.0.0.1:1/none?connect_timeout=1",
    )
    found = samples(create_app(nowhere).test_client())
    assert found["keysteward_store_up", ()] == 0
    assert found["keysteward_spool_bytes", ()] == 0
    assert not any(name.startswith("keysteward_decision") for name, _ in found)


def test_it_speaks_openmetrics_too(measured: Flask) -> None:
    answer = measured.test_client().get(
        "/metrics", headers={**OPEN, "Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert {
        f"{each.name}_info" if each.type == "info" else each.name for each in read_openmetrics(answer.text)
    } == (METRICS.keys())


def test_every_metric_is_documented() -> None:
    assert re.findall(r"^\| `(keysteward_\w+)`", DOCUMENT, re.MULTILINE) == list(METRICS)
