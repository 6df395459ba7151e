"""What a connection's client sends that only its dialect tolerates is counted, and the operator sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import GROUP, USER, Face, Tenant


def counted(tenant: Tenant) -> dict[str, int]:
    """Return the counts of the newest connection, as the operator sees them."""
    connections = tenant.operator.get("/connections").get_json()["Resources"]
    newest = max(connections, key=lambda each: each["createdAt"])
    listed = tenant.operator.get(f"/connections/{newest['id']}/deviations")
    assert listed.status_code == 200, listed.text
    return {each["deviation"]: each["requests"] for each in listed.get_json()["Resources"]}


@pytest.fixture
def entra(tenant: Tenant) -> Face:
    return tenant.connect("entra")


@pytest.mark.parametrize(
    ("operation", "names"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, {"boolean_as_text"}),
        ({"op": "Replace", "path": "title", "value": ""}, {"empty_string"}),
        ({"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@b.example"}, {"unmatched_filter"}),
        ({"op": "Add", "path": 'phoneNumbers[type eq "fax"]', "value": {"value": "1"}}, {"unmatched_filter"}),
        ({"op": "replace", "value": {"nickName": "Ada", "favouriteColour": "green"}}, {"unknown_attribute"}),
        ({"op": "replace", "path": "favouriteColour", "value": "green"}, {"unknown_attribute"}),
        ({"op": "Add", "path": "roles", "value": [{"value": '{"value":"25"}'}]}, {"json_as_text"}),
        ({"op": "replace", "path": "nickName", "value": "Ada"}, set()),
    ],
)
def test_each_tolerated_deviation_of_a_patch_is_counted_once_a_request(
    tenant: Tenant, entra: Face, operation: dict[str, Any], names: set[str]
) -> None:
    ada = tenant.user("ada")
    twice = [operation, operation] if "unmatched_filter" not in names else [operation]
    assert entra.patch(f"/Users/{ada}", *twice).status_code == 200
    assert counted(tenant) == dict.fromkeys(names, 1)


def test_a_filter_that_selects_something_is_no_deviation(tenant: Tenant, entra: Face) -> None:
    ada = tenant.user("ada", emails=[{"type": "work", "display": "no value yet"}])
    operation = {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@b.example"}
    assert entra.patch(f"/Users/{ada}", operation).status_code == 200
    assert counted(tenant) == {}


def test_counts_add_up_over_requests_and_kinds_of_requests(tenant: Tenant, entra: Face) -> None:
    users = [
        entra.post("/Users", {"schemas": [USER], "userName": name, "favouriteColour": "red", "password": "x"})
        for name in ("ada", "bob")
    ]
    assert {each.status_code for each in users} == {201}
    undeclared = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
    assert entra.post("/Groups", {"schemas": [GROUP, undeclared], "displayName": "g"}).status_code == 201
    assert counted(tenant) == {
        "unknown_attribute": 2,
        "password_discarded": 2,
        "undeclared_schema": 1,
    }


def test_what_was_refused_is_not_counted_as_tolerated(tenant: Tenant, entra: Face) -> None:
    ada = tenant.user("ada")
    refused = entra.patch(
        f"/Users/{ada}",
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "id", "value": "other"},
    )
    assert refused.status_code == 400
    assert counted(tenant) == {}


def test_each_connection_has_its_own_counts_and_no_other_tenant_sees_them(tenant: Tenant) -> None:
    first = tenant.connect("entra")
    ada = tenant.user("ada")
    assert (
        first.patch(f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "True"}).status_code == 200
    )
    assert counted(tenant) == {"boolean_as_text": 1}
    tenant.connect("entra")
    assert counted(tenant) == {}
    assert tenant.operator.get("/connections/con_unknown/deviations").status_code == 404


def test_a_strict_connection_tolerates_none(tenant: Tenant) -> None:
    strict = tenant.connect("rfc-strict")
    ada = tenant.user("ada")
    for operation in (
        {"op": "replace", "path": "active", "value": "False"},
        {"op": "replace", "value": {"favouriteColour": "green"}},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "a@b.example"},
    ):
        assert strict.patch(f"/Users/{ada}", operation).status_code == 400
    assert counted(tenant) == {}


def test_a_creation_shows_what_was_asked_for(tenant: Tenant) -> None:
    answer = tenant.scim.send("POST", "/Users", {"schemas": [USER], "userName": "ada"}, attributes="userName")
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(answer.get_json()["id"])
    assert answer.get_json().keys() == {"schemas", "id", "userName"}
