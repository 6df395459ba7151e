"""Whatever is sent to the gate: it says 401 or 403, accepts nothing but a live key, and keeps its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from time import monotonic

import pytest

from app.settings import Settings
from tests.http.conftest import Tenant
from tests.property import fuzzed_requests

MEGABYTE = 1_000_000
MOST_GROWTH = 48
"""In megabytes: less than fifty bytes a request of a million."""


@pytest.fixture
def tenant(found: Callable[..., Tenant]) -> Tenant:
    return found()


def assert_refused(tenant: Tenant, settings: Settings, *, seed: int, count: int) -> None:
    tenant.entitlement("orders", scopes=["a"])
    users = [tenant.user(name, entitlements=[{"value": "orders"}]) for name in ("ada", "bo")]
    asked = {
        "seed": seed,
        "count": count,
        "gateToken": tenant.gate.headers["X-Gate-Authorization"].removeprefix("Bearer "),
        "keys": [tenant.key(user, "orders").secret for user in users],
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")},
        "KEYSTEWARD_DATA_DIR": str(settings.data_dir),
        "KEYSTEWARD_DATABASE_URL": settings.database_url,
    }
    began = monotonic()
    ended = subprocess.run(
        [sys.executable, fuzzed_requests.__file__],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    said = json.loads(ended.stdout)
    before, after = said["memory"]
    grown = (after - before) / MEGABYTE
    print(f"{count} requests in {monotonic() - began:.0f} s, {said['answers']}, memory {grown:+.1f} MB")
    assert said["failures"] == []
    # Some of the requests were fine, so that the others were refused for what they are.
    assert 0 < said["answers"]["200"] <= said["acceptable"]
    assert said["answers"]["401"] > said["answers"]["200"]
    assert grown < MOST_GROWTH
    assert not any(secret in ended.stderr for secret in asked["keys"])


def test_fuzzed_requests_are_refused(tenant: Tenant, settings: Settings) -> None:
    # Both stores together: twenty thousand.
    assert_refused(tenant, settings, seed=1, count=10_000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_million_fuzzed_requests_are_refused(tenant: Tenant, settings: Settings) -> None:
    if not settings.database_url.startswith("sqlite"):
        pytest.skip("the face is the same on either store")
    assert_refused(tenant, settings, seed=2, count=1_000_000)


def test_a_live_key_is_accepted_in_every_documented_form(tenant: Tenant) -> None:
    tenant.entitlement("orders")
    key = tenant.key(tenant.user("ada", entitlements=[{"value": "orders"}]), "orders").secret
    token = tenant.gate.headers["X-Gate-Authorization"]

    def acceptable(**headers: str) -> bool:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = tenant.gate.client.get("/gate/verify", headers={**named, "X-Gate-Authorization": token})
        return answer.status_code == 200

    for text in (key, f"Bearer {key}", f"bEARER   {key} ", f"Bearer secret-token:{key}", f"{key}, {key}"):
        assert acceptable(Authorization=text), text
    assert acceptable(X_API_Key=key)
    assert acceptable(X_API_Key=key, Authorization=f"Bearer {key}")
