"""Keys over HTTP: listing, issuing on request, claiming once, revoking, explaining."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.store.secrets import parse
from app.store.tables import key
from tests.http.operator.conftest import Client, Directory


def problem(answer: TestResponse, status: int) -> dict[str, Any]:
    """Return the members of an answer that is a problem of this status (RFC 9457 §3)."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json(force=True)
    assert body["status"] == status
    assert body["type"]
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return body


def issued(directory: Directory, client: Client, name: str = "ada", value: str = "orders") -> str:
    """Give a user an entitlement and a key; return the key's id."""
    directory.entitlement(value)
    user_id = directory.user(name, value)
    answer = client.post("/keys", {"consumer": user_id, "entitlements": [value]})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def test_a_key_is_issued_on_request_claimed_once_and_revoked(directory: Directory, operator: Client) -> None:
    entitlement_id = directory.entitlement("orders")
    user_id = directory.user("ada", "orders")
    answer = operator.post("/keys", {"consumer": user_id, "entitlements": ["orders"]})
    assert answer.status_code == 201
    made = answer.get_json()
    assert answer.headers["Location"] == f"/operator/v1/keys/{made['id']}"
    assert made == {
        "schemas": ["urn:keysteward:scim:schemas:core:1.0:Key"],
        "id": made["id"],
        "state": "issued",
        "consumer": {"value": user_id, "userName": "ada"},
        "entitlements": [{"value": entitlement_id, "display": "orders"}],
        "createdAt": made["createdAt"],
        "claimedAt": None,
        "expiresAt": None,
        "lastUsedAt": None,
        "revokedAt": None,
        "reason": None,
        "meta": {
            "resourceType": "Key",
            "created": made["createdAt"],
            "lastModified": made["createdAt"],
            "location": answer.headers["Location"],
            "version": made["meta"]["version"],
        },
    }

    claim = operator.post(f"/keys/{made['id']}/claim")
    assert claim.status_code == 200
    assert claim.headers["Cache-Control"] == "no-store"
    assert claim.get_json().keys() == {"id", "secret"}
    secret = claim.get_json()["secret"]
    assert parse(secret).text == secret
    assert operator.get(f"/keys/{made['id']}").get_json()["state"] == "active"

    again = problem(operator.post(f"/keys/{made['id']}/claim"), 409)
    assert again["type"] == "urn:keysteward:problem:key-not-claimable"

    revoked = operator.post(f"/keys/{made['id']}/revoke", {"reason": "leaked"})
    assert revoked.status_code == 200
    assert (revoked.get_json()["state"], revoked.get_json()["reason"]) == ("revoked", "leaked")
    assert operator.post(f"/keys/{made['id']}/revoke", {"reason": "other"}).get_json() == revoked.get_json()
    assert secret not in operator.get("/keys").text + operator.get("/events").text


