"""Whatever is sent to the gate, it answers as docs/gateways.md says, and keeps its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pytest

from app.settings import Settings
from tests.http.conftest import Face, Key, Tenant
from tests.property import fuzzed_requests

MEGABYTE = 1_000_000
MOST_GROWTH = 48
"""In megabytes: less than fifty bytes a request of a million."""

MOST_OUT_OF_TIME: Final = 0.02
"""Of how many requests the database may be too slow, where other programs take the processors."""

PROCESS: Final = Path(__file__).with_name("fuzzing_process.py")
ANSWERS: Final = {
    fuzzed_requests.ALLOWED,
    "no_key",
    "key_malformed",
    "keys_conflict",
    "key_unknown",
    "key_revoked",
    "secret_rotated",
    "consumer_inactive",
    "no_grant",
    "scope_missing",
    "audience_mismatch",
    "gate_unauthenticated",
}


@pytest.fixture
def tenant(found: Callable[..., Tenant]) -> Tenant:
    return found()


def secrets_of(tenant: Tenant, other: Tenant) -> dict[str, Any]:
    """Fill two directories; return what opens something there, and for which keys what is right."""
    for each in (tenant, other):
        each.entitlement("orders", audience=fuzzed_requests.AUDIENCE, scopes=[fuzzed_requests.SCOPE])

    def holder(name: str, of: Tenant = tenant) -> tuple[str, Key]:
        user = of.user(name, entitlements=[{"value": "orders"}])
        return user, of.key(user, "orders")

    live = [holder("ada")[1], holder("bo")[1]]
    keys = {key.secret: (tenant.id, fuzzed_requests.ALLOWED, key.id) for key in live}
    _, foreign = holder("ada", other)
    keys[foreign.secret] = (other.id, fuzzed_requests.ALLOWED, foreign.id)
    _, revoked = holder("cy")
    assert tenant.operator.post(f"/keys/{revoked.id}/revoke").status_code == 200
    keys[revoked.secret] = (tenant.id, "key_revoked", revoked.id)
    _, rotated = holder("di")
    answer = tenant.operator.post(f"/keys/{rotated.id}/rotate", {"overlapSeconds": 0})
    keys[rotated.secret] = (tenant.id, "secret_rotated", rotated.id)
    keys[answer.get_json()["secret"]] = (tenant.id, fuzzed_requests.ALLOWED, rotated.id)
    user, dormant = holder("ed")
    tenant.scim.patch(f"/Users/{user}", {"op": "replace", "path": "active", "value": False})
    keys[dormant.secret] = (tenant.id, "consumer_inactive", dormant.id)
    user, bare = holder("flo")
    tenant.scim.patch(f"/Users/{user}", {"op": "remove", "path": "entitlements"})
    keys[bare.secret] = (tenant.id, "no_grant", bare.id)

    def token(face: Face) -> str:
        (header,) = face.headers.values()
        return header.removeprefix("Bearer ")

    return {
        "gates": {token(each.gate): each.id for each in (tenant, other)},
        "keys": keys,
        "others": [token(tenant.scim), token(tenant.operator)],
    }


def assert_right(tenant: Tenant, other: Tenant, settings: Settings, *, seed: int, count: int) -> None:
    asked = {"seed": seed, "count": count, **secrets_of(tenant, other)}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")},
        "KEYSTEWARD_DATA_DIR": str(settings.data_dir),
        "KEYSTEWARD_DATABASE_URL": settings.database_url,
    }
    began = monotonic()
    ended = subprocess.run(
        [sys.executable, PROCESS],
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
    # Requests came to each of these, so that the others were refused for what they are.
    out_of_time = said["answers"].pop("store_unavailable", 0)
    assert said["answers"].keys() == ANSWERS
    assert sum(said["answers"].values()) >= count
    assert out_of_time <= count * MOST_OUT_OF_TIME
    assert grown < MOST_GROWTH
    assert not any(secret in ended.stderr for secret in asked["keys"])


def test_fuzzed_requests_are_answered_as_documented(
    tenant: Tenant, found: Callable[..., Tenant], settings: Settings
) -> None:
    # Both stores together: twenty thousand.
    assert_right(tenant, found(), settings, seed=1, count=10_000)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_a_million_fuzzed_requests_are_answered_as_documented(
    tenant: Tenant, found: Callable[..., Tenant], settings: Settings
) -> None:
    if not settings.database_url.startswith("sqlite"):
        pytest.skip("the face is the same on either store")
    assert_right(tenant, found(), settings, seed=2, count=1_000_000)


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
