"""Rotation: two secrets until a deadline, or one at once; what kills the key kills every version of it."""

from __future__ import annotations

import threading
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.store.tables import secret
from tests.http.conftest import DAY, HOUR, SECOND, Key, Tenant

INACTIVE = {"op": "replace", "value": {"active": False}}
ACTIVE = {"op": "replace", "value": {"active": True}}


@pytest.fixture
def user(tenant: Tenant) -> str:
    tenant.entitlement("orders", scopes=["orders.read"])
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, user: str) -> Key:
    return tenant.key(user, "orders")


def rotate(tenant: Tenant, key: Key, **body: Any) -> Key:
    answer = tenant.operator.post(f"/keys/{key.id}/rotate", body)
    assert answer.status_code == 200, answer.text
    return Key(key.id, answer.get_json()["secret"])


def ask(tenant: Tenant, key: Key, **query: str) -> TestResponse:
    headers = {**tenant.gate.headers, "Authorization": f"Bearer {key.secret}"}
    return tenant.gate.client.get("/gate/verify", query_string=query, headers=headers)


def living(tenant: Tenant, key: Key) -> int:
    """Return how many secrets of a key live, by the table."""
    with tenant.store.reading(tenant.id) as unit:
        lives = sa.or_(secret.c.ends_at.is_(None), secret.c.ends_at > unit.now)
        statement = sa.select(sa.func.count()).where(secret.c.key_id == key.id, lives)
        return int(unit.execute(statement).scalar_one())


def test_both_secrets_work_until_the_deadline_and_then_the_new_one_alone(tenant: Tenant, key: Key) -> None:
    new = rotate(tenant, key, overlapSeconds=7200)
    assert new.secret != key.secret
    assert [tenant.verify(each) for each in (key, new)] == ["allow", "allow"]
    tenant.let_pass(2 * HOUR - 60 * SECOND)
    assert [tenant.verify(each) for each in (key, new)] == ["allow", "allow"]
    tenant.let_pass(60 * SECOND)
    assert [tenant.verify(each) for each in (key, new)] == ["secret_rotated", "allow"]
    assert tenant.operator.get(f"/keys/{key.id}").get_json()["state"] == "active"


def test_the_holder_of_the_old_secret_is_told_when_it_ends(tenant: Tenant, key: Key) -> None:
    assert "Sunset" not in ask(tenant, key).headers
    rotated = tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 3600})
    new = Key(key.id, rotated.get_json()["secret"])
    for answer in (ask(tenant, key), ask(tenant, key, scope="orders.write")):
        assert answer.headers["Deprecation"].startswith("@")
        replaced_at = int(answer.headers["Deprecation"][1:])
        ends_at = parsedate_to_datetime(answer.headers["Sunset"])
        assert ends_at.timestamp() - replaced_at == 3600
        assert answer.headers["Sunset"].endswith(" GMT")
        told = rotated.get_json()["replaced"]["endsAt"]
        assert told.startswith(ends_at.strftime("%Y-%m-%dT%H:%M:%S."))
    assert not {"Sunset", "Deprecation"} & set(ask(tenant, new).headers.keys())
    tenant.operator.post(f"/keys/{key.id}/revoke")
    # Nothing sets any more: what was promised is not to be believed.
    assert "Sunset" not in ask(tenant, key).headers


def test_after_a_leak_the_old_secret_ends_at_once(tenant: Tenant, key: Key) -> None:
    new = rotate(tenant, key, overlapSeconds=0)
    assert [tenant.verify(each) for each in (key, new)] == ["secret_rotated", "allow"]
    answer = ask(tenant, key)
    assert answer.status_code == 401
    assert "Sunset" in answer.headers


def test_without_a_word_the_overlap_is_a_day(tenant: Tenant, key: Key) -> None:
    rotate(tenant, key)
    tenant.let_pass(DAY - 60 * SECOND)
    assert tenant.verify(key) == "allow"
    tenant.let_pass(60 * SECOND)
    assert tenant.verify(key) == "secret_rotated"


def test_a_third_secret_ends_the_oldest_at_once(tenant: Tenant, key: Key) -> None:
    second = rotate(tenant, key)
    third = rotate(tenant, second)
    assert [tenant.verify(each) for each in (key, second, third)] == ["secret_rotated", "allow", "allow"]
    fourth = rotate(tenant, third, overlapSeconds=0)
    assert [tenant.verify(each) for each in (key, second, third, fourth)] == [
        *["secret_rotated"] * 3,
        "allow",
    ]


