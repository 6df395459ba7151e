"""Rates and quotas: what takes from them, what does not, and what is told of them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.settings import Settings
from app.store import prepared_reads
from app.store.patience import PATIENCE
from tests.http.conftest import Key, Tenant
from tests.http.gate.conftest import trusting
from tests.http.gate.faces import API, ASKED, FACES, Asking, Clock, held

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conditions.md").read_text(encoding="utf-8")
SOON = datetime.now(UTC).replace(hour=13, minute=59, second=48, microsecond=0) + timedelta(days=3)
SECOND = timedelta(seconds=1)


@pytest.fixture
def door(by_face: Callable[[str], Asking], clock: Clock) -> Asking:
    """Ask gateways' questions while the clock stands still."""
    clock(SOON - timedelta(hours=1))
    return by_face("door")


def words(asking: Asking, key: Key, count: int, **sent: Any) -> list[str]:
    return [asking.word(key, ASKED, **sent) for _ in range(count)]


def headers(asking: Asking, key: Key) -> tuple[str | None, str | None, str | None]:
    said = asking.say(key, ASKED).headers
    return said.get("RateLimit-Policy"), said.get("RateLimit"), said.get("Retry-After")


def patch(tenant: Tenant, value: str, **conditions: Any) -> None:
    listed = tenant.scim.get("/Entitlements", filter=f'value eq "{value}"').get_json()["Resources"]
    changed = {"op": "replace", "value": {"conditions": conditions}}
    assert tenant.scim.patch(f"/Entitlements/{listed[0]['id']}", changed).status_code == 200


@pytest.mark.parametrize("face", FACES)
def test_a_rate_is_a_bucket_that_fills_steadily(
    by_face: Callable[[str], Asking], clock: Clock, face: str
) -> None:
    asking = by_face(face)
    key = held(asking.tenant, rate="2/60s burst 3")
    clock(SOON)
    assert words(asking, key, 5) == ["allow"] * 3 + ["rate_exceeded"] * 2
    clock(SOON + 29 * SECOND)
    assert words(asking, key, 1) == ["rate_exceeded"]
    clock(SOON + 30 * SECOND)
    assert words(asking, key, 2) == ["allow", "rate_exceeded"]
    clock(SOON + 3600 * SECOND)
    assert words(asking, key, 4) == ["allow"] * 3 + ["rate_exceeded"]


@pytest.mark.parametrize("face", FACES)
def test_a_quota_begins_again_at_midnight_of_its_zone(
    by_face: Callable[[str], Asking], clock: Clock, face: str
) -> None:
    asking = by_face(face)
    month = (SOON.replace(day=1) + timedelta(days=40)).replace(day=1)
    # Midnight in Tokyo is 15:00 UTC of the day before.
    midnight = month.replace(hour=15, minute=0, second=0) + timedelta(days=10)
    clock(midnight - SECOND)
    key = held(asking.tenant, quota="2/day 5/month Asia/Tokyo")
    assert words(asking, key, 3) == ["allow"] * 2 + ["quota_exceeded"]
    clock(midnight)
    assert words(asking, key, 3) == ["allow"] * 2 + ["quota_exceeded"]
    clock(midnight + timedelta(days=1))
    assert words(asking, key, 2) == ["allow", "quota_exceeded"], "the month's are used up"
    clock(midnight + timedelta(days=9))
    assert words(asking, key, 1) == ["quota_exceeded"]
    next_month = (month + timedelta(days=40)).replace(day=1, hour=15, minute=0, second=0) - timedelta(days=1)
    clock(next_month)
    assert words(asking, key, 3) == ["allow"] * 2 + ["quota_exceeded"]


def test_the_headers_tell_where_a_user_stands(door: Asking, clock: Clock) -> None:
    key = held(door.tenant, rate="100/60s burst 20", quota="10000/day UTC")
    clock(SOON)
    policy, state = (
        re.sub(r"\s+", " ", each)
        for each in re.search(r"`RateLimit-Policy:\s+([^`]*)` and `RateLimit: ([^`]*)`", DOCUMENT).groups()  # type: ignore[union-attr]
    )
    assert headers(door, key) == (policy, state, None), "as the document shows"
    for _ in range(19):
        assert door.word(key, ASKED) == "allow"
    assert headers(door, key) == (policy, '"rate";r=0;t=1, "day";r=9980;t=36012', "1")


