"""Receipts: since when a key is withdrawn, by what cause, for which secrets; as the gate saw it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.gate.verify import GATE_HEADER
from app.store.secrets import parse
from tests.http.conftest import CONSUMER, DAY, HOUR, Key, Tenant

INACTIVE = {"op": "replace", "value": {"active": False}}
ACTIVE = {"op": "replace", "value": {"active": True}}


@pytest.fixture
def user(tenant: Tenant) -> str:
    tenant.entitlement("orders")
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, user: str) -> Key:
    return tenant.key(user, "orders")


def receipt(tenant: Tenant, key: Key) -> dict[str, Any]:
    answer = tenant.operator.get(f"/keys/{key.id}/receipt")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def entry(tenant: Tenant, told: dict[str, Any]) -> dict[str, Any]:
    """Return the event that a receipt names, as the timeline has it."""
    after = told["ledger"]["sequence"] - 1
    (event,) = tenant.operator.get("/events", after=after, limit=1).get_json()["Resources"]
    assert event["id"] == told["ledger"]["event"]
    assert event["time"] == told["ledger"]["time"]
    assert event["txn"] == told["cause"]["txn"]
    found: dict[str, Any] = event
    return found


def rotate(tenant: Tenant, key: Key, overlap: int) -> Key:
    answer = tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": overlap})
    return Key(key.id, answer.get_json()["secret"])


def test_of_a_living_key(tenant: Tenant, key: Key) -> None:
    told = receipt(tenant, key)
    assert (told["state"], told["cause"], told["ledger"], told["withdrawnAt"]) == ("active", None, None, None)
    (secret,) = told["secrets"]
    assert secret["id"] == parse(key.secret).id
    assert (secret["endsAt"], secret["endedAt"], secret["deniedSince"]) == (None, None, None)


def test_of_a_revoked_key_with_every_secret(tenant: Tenant, key: Key) -> None:
    second = rotate(tenant, key, 0)
    third = rotate(tenant, second, 3600)
    living = receipt(tenant, key)["secrets"]
    assert [each["endedAt"] is None for each in living] == [False, True, True]
    assert [each["endsAt"] is None for each in living] == [True, False, True]
    tenant.operator.post(f"/keys/{key.id}/revoke", {"reason": "leaked"})
    told = receipt(tenant, key)
    assert (told["state"], told["cause"]["reason"]) == ("revoked", "leaked")
    event = entry(tenant, told)
    assert (event["type"], event["subject"]) == ("key.revoked", f"key/{key.id}")
    assert told["withdrawnAt"] == event["time"]
    assert [each["id"] for each in told["secrets"]] == [
        parse(each.secret).id for each in (key, second, third)
    ]
    ended = [each["endedAt"] for each in told["secrets"]]
    assert ended[0] < ended[1] == ended[2] == told["withdrawnAt"]
    assert [each["deniedSince"] for each in told["secrets"]] == ended


def dormant_by_deactivation(tenant: Tenant, user: str) -> str:
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    return "consumer_inactive"


def dormant_by_value(tenant: Tenant, user: str) -> str:
    tenant.scim.patch(f"/Users/{user}", {"op": "remove", "path": "entitlements"})
    return "no_grant"


def deleted(tenant: Tenant, user: str) -> str:
    tenant.scim.delete(f"/Users/{user}")
    return "consumer_deleted"


@pytest.mark.parametrize("withdraw", [dormant_by_deactivation, dormant_by_value, deleted])
def test_the_cause_is_the_scim_request(
    tenant: Tenant, user: str, key: Key, withdraw: Callable[[Tenant, str], str]
) -> None:
    reason = withdraw(tenant, user)
    told = receipt(tenant, key)
    assert told["state"] == ("revoked" if withdraw is deleted else "dormant")
    assert told["cause"]["reason"] == reason
    event = entry(tenant, told)
    assert event["subject"] == f"key/{key.id}"
    assert told["cause"]["actor"].startswith("connection:")
    of_user = tenant.operator.get("/events", subject=f"User/{user}").get_json()["Resources"][-1]
    assert of_user["txn"] == told["cause"]["txn"]
    assert told["secrets"][0]["deniedSince"] == told["withdrawnAt"]
    # A receipt of what may come back says so: its secrets have not ended.
    assert (told["secrets"][0]["endedAt"] is None) == (told["state"] == "dormant")


def test_a_group_or_an_entitlement_that_carries_many_rights(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    group = tenant.group("buyers", ada)
    orders = tenant.entitlement("orders", groups=(group,))
    key = tenant.key(ada, "orders")
    tenant.scim.patch(f"/Entitlements/{orders}", {"op": "remove", "path": "groups"})
    told = receipt(tenant, key)
    assert told["cause"]["reason"] == "no_grant"
    assert entry(tenant, told)["time"] == told["withdrawnAt"]
    tenant.scim.patch(f"/Entitlements/{orders}", {"op": "add", "path": "groups", "value": [{"value": group}]})
    assert receipt(tenant, key)["state"] == "active"
    tenant.scim.delete(f"/Groups/{group}")
    again = receipt(tenant, key)
    assert again["cause"]["txn"] not in (None, told["cause"]["txn"])
    assert entry(tenant, again)["time"] == again["withdrawnAt"]


def test_an_access_that_ended_by_itself_has_no_entry(tenant: Tenant, user: str, key: Key) -> None:
    end = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": {f"{CONSUMER}:accessEndsAt": end}})
    tenant.let_pass(2 * HOUR)
    told = receipt(tenant, key)
    assert (told["state"], told["cause"]["reason"], told["ledger"]) == ("dormant", "access_ended", None)
    assert told["withdrawnAt"] is not None


def test_what_was_away_for_too_long(tenant: Tenant, user: str, key: Key) -> None:
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    tenant.let_pass(2 * DAY)
    told = receipt(tenant, key)
    assert (told["state"], told["cause"]["reason"]) == ("revoked", "right_lapsed")
    assert told["secrets"][0]["endedAt"] == told["withdrawnAt"]
    tenant.scim.patch(f"/Users/{user}", ACTIVE)
    assert receipt(tenant, key)["state"] == "revoked"


def test_of_a_leaver_as_a_whole(tenant: Tenant, user: str, key: Key) -> None:
    tenant.entitlement("invoices")
    second = rotate(tenant, key, 3600)
    issued = tenant.operator.post("/keys", {"consumer": user, "entitlements": ["orders"]}).get_json()["id"]
    tenant.scim.delete(f"/Users/{user}")
    told = tenant.operator.get(f"/consumers/{user}/receipt").get_json()
    assert told["consumer"]["deletedAt"] is not None
    assert [each["key"] for each in told["keys"]] == [key.id, issued]
    assert {each["state"] for each in told["keys"]} == {"revoked"}
    assert len({each["cause"]["txn"] for each in told["keys"]}) == 1
    assert [len(each["secrets"]) for each in told["keys"]] == [2, 0]
    assert [tenant.verify(each) for each in (key, second)] == ["key_revoked"] * 2
    assert tenant.operator.get("/consumers/nobody/receipt").status_code == 404
    assert tenant.operator.get("/keys/key_no/receipt").status_code == 404


def test_another_tenant_sees_nothing(
    tenant: Tenant, found: Callable[..., Tenant], user: str, key: Key
) -> None:
    other = found()
    assert other.operator.get(f"/keys/{key.id}/receipt").status_code == 404
    assert other.operator.get(f"/consumers/{user}/receipt").status_code == 404


@pytest.mark.parametrize("how", ["deactivated", "revoked"])
def test_it_agrees_with_what_a_load_saw(tenant: Tenant, user: str, key: Key, how: str) -> None:
    second = rotate(tenant, key, 3600)
    withdrawn, answered = threading.Event(), threading.Event()
    warm = threading.Barrier(5)
    allowed_starts: list[int] = []
    first_denied_end: list[int] = []
    late: list[str] = []

    def call(secret: str) -> None:
        client = tenant.flask.test_client()
        headers = {GATE_HEADER: tenant.gate.headers[GATE_HEADER], "Authorization": f"Bearer {secret}"}
        denied = False
        warm.wait()
        while True:
            over, started = answered.is_set(), time.time_ns() // 1000
            allowed = client.get("/gate/verify", headers=headers).status_code == 200
            ended = time.time_ns() // 1000
            if allowed:
                allowed_starts.append(started)
                if over or denied:
                    late.append(secret)
            elif not denied:
                denied = True
                first_denied_end.append(ended)
            if over:
                return

    threads = [threading.Thread(target=call, args=[each.secret]) for each in (key, second) * 2]
    for each in threads:
        each.start()
    warm.wait()
    while len(allowed_starts) < 20:
        withdrawn.wait(0.001)
    if how == "deactivated":
        assert tenant.scim.patch(f"/Users/{user}", INACTIVE).status_code == 200
    else:
        assert tenant.operator.post(f"/keys/{key.id}/revoke").status_code == 200
    answered.set()
    for each in threads:
        each.join()
    told = receipt(tenant, key)
    at = datetime.fromisoformat(told["withdrawnAt"])
    moment = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert late == []
    assert moment <= min(first_denied_end)
    assert {each["id"] for each in told["secrets"]} == {parse(each.secret).id for each in (key, second)}
    assert [tenant.verify(each) for each in (key, second)] == (
        ["consumer_inactive"] * 2 if how == "deactivated" else ["key_revoked"] * 2
    )