def test_every_write_is_told_with_who_did_it(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    operator.post(f"/keys/{key_id}/claim")
    operator.post(f"/keys/{key_id}/revoke")
    told = operator.get("/events", subject=f"key/{key_id}").get_json()["Resources"]
    assert [each["type"] for each in told] == ["key.issued", "key.claimed", "key.revoked"]
    assert {each["actor"] for each in told} == {f"credential:{parse(operator.token).id}"}
    assert len({each["txn"] for each in told}) == 3
    assert told[2]["data"]["reason"] == "operator"


def test_a_key_needs_a_grant_for_each_of_its_entitlements(directory: Directory, operator: Client) -> None:
    directory.entitlement("orders")
    directory.entitlement("invoices")
    user_id = directory.user("ada", "orders", "typo")
    asked = {"consumer": user_id, "entitlements": ["orders", "invoices", "typo"]}
    refused = problem(operator.post("/keys", asked), 409)
    assert refused["type"] == "urn:keysteward:problem:grant-missing"
    assert refused["entitlements"] == ["invoices", "typo"]
    assert operator.get("/keys").get_json()["totalResults"] == 0


@pytest.mark.parametrize("change", [{"active": False}, {"ends": 1}])
def test_who_is_away_is_issued_no_key(directory: Directory, operator: Client, change: dict[str, Any]) -> None:
    directory.entitlement("orders")
    user_id = directory.user("ada", "orders", **change)
    problem(operator.post("/keys", {"consumer": user_id, "entitlements": ["orders"]}), 409)


def test_a_dormant_key_is_not_handed_out(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    user_id = operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    directory.change(user_id, "ada", "orders", active=False)
    assert operator.get(f"/keys/{key_id}").get_json()["state"] == "dormant"
    problem(operator.post(f"/keys/{key_id}/claim"), 409)
    directory.change(user_id, "ada", "orders")
    assert operator.post(f"/keys/{key_id}/claim").status_code == 200


def test_a_revoked_key_is_not_handed_out(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    operator.post(f"/keys/{key_id}/revoke")
    problem(operator.post(f"/keys/{key_id}/claim"), 409)


def test_of_many_claims_at_once_one_gets_the_secret(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    statuses: list[int] = []

    def claim() -> None:
        statuses.append(directory.client().post(f"/keys/{key_id}/claim").status_code)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [409] * 7


def test_a_key_that_outlived_its_time_is_expired(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    with directory.writing() as unit:
        unit.execute(sa.update(key).where(key.c.id == key_id).values(expires_at=unit.now))
    shown = operator.get(f"/keys/{key_id}").get_json()
    assert (shown["state"], shown["reason"]) == ("expired", "expired")
    problem(operator.post(f"/keys/{key_id}/claim"), 409)


def test_keys_are_listed_page_by_page_oldest_first(directory: Directory, operator: Client) -> None:
    directory.entitlement("orders", issuance="automatic")
    names = [f"user{number}" for number in range(5)]
    for name in names:
        directory.user(name, "orders")
    whole = operator.get("/keys").get_json()
    assert (whole["totalResults"], whole["startIndex"], whole["itemsPerPage"]) == (5, 1, 5)
    assert [each["consumer"]["userName"] for each in whole["Resources"]] == names
    paged = []
    for start in (1, 3, 5):
        page = operator.get("/keys", startIndex=start, count=2).get_json()
        assert (page["totalResults"], page["startIndex"]) == (5, start)
        paged.extend(page["Resources"])
    assert paged == whole["Resources"]
    assert operator.get("/keys", startIndex=-3, count=-1).get_json() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 5,
        "startIndex": 1,
        "itemsPerPage": 0,
        "Resources": [],
    }
    assert operator.get("/keys", startIndex=6).get_json()["Resources"] == []


def test_keys_are_filtered(directory: Directory, operator: Client) -> None:
    orders = directory.entitlement("orders", issuance="automatic")
    directory.entitlement("invoices", issuance="automatic")
    ada = directory.user("ada", "orders")
    bob = directory.user("bob", "orders", "invoices")
    directory.change(ada, "ada", "orders", active=False)

    def found(**query: Any) -> list[tuple[str, str]]:
        listed = operator.get("/keys", **query).get_json()
        assert listed["totalResults"] == len(listed["Resources"])
        return sorted(
            (each["consumer"]["userName"], each["entitlements"][0]["display"]) for each in listed["Resources"]
        )

    assert found(consumer=ada) == found(consumer="ada") == found(state="dormant") == [("ada", "orders")]
    assert found(entitlement="orders") == found(entitlement=orders) == [("ada", "orders"), ("bob", "orders")]
    assert found(consumer=bob, entitlement="invoices", state="issued") == [("bob", "invoices")]
    assert found(state="issued") == [("bob", "invoices"), ("bob", "orders")]
    assert found(state="revoked") == found(state="expired") == found(state="active") == []
    assert found(consumer="nobody") == found(entitlement="nothing") == []
    page = operator.get("/keys", state="issued", startIndex=2, count=1).get_json()
    assert (page["totalResults"], page["itemsPerPage"]) == (2, 1)


def test_a_key_says_what_it_was_for_when_that_is_gone(directory: Directory, operator: Client) -> None:
    entitlement_id = directory.entitlement("orders", issuance="automatic")
    directory.user("ada", "orders")
    directory.delete_entitlement(entitlement_id)
    (shown,) = operator.get("/keys").get_json()["Resources"]
    assert shown["entitlements"] == [{"value": entitlement_id, "display": None}]
    assert (shown["state"], shown["reason"]) == ("revoked", "entitlement_deleted")


def test_a_key_is_explained(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    operator.post(f"/keys/{key_id}/claim")
    explained = operator.get(f"/keys/{key_id}/explain").get_json()
    assert explained["summary"] == "The key works, for 'orders'."
    assert explained["broken"] is None
    assert explained["consumer"]["userName"] == "ada"
    (right,) = explained["entitlements"]
    assert (right["value"], right["held"], right["counts"]) == ("orders", True, True)
    assert right["paths"] == [{"reason": "direct", "via": "orders", "since": right["since"], "groups": []}]
    directory.change(explained["consumer"]["id"], "ada")
    broken = operator.get(f"/keys/{key_id}/explain").get_json()["broken"]
    assert broken["code"] == "no_grant"
    assert "'orders'" in broken["detail"]


def test_another_tenants_key_is_not_there(
    directory: Directory, other_directory: Directory, operator: Client
) -> None:
    key_id = issued(other_directory, other_directory.client())
    before = other_directory.client().get(f"/keys/{key_id}").get_json()
    for answer in (
        operator.get(f"/keys/{key_id}"),
        operator.get(f"/keys/{key_id}/explain"),
        operator.post(f"/keys/{key_id}/claim"),
        operator.post(f"/keys/{key_id}/revoke"),
        operator.post("/keys", {"consumer": before["consumer"]["value"], "entitlements": ["orders"]}),
        operator.get(f"/consumers/{before['consumer']['value']}/explain"),
    ):
        problem(answer, 404)
    assert operator.get("/keys").get_json()["totalResults"] == 0
    assert operator.get("/keys", consumer=before["consumer"]["value"]).get_json()["totalResults"] == 0
    assert operator.get("/events", consumer=before["consumer"]["value"]).get_json()["totalResults"] == 0
    assert other_directory.client().get(f"/keys/{key_id}").get_json() == before


def test_a_write_that_fails_leaves_nothing(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    before = operator.get("/events").get_json()
    operator.post(f"/keys/{key_id}/revoke", {"wrong": 1})
    operator.post("/keys", {"consumer": "ada", "entitlements": ["nothing"]})
    assert operator.get("/events").get_json() == before