def test_a_denial_says_when_to_come_back(door: Asking, clock: Clock) -> None:
    key = held(door.tenant, rate="1/60s burst 2", quota="3/day 90/month UTC")
    clock(SOON)
    policy = '"rate";q=1;w=60, "day";q=3;w=86400, "month";q=90;w='
    found = [headers(door, key) for _ in range(3)]
    assert all(str(each[0]).startswith(policy) for each in found)
    assert [re.findall(r"r=(\d+);t=(\d+)", str(each[1]))[:2] for each in found] == [
        [("1", "60"), ("2", "36012")],
        [("0", "60"), ("1", "36012")],
        [("0", "60"), ("1", "36012")],
    ]
    assert [each[2] for each in found] == [None, None, "60"]
    clock(SOON + timedelta(seconds=59, milliseconds=500))
    assert headers(door, key)[2] == "1"
    clock(SOON + 60 * SECOND)
    assert headers(door, key)[2] is None
    clock(SOON + 600 * SECOND)
    (_, state, retry), said = headers(door, key), door.word(key, ASKED)
    assert (said, retry) == ("quota_exceeded", str(36012 - 600))
    assert '"day";r=0;' in str(state)


def test_other_denials_and_rights_without_limits_tell_nothing(door: Asking) -> None:
    key = held(door.tenant, rate="1/60s", methods=["PUT"])
    assert headers(door, key) == (None, None, None)
    patch(door.tenant, "orders", rate=None)
    assert headers(door, key) == (None, None, None)


def test_what_is_denied_takes_nothing(door: Asking) -> None:
    key = held(door.tenant, rate="1/86400s", quota="1/day UTC", methods=["GET"])
    for _ in range(3):
        assert door.word(key, ASKED, X_Original_Method="PUT") == "method_not_allowed"
        assert door.word(key, ASKED, X_Gate_Scope="orders.write") == "scope_missing"
    assert words(door, key, 2) == ["allow", "quota_exceeded"]
    patch(door.tenant, "orders", rate="1/86400s", quota="2/day UTC", methods=["GET"])
    # The rate denies, and the quota keeps the one that is left.
    assert words(door, key, 2) == ["rate_exceeded"] * 2
    patch(door.tenant, "orders", rate=None, quota="2/day UTC", methods=["GET"])
    assert words(door, key, 2) == ["allow", "quota_exceeded"]


def test_a_second_key_is_no_second_quota_and_another_user_s_is(door: Asking) -> None:
    tenant = door.tenant
    key = held(tenant, quota="3/day UTC")
    second = tenant.key(tenant.keys()[0]["consumer"]["value"], "orders")
    other = tenant.key(tenant.user("bob", entitlements=[{"value": "orders"}]), "orders")
    assert [door.word(each, ASKED) for each in (key, second, key, second, key)] == (
        ["allow"] * 3 + ["quota_exceeded"] * 2
    )
    assert words(door, other, 1) == ["allow"]
    rotated = tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 0})
    assert rotated.status_code == 200
    assert words(door, Key(key.id, rotated.get_json()["secret"]), 1) == ["quota_exceeded"]


def test_a_rate_that_is_changed_begins_full_and_a_quota_goes_on(door: Asking) -> None:
    key = held(door.tenant, rate="2/86400s", quota="4/day UTC")
    assert words(door, key, 3) == ["allow"] * 2 + ["rate_exceeded"]
    patch(door.tenant, "orders", rate="2/86400s burst 2", quota="4/day UTC")
    assert words(door, key, 1) == ["rate_exceeded"], "the same rate in other words"
    patch(door.tenant, "orders", rate="3/86400s", quota="4/day UTC")
    assert words(door, key, 3) == ["allow"] * 2 + ["quota_exceeded"]
    patch(door.tenant, "orders", rate="3/86400s", quota="5/day UTC")
    assert words(door, key, 2) == ["allow", "quota_exceeded"]


