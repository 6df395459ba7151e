"""Consumers, unmatched values, events and connections over HTTP."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.credentials import find_credential
from app.access.errors import CredentialEnded
from app.store.tables import attribute_value, resource
from tests.http.operator.conftest import PEPPERS, Client, Directory
from tests.http.operator.test_keys import issued, problem


def test_consumers_are_found_by_user_name(directory: Directory, operator: Client) -> None:
    user_id = directory.user("Ada@Example.com")
    directory.user("bob")
    with directory.writing() as unit:
        unit.execute(
            sa.insert(resource).values(
                id=user_id, tenant_id=unit.tenant_id, type="User", document={}, comparable={}, revision=1,
                created_at=1, modified_at=1,
            )
        )  # fmt: skip
        unit.execute(
            sa.insert(attribute_value).values(
                tenant_id=unit.tenant_id,
                attribute="urn:ietf:params:scim:schemas:core:2.0:user:username",
                value="ada@example.com",
                resource_id=user_id,
                is_unique=True,
            )
        )
    for name in ("Ada@Example.com", "ADA@example.COM"):
        (found,) = operator.get("/consumers", userName=name).get_json()["Resources"]
        assert found["id"] == user_id
        assert found["active"] is True
    assert operator.get("/consumers", userName="ada").get_json()["Resources"] == []
    assert [each["userName"] for each in operator.get("/consumers", count=1).get_json()["Resources"]] == [
        "Ada@Example.com"
    ]
    assert operator.get("/consumers").get_json()["totalResults"] == 2


def test_a_consumer_is_explained(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator)
    user_id = operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    directory.change(user_id, "ada", "orders", "typo")
    explained = operator.get(f"/consumers/{user_id}/explain").get_json()
    assert explained["broken"] is None
    assert [(each["value"], each["paths"][0]["reason"]) for each in explained["grants"]] == [
        ("orders", "direct")
    ]
    assert explained["unmatchedValues"] == [{"kind": "direct", "value": "typo"}]
    assert [(each["id"], each["state"]) for each in explained["keys"]] == [(key_id, "issued")]
    problem(operator.get("/consumers/nobody/explain"), 404)


def test_unmatched_values_are_listed_with_who_carries_them(
    directory: Directory, other_directory: Directory, operator: Client
) -> None:
    directory.entitlement("orders")
    ada, bob = directory.user("ada", "typo", "orders"), directory.user("bob", "typo")
    other_directory.user("eve", "typo")
    listed = operator.get("/unmatched-values").get_json()
    assert listed["Resources"] == [
        {"kind": "direct", "value": "typo", "consumers": 2, "consumerIds": sorted([ada, bob])}
    ]
    assert operator.get("/unmatched-values", consumer=ada).get_json()["Resources"][0]["consumerIds"] == [ada]
    directory.entitlement("typo")
    assert operator.get("/unmatched-values").get_json()["totalResults"] == 0


def test_the_events_of_a_consumer_are_its_own_and_its_keys(directory: Directory, operator: Client) -> None:
    key_id = issued(directory, operator, "ada")
    user_id = operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    directory.change(user_id, "ada", "orders", "typo")
    issued(directory, operator, "bob", "invoices")
    told = operator.get("/events", consumer=user_id).get_json()
    assert [(each["type"], each["subject"]) for each in told["Resources"]] == [
        ("key.issued", f"key/{key_id}"),
        ("value.unmatched", f"User/{user_id}"),
    ]
    assert told["totalResults"] == 2


def test_events_are_read_on_from_where_one_stopped(directory: Directory, operator: Client) -> None:
    issued(directory, operator)
    for scope in ("operator", "audit"):
        client = directory.client(scope)
        whole = client.get("/events").get_json()
        read, after = [], 0
        while page := client.get("/events", after=after, limit=2).get_json()["Resources"]:
            assert len(page) <= 2
            read.extend(page)
            after = page[-1]["sequence"]
        assert read == whole["Resources"]
        assert whole["totalResults"] == len(read)
        assert whole["Resources"][0]["time"].endswith("Z")


def test_events_of_another_tenant_are_not_there(
    directory: Directory, other_directory: Directory, operator: Client
) -> None:
    key_id = issued(other_directory, other_directory.client())
    assert operator.get("/events", subject=f"key/{key_id}").get_json()["Resources"] == []
    assert not any(key_id in str(each) for each in operator.get("/events").get_json()["Resources"])


def works(directory: Directory, token: str) -> bool:
    try:
        return find_credential(directory.store, PEPPERS, token) is not None
    except CredentialEnded:
        return False


def test_a_connection_is_made_rotated_and_disabled(directory: Directory, operator: Client) -> None:
    answer = operator.post("/connections", {"name": "okta", "dialect": "okta"})
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.get_json()
    first = made["token"]
    assert works(directory, first)

    overlapping = operator.post(f"/connections/{made['id']}/tokens", {"overlapSeconds": 3600})
    assert overlapping.status_code == 201
    second = overlapping.get_json()["token"]
    assert works(directory, first)
    assert works(directory, second)

    third = operator.post(f"/connections/{made['id']}/tokens", {"overlapSeconds": 0}).get_json()["token"]
    assert [works(directory, token) for token in (first, second, third)] == [False, False, True]
    fourth = operator.post(f"/connections/{made['id']}/tokens").get_json()["token"]
    assert [works(directory, token) for token in (third, fourth)] == [True, True]

    (listed,) = operator.get("/connections").get_json()["Resources"]
    assert listed == {name: value for name, value in made.items() if name not in ("token", "expiresAt")}
    disabled = operator.post(f"/connections/{made['id']}/disable").get_json()
    assert disabled["disabledAt"]
    assert operator.post(f"/connections/{made['id']}/disable").get_json() == disabled
    assert not works(directory, fourth)
    assert problem(operator.post(f"/connections/{made['id']}/tokens"), 409)["type"].endswith(
        "connection-disabled"
    )
    told = operator.get("/events").text
    assert not any(token in told for token in (first, second, third, fourth))


def test_a_connection_needs_a_free_name_and_a_known_dialect(
    directory: Directory, other_directory: Directory, operator: Client
) -> None:
    asked = {"name": "okta", "dialect": "okta"}
    made = operator.post("/connections", asked).get_json()
    assert problem(operator.post("/connections", asked), 409)["type"] == "urn:keysteward:problem:name-taken"
    wrong = problem(operator.post("/connections", {"name": "new", "dialect": "latin"}), 400)
    assert "field, okta" in wrong["detail"]
    problem(operator.post("/connections", {"name": " ", "dialect": "okta"}), 400)
    other = other_directory.client()
    assert other.post("/connections", asked).status_code == 201
    problem(other.post(f"/connections/{made['id']}/disable"), 404)
    problem(other.post(f"/connections/{made['id']}/tokens"), 404)
    assert operator.get("/connections").get_json()["Resources"][0]["disabledAt"] is None
