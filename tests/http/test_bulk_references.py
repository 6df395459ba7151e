"""Creations of one bulk request that refer to each other are made together, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import BULK, GROUP, PATCH, USER, Tenant

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def group(bulk_id: str, *members: str) -> dict[str, Any]:
    listed = [{"value": f"bulkId:{each}", "type": "Group"} for each in members]
    data = {"schemas": [GROUP], "displayName": bulk_id, "members": listed}
    return {"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data}


def person(bulk_id: str, manager: str, **attributes: Any) -> dict[str, Any]:
    data = {
        "schemas": [USER, ENTERPRISE],
        "userName": bulk_id,
        ENTERPRISE: {"manager": {"value": f"bulkId:{manager}"}, "department": "Sales"},
        **attributes,
    }
    return {"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": data}


def sent(tenant: Tenant, *operations: dict[str, Any], **message: Any) -> list[dict[str, Any]]:
    answer = tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": list(operations), **message})
    assert answer.status_code == 200, answer.text
    outcomes: list[dict[str, Any]] = answer.get_json()["Operations"]
    return outcomes


def ids(outcomes: list[dict[str, Any]]) -> list[str]:
    assert [each["status"] for each in outcomes] == ["201"] * len(outcomes), outcomes
    return [each["location"].rpartition("/")[2] for each in outcomes]


def test_users_who_are_each_other_s_managers(tenant: Tenant) -> None:
    outcomes = sent(
        tenant, person("ada", "bo"), person("bo", "cleo"), person("cleo", "ada"), person("eve", "eve")
    )
    ada, bo, cleo, eve = ids(outcomes)
    for place, (identity, manager) in enumerate(((ada, bo), (bo, cleo), (cleo, ada), (eve, eve))):
        user = tenant.read(f"/Users/{identity}")
        assert (user[ENTERPRISE]["manager"]["value"], user[ENTERPRISE]["department"]) == (manager, "Sales")
        assert user["meta"]["version"] == outcomes[place]["version"]


def test_what_is_changed_in_the_same_request_stays_changed(tenant: Tenant) -> None:
    rename = {"op": "replace", "path": "displayName", "value": "renamed"}
    data = {"schemas": [PATCH], "Operations": [rename]}
    first, last = (
        {"method": "PATCH", "path": f"/Users/bulkId:{each}", "data": data} for each in ("ada", "bo")
    )
    outcomes = sent(tenant, first, person("ada", "bo"), person("bo", "ada"), last)
    assert [each["status"] for each in outcomes] == ["200", "201", "201", "200"]
    ada, bo = (each["location"].rpartition("/")[2] for each in outcomes[1:3])
    for identity, manager in ((ada, bo), (bo, ada)):
        user = tenant.read(f"/Users/{identity}")
        assert (user["displayName"], user[ENTERPRISE]["manager"]["value"]) == ("renamed", manager)


def test_groups_cannot_be_in_each_other_and_none_of_them_is_made(tenant: Tenant) -> None:
    others = group("above", "a"), group("apart")
    outcomes = sent(tenant, others[0], group("a", "b"), group("b", "c"), group("c", "a"), others[1])
    assert [each["status"] for each in outcomes] == ["409", "409", "409", "409", "201"]
    assert "contains this group already" in outcomes[1]["response"]["detail"]
    assert [each["displayName"] for each in tenant.read("/Groups")["Resources"]] == ["apart"]


@pytest.mark.parametrize("fail_on_errors", [None, 1])
def test_what_cannot_be_completed_is_not_made(tenant: Tenant, fail_on_errors: int | None) -> None:
    tenant.user("taken")
    ada = person("ada", "bo")
    bo = person("bo", "ada", userName="taken")
    for order in ((ada, bo), (bo, ada)):
        message = {} if fail_on_errors is None else {"failOnErrors": fail_on_errors}
        outcomes = sent(tenant, *order, **message)
        assert {each["status"] for each in outcomes} == {"409"}, outcomes
        assert [each["userName"] for each in tenant.read("/Users")["Resources"]] == ["taken"]


def test_of_several_that_wait_all_are_made_or_taken_back(tenant: Tenant) -> None:
    # Both b and c wait for a, and the first that cannot be completed takes the other with it.
    outcomes = sent(tenant, group("a", "b"), group("b", "c", "a"), group("c", "a"))
    assert [each["status"] for each in outcomes] == ["409"] * 3, outcomes
    assert tenant.read("/Groups")["totalResults"] == 0


def test_what_waits_when_the_request_is_stopped_is_taken_back(tenant: Tenant) -> None:
    tenant.user("taken")
    circle = person("ada", "bo"), person("bo", "cleo", userName="taken"), person("cleo", "ada")
    outcomes = sent(tenant, *circle, failOnErrors=1)
    assert {each["status"] for each in outcomes} == {"409"}, outcomes
    assert [each["userName"] for each in tenant.read("/Users")["Resources"]] == ["taken"]
