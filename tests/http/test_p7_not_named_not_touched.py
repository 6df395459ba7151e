"""P7: what a request does not name is not touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import Tenant


@pytest.mark.parametrize(
    "rename",
    [
        {"op": "replace", "value": {"id": "{group}", "displayName": "Renamed"}},
        {"op": "Replace", "path": "displayName", "value": "Renamed"},
        {"op": "add", "value": {"displayName": "Renamed"}},
    ],
)
def test_a_rename_keeps_the_members(tenant: Tenant, rename: dict[str, Any]) -> None:
    ada, ben = tenant.user("ada"), tenant.user("ben")
    group = tenant.group("buyers", ada, ben)
    if "id" in rename.get("value", ()):
        rename = {**rename, "value": {**rename["value"], "id": group}}
    assert tenant.scim.patch(f"/Groups/{group}", rename).status_code == 200
    assert tenant.read(f"/Groups/{group}")["displayName"] == "Renamed"
    assert tenant.members(group) == {ada, ben}


@pytest.mark.parametrize("form", ["value list", "filter", "value list with display"])
def test_a_removal_that_lists_members_removes_those_and_no_other(tenant: Tenant, form: str) -> None:
    ada, ben, cleo = tenant.user("ada"), tenant.user("ben"), tenant.user("cleo")
    group = tenant.group("buyers", ada, ben, cleo)
    removal: dict[str, Any] = {
        "value list": {"op": "Remove", "path": "members", "value": [{"value": ada}]},
        "filter": {"op": "remove", "path": f'members[value eq "{ada}"]'},
        "value list with display": {
            "op": "Remove",
            "path": "members",
            "value": [{"value": ada, "display": "another name", "$ref": None}],
        },
    }[form]
    for _ in range(2):
        assert tenant.scim.patch(f"/Groups/{group}", removal).status_code == 200
        assert tenant.members(group) == {ben, cleo}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "name", "value": {"givenName": "Ada"}},
        {"op": "replace", "value": {"name.givenName": "Ada", "title": "Countess"}},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "ada@example.com"},
        {"op": "replace", "value": {"active": True}},
    ],
)
def test_other_attributes_of_a_user_leave_its_rights_alone(tenant: Tenant, operation: dict[str, Any]) -> None:
    kept = {
        "entitlements": [{"value": "orders", "type": "License"}, {"value": "inert"}],
        "roles": [{"value": "Buyer", "primary": True}],
        "name": {"familyName": "Lovelace"},
    }
    ada = tenant.user("ada", **kept)
    assert tenant.scim.patch(f"/Users/{ada}", operation).status_code == 200
    read = tenant.read(f"/Users/{ada}")
    assert read["entitlements"] == kept["entitlements"]
    assert read["roles"] == kept["roles"]
    assert read["name"]["familyName"] == "Lovelace"


@pytest.mark.parametrize(
    "asked", ['userName zz "a"', "userName eq", 'nothing eq "a"', 'userName eq "a" and', "()"]
)
def test_a_filter_that_is_not_understood_is_never_everyone(tenant: Tenant, asked: str) -> None:
    tenant.user("ada")
    answer = tenant.scim.get("/Users", filter=asked)
    assert answer.status_code == 400
    assert answer.get_json()["scimType"] == "invalidFilter"