def test_of_several_rights_one_without_limits_is_enough(door: Asking, clock: Clock) -> None:
    tenant = door.tenant
    for value, conditions in (
        ("a-limited", {"rate": "1/86400s"}),
        ("b-limited", {"quota": "2/day UTC"}),
        ("c-free", {"methods": ["PUT"]}),
    ):
        tenant.entitlement(
            value, audience=API, scopes=["orders.read", f"{value}.scope"], conditions=conditions
        )
    values = ["a-limited", "b-limited", "c-free"]
    key = tenant.key(tenant.user("ada", entitlements=[{"value": each} for each in values]), *values)

    def passes_by(**sent: str) -> tuple[str, str | None, str | None, bool]:
        said = door.say(key, ASKED, **sent)
        told = said.headers
        return (
            said.word,
            told.get("X-Auth-Entitlements"),
            told.get("X-Auth-Scopes"),
            "RateLimit" in told,
        )

    for _ in range(4):
        free = passes_by(X_Original_Method="PUT")
        assert free == ("allow", "c-free", "orders.read c-free.scope", False), "and nothing is counted"
    assert passes_by() == ("allow", "a-limited", "orders.read a-limited.scope", True)
    assert passes_by() == ("allow", "b-limited", "orders.read b-limited.scope", True)
    assert passes_by()[:2] == ("allow", "b-limited")
    # Of the two it tells of the one by which a call may pass first: the rate is not there before tomorrow.
    clock(SOON)
    denied = door.say(key, ASKED)
    assert (denied.word, denied.headers["Retry-After"]) == ("quota_exceeded", "36012")


def test_a_user_has_no_rate_and_a_search_takes_none(by_face: Callable[[str], Asking], clock: Clock) -> None:
    asking = by_face("evaluation")
    clock(SOON)
    key = held(asking.tenant, rate="1/86400s")
    headers = {"Authorization": asking.tenant.gate.headers["X-Gate-Authorization"]}
    client = asking.tenant.flask.test_client()
    question = {
        "action": {"name": "orders.read", "properties": {"method": "GET"}},
        "resource": {"type": "route", "id": "/orders/7"},
    }
    for _ in range(3):
        asked = {**question, "subject": {"type": "user", "id": "ada"}}
        assert client.post("/access/v1/evaluation", json=asked, headers=headers).get_json()["decision"]
        searched = {**question, "subject": {"type": "api_key"}}
        found = client.post("/access/v1/search/subject", json=searched, headers=headers).get_json()
        assert [each["id"] for each in found["results"]] == [key.id]
    assert words(asking, key, 2) == ["allow", "rate_exceeded"]
    searched = {**question, "subject": {"type": "api_key"}}
    found = client.post("/access/v1/search/subject", json=searched, headers=headers).get_json()
    assert [each["id"] for each in found["results"]] == [key.id], "a search is not about how often"


@contextmanager
def held_up(engine: Engine, settings: Settings) -> Iterator[None]:
    """Hold the counters, as somebody would who reads or mends them and stands still."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(sa.text("LOCK TABLE limit_use IN ACCESS EXCLUSIVE MODE"))
            yield
        return
    holder = sqlite3.connect(settings.data_dir / "limits.sqlite3", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


@pytest.mark.parametrize("face", FACES)
def test_counters_that_do_not_answer_deny_what_they_count_and_nothing_else(
    by_face: Callable[[str], Asking],
    shared_engine: Engine,
    settings: Settings,
    face: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Of its own, because its connections keep the patience that there was when they were opened.
    monkeypatch.setattr(prepared_reads, "PATIENCE", PATIENCE)
    asking = by_face(face)
    asking = replace(asking, tenant=replace(asking.tenant, flask=trusting(settings)))
    key = held(asking.tenant, quota="5/day UTC")
    asking.tenant.entitlement("free", scopes=["free.read"])
    free = asking.tenant.key(asking.tenant.user("bob", entitlements=[{"value": "free"}]), "free")
    question = type(ASKED)(scope="free.read", audience=None)
    assert words(asking, key, 1) == ["allow"]
    with held_up(shared_engine, settings):
        assert words(asking, key, 1) == ["store_unavailable"]
        assert asking.word(free, question) == "allow"
    assert words(asking, key, 5) == ["allow"] * 4 + ["quota_exceeded"]


def test_tenants_count_apart_and_the_processes_of_one_together(
    found: Callable[..., Tenant], door: Asking, tenant: Tenant
) -> None:
    key = held(tenant, quota="2/day UTC")
    # Another application on the same database and folder, as another process has one.
    beside = replace(door, face="view", tenant=tenant)
    assert beside.tenant.flask is not door.tenant.flask
    assert [each.word(key, ASKED) for each in (door, beside, door, beside)] == (
        ["allow"] * 2 + ["quota_exceeded"] * 2
    )
    other = found()
    assert replace(beside, tenant=other).word(held(other, quota="2/day UTC"), ASKED) == "allow"
