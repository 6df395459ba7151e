"""What operators see of the use of keys, and auditors of the gate's decisions."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask

from app import FOLDING, create_app
from app.keys import decisions
from app.settings import Settings
from tests.http.conftest import DAY, Key, Tenant


@pytest.fixture
def used(tenant: Tenant) -> tuple[Tenant, Key]:
    """Return a tenant with a key that was allowed twice and denied once, all of it folded."""
    tenant.entitlement("orders", scopes=["read"])
    key = tenant.key(tenant.user("alice", entitlements=[{"value": "orders"}]), "orders")
    assert tenant.verify(key) == "allow"
    assert tenant.verify(key, scope="read") == "allow"
    assert tenant.verify(key, scope="write") == "scope_missing"
    fold(tenant.flask)
    return tenant, key


def fold(app: Flask) -> None:
    app.extensions[FOLDING].fold_all()


def read(tenant: Tenant, path: str, **query: Any) -> dict[str, Any]:
    answer = tenant.operator.get(path, **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_usage_of_a_key(used: tuple[Tenant, Key]) -> None:
    tenant, key = used
    usage = read(tenant, f"/keys/{key.id}/usage")
    assert (usage["allowed"], usage["denied"], usage["deadUses"]) == (2, 1, 0)
    assert usage["firstUsedAt"] < usage["lastUsedAt"] < usage["lastDeniedAt"]
    assert usage["consumer"]["userName"] == "alice"
    assert [
        (each["outcome"], (each["entitlement"] or {}).get("display"), each["uses"]) for each in usage["days"]
    ] == [("allowed", None, 2), ("allowed", "orders", 2), ("scope_missing", None, 1)]
    assert {each["day"] for each in usage["days"]} == {usage["lastUsedAt"][:10]}
    assert read(tenant, f"/keys/{key.id}")["lastUsedAt"] == usage["lastUsedAt"]
    (listed,) = read(tenant, "/keys")["Resources"]
    assert listed["lastUsedAt"] == usage["lastUsedAt"]


def test_a_key_that_was_never_used_has_a_usage_too(tenant: Tenant) -> None:
    tenant.entitlement("orders")
    key = tenant.key(tenant.user("alice", entitlements=[{"value": "orders"}]), "orders")
    usage = read(tenant, f"/keys/{key.id}/usage")
    assert usage["allowed"] == usage["denied"] == 0
    assert usage["lastUsedAt"] is None
    assert usage["days"] == usage["networks"] == []
    assert tenant.operator.get("/keys/none/usage").status_code == 404


def test_unused_keys(used: tuple[Tenant, Key]) -> None:
    tenant, _ = used
    never = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    revoked = tenant.key(tenant.user("carol", entitlements=[{"value": "orders"}]), "orders")
    tenant.operator.post(f"/keys/{revoked.id}/revoke")
    assert read(tenant, "/usage/unused", days=1)["totalResults"] == 0
    tenant.let_pass(2 * DAY)
    unused = read(tenant, "/usage/unused", days=1)
    assert [each["key"] for each in unused["Resources"]] == [never.id]
    assert unused["Resources"][0]["lastUsedAt"] is None
    for wrong in (0, 10_000):
        assert tenant.operator.get("/usage/unused", days=wrong).status_code == 400


def test_the_use_of_a_dead_secret(used: tuple[Tenant, Key]) -> None:
    tenant, key = used
    assert read(tenant, "/usage/dead-secrets")["totalResults"] == 0
    tenant.operator.post(f"/keys/{key.id}/revoke")
    assert tenant.verify(key) == "key_revoked"
    fold(tenant.flask)
    (dead,) = read(tenant, "/usage/dead-secrets")["Resources"]
    assert (dead["key"], dead["deadUses"], dead["denied"], dead["allowed"]) == (key.id, 1, 2, 2)
    days = read(tenant, f"/keys/{key.id}/usage")["days"]
    assert ("key_revoked", 1) in [(each["outcome"], each["uses"]) for each in days]


def test_the_decisions_of_a_key_are_those_that_its_callers_saw(used: tuple[Tenant, Key]) -> None:
    tenant, key = used
    headers = {**tenant.gate.headers, "Authorization": f"Bearer {key.secret}"}
    asked = {"X-Original-URI": "/orders/7?token=hush", "X-Original-Method": "GET"}
    seen = [
        tenant.gate.client.get("/gate/verify", headers={**headers, **asked}).headers["X-Auth-Decision-Id"]
        for _ in range(3)
    ]
    unknown = tenant.gate.client.get("/gate/verify", headers=tenant.gate.headers)
    fold(tenant.flask)
    found = read(tenant, "/decisions", key=key.id)
    assert [each["id"] for each in found["Resources"]][3:] == seen
    assert [each["outcome"] for each in found["Resources"]] == ["allow", "allow", "deny"] + 3 * ["allow"]
    last = found["Resources"][-1]
    assert (last["method"], last["path"], last["face"]) == ("GET", "/orders/7", "verify")
    assert key.secret not in json.dumps(found)
    assert "hush" not in json.dumps(found)
    every = read(tenant, "/decisions")["Resources"]
    assert every[-1]["id"] == unknown.headers["X-Auth-Decision-Id"]
    assert (every[-1]["reason"], every[-1]["key"]) == ("no_key", None)
    since = read(tenant, "/decisions", key=key.id, since=last["time"])["Resources"]
    assert [each["id"] for each in since] == seen[-1:]
    until = read(tenant, "/decisions", key=key.id, until=last["time"])["Resources"]
    assert [each["id"] for each in until] == [each["id"] for each in found["Resources"][:-1]]


def test_decisions_come_in_pages(used: tuple[Tenant, Key]) -> None:
    tenant, key = used
    for _ in range(2):
        tenant.verify(key)
        fold(tenant.flask)
    whole = read(tenant, "/decisions", key=key.id)
    assert len(whole["Resources"]) == 5
    assert whole["after"] is None
    paged, place = [], None
    while True:
        page = read(tenant, "/decisions", key=key.id, limit=2, **({"after": place} if place else {}))
        paged += page["Resources"]
        place = page["after"]
        if place is None:
            break
        assert len(page["Resources"]) == 2
    assert paged == whole["Resources"]
    assert tenant.operator.get("/decisions", after="somewhere").status_code == 400
    assert tenant.operator.get("/decisions", since="yesterday").status_code == 400


def test_a_batch_is_what_its_event_says(used: tuple[Tenant, Key]) -> None:
    tenant, key = used
    batch = read(tenant, "/decisions", key=key.id)["Resources"][0]["batch"]
    lines = tenant.operator.get(f"/decision-batches/{batch}").data
    (event,) = read(tenant, "/events", subject=f"decision-batch/{batch}")["Resources"]
    assert event["type"] == "gate.decisions_recorded"
    assert event["data"] == {"decisions": 3, "sha256": sha256(lines).hexdigest()}
    assert len(lines.splitlines()) == 3
    assert tenant.operator.get("/decision-batches/none").status_code == 404


def test_tenants_do_not_see_each_other_s_usage(used: tuple[Tenant, Key], found: Any) -> None:
    theirs, key = used
    mine = found()
    assert mine.operator.get(f"/keys/{key.id}/usage").status_code == 404
    batch = read(theirs, "/decisions")["Resources"][0]["batch"]
    assert mine.operator.get(f"/decision-batches/{batch}").status_code == 404
    assert read(mine, "/decisions", key=key.id)["Resources"] == []
    assert read(mine, "/usage/networks", key=key.id)["Resources"] == []


def test_what_cannot_be_written_down_is_denied_unless_told_otherwise(
    used: tuple[Tenant, Key], settings: Settings, tmp_path: Any
) -> None:
    tenant, key = used
    (tmp_path / "spool").write_text("no folder")
    settings = replace(settings, data_dir=tmp_path, peppers=settings.load_peppers())
    strict = replace(tenant, gate=replace(tenant.gate, client=create_app(settings).test_client()))
    assert strict.verify(key) == "store_unavailable"
    lenient = create_app(replace(settings, unrecorded_decisions="allow")).test_client()
    assert replace(tenant, gate=replace(tenant.gate, client=lenient)).verify(key) == "allow"


def test_a_search_that_has_read_enough_says_where_to_go_on(
    used: tuple[Tenant, Key], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, key = used
    for _ in range(2):
        tenant.verify(key)
        fold(tenant.flask)
    monkeypatch.setattr(decisions, "MOST_READ", 3)
    first = read(tenant, "/decisions", consumer="nobody")
    assert first["Resources"] == []
    second = read(tenant, "/decisions", consumer="nobody", after=first["after"])
    assert (second["Resources"], second["after"]) == ([], None)
    monkeypatch.setattr(decisions, "MOST_BATCHES", 1)
    found, place = [], None
    for _ in range(4):
        page = read(tenant, "/decisions", key=key.id, **({"after": place} if place else {}))
        found += page["Resources"]
        place = page["after"]
    monkeypatch.undo()
    assert found == read(tenant, "/decisions", key=key.id)["Resources"]