def test_many_rotations_at_once_leave_two_living_secrets(tenant: Tenant, key: Key) -> None:
    made: list[Key] = []
    ready = threading.Barrier(6)

    def turn() -> None:
        client = tenant.flask.test_client()
        ready.wait()
        for _ in range(3):
            answer = client.post(f"/operator/v1/keys/{key.id}/rotate", headers=tenant.operator.headers)
            assert answer.status_code == 200
            made.append(Key(key.id, answer.get_json()["secret"]))
            assert living(tenant, key) <= 2

    threads = [threading.Thread(target=turn) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each.secret for each in made}) == 18
    assert sorted(tenant.verify(each) for each in [key, *made]) == [*["allow"] * 2, *["secret_rotated"] * 17]


def test_what_ends_the_key_ends_every_secret(tenant: Tenant, user: str, key: Key) -> None:
    new = rotate(tenant, key)
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    assert [tenant.verify(each) for each in (key, new)] == ["consumer_inactive"] * 2
    tenant.scim.patch(f"/Users/{user}", ACTIVE)
    assert [tenant.verify(each) for each in (key, new)] == ["allow"] * 2
    tenant.operator.post(f"/keys/{key.id}/revoke")
    assert [tenant.verify(each) for each in (key, new)] == ["key_revoked"] * 2


@pytest.mark.parametrize("how", ["delete", "window over", "entitlement deleted", "revoked"])
def test_nothing_brings_any_secret_back(tenant: Tenant, user: str, key: Key, how: str) -> None:
    new = rotate(tenant, key, overlapSeconds=30 * 86_400)
    if how == "delete":
        tenant.scim.delete(f"/Users/{user}")
        again = tenant.user("ada", entitlements=[{"value": "orders"}])
        assert tenant.verify(tenant.key(again, "orders")) == "allow"
    elif how == "window over":
        tenant.scim.patch(f"/Users/{user}", INACTIVE)
        tenant.let_pass(2 * DAY)
        tenant.scim.patch(f"/Users/{user}", ACTIVE)
    elif how == "entitlement deleted":
        for each in tenant.read("/Entitlements")["Resources"]:
            tenant.scim.delete(f"/Entitlements/{each['id']}")
        tenant.entitlement("orders")
    else:
        tenant.operator.post(f"/keys/{key.id}/revoke")
    assert {tenant.verify(each) for each in (key, new)} <= {"key_revoked", "right_lapsed"}
    assert tenant.operator.post(f"/keys/{key.id}/rotate").status_code == 409
    assert {tenant.verify(each) for each in (key, new)} <= {"key_revoked", "right_lapsed"}


def test_a_secret_that_ended_does_not_come_back_by_another_rotation(tenant: Tenant, key: Key) -> None:
    second = rotate(tenant, key, overlapSeconds=0)
    rotate(tenant, second, overlapSeconds=7200)
    assert [tenant.verify(each) for each in (key, second)] == ["secret_rotated", "allow"]


def test_a_key_that_cannot_be_rotated_says_what_to_do(tenant: Tenant, user: str, key: Key) -> None:
    issued = tenant.operator.post("/keys", {"consumer": user, "entitlements": ["orders"]}).get_json()["id"]
    refused = tenant.operator.post(f"/keys/{issued}/rotate")
    assert (refused.status_code, refused.get_json()["type"]) == (
        409,
        "urn:keysteward:problem:key-not-rotatable",
    )
    assert "claim it" in refused.get_json()["detail"]
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    assert "dormant" in tenant.operator.post(f"/keys/{key.id}/rotate").get_json()["detail"]
    assert tenant.operator.post("/keys/key_no/rotate").status_code == 404
    for wrong in (-1, 1.5, "60", None, True, 367 * 86_400):
        assert tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": wrong}).status_code == 400


def test_a_rotation_is_an_event_that_holds_no_secret(tenant: Tenant, key: Key) -> None:
    second = rotate(tenant, key)
    third = rotate(tenant, second)
    events = tenant.operator.get("/events", subject=f"key/{key.id}").get_json()["Resources"]
    first_turn, second_turn = [each for each in events if each["type"] == "key.rotated"]
    ids = [each.secret.split("_")[2] for each in (key, second, third)]
    assert (first_turn["data"]["replaces"], first_turn["data"]["secret"]) == (ids[0], ids[1])
    assert first_turn["data"]["endedAtOnce"] == []
    assert (second_turn["data"]["replaces"], second_turn["data"]["endedAtOnce"]) == (ids[1], [ids[0]])
    for each in (key, second, third):
        assert each.secret.split("_")[3] not in str(events)
