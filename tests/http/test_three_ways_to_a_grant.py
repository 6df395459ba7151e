"""Three ways to a grant and no fourth; and what a value that names nothing does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.http.conftest import Tenant

AUTOMATIC = {"issuance": "automatic"}


def held(tenant: Tenant) -> set[str]:
    return {
        entitlement["display"] for key in tenant.keys(state="issued") for entitlement in key["entitlements"]
    }


def test_a_value_a_role_and_a_group_nested_or_not(tenant: Tenant) -> None:
    inner, outer = tenant.group("inner"), tenant.group("outer")
    tenant.entitlement("by-value", keyPolicy=AUTOMATIC)
    tenant.entitlement("by-role", keyPolicy=AUTOMATIC, roles=[{"value": "Buyer"}])
    tenant.entitlement("by-group", keyPolicy=AUTOMATIC, groups=(inner,))
    tenant.entitlement("by-nested-group", keyPolicy=AUTOMATIC, groups=(outer,))
    ada = tenant.user("ada", entitlements=[{"value": "by-value"}], roles=[{"value": "Buyer"}])
    assert held(tenant) == {"by-value", "by-role"}
    add = {"op": "add", "path": "members", "value": [{"value": ada}]}
    assert tenant.scim.patch(f"/Groups/{inner}", add).status_code == 200
    assert held(tenant) == {"by-value", "by-role", "by-group"}
    nest = {"op": "add", "path": "members", "value": [{"value": inner}]}
    assert tenant.scim.patch(f"/Groups/{outer}", nest).status_code == 200
    assert held(tenant) == {"by-value", "by-role", "by-group", "by-nested-group"}
    groups = {(each["display"], each["type"]) for each in tenant.read(f"/Users/{ada}")["groups"]}
    assert groups == {("inner", "direct"), ("outer", "indirect")}


@pytest.mark.parametrize(
    "attributes",
    [
        {"entitlements": [{"value": "Buyer"}]},
        {"roles": [{"value": "orders"}]},
        {"entitlements": [{"value": "ORDERS"}]},
        {"entitlements": [{"value": "other", "display": "orders", "type": "orders"}]},
        {"userType": "orders", "title": "Buyer"},
    ],
)
def test_nothing_else_grants(tenant: Tenant, attributes: dict[str, object]) -> None:
    tenant.entitlement("orders", keyPolicy=AUTOMATIC, roles=[{"value": "Buyer"}])
    tenant.user("ada", **attributes)
    assert tenant.keys() == []


def test_an_entitlement_that_is_not_supported_is_listed_and_grants_nothing(tenant: Tenant) -> None:
    made = tenant.entitlement("orders", keyPolicy=AUTOMATIC, supported=False)
    tenant.user("ada", entitlements=[{"value": "orders"}])
    assert tenant.keys() == []
    supported = {"op": "replace", "path": "supported", "value": True}
    assert tenant.scim.patch(f"/Entitlements/{made}", supported).status_code == 200
    assert held(tenant) == {"orders"}


def test_a_value_that_names_nothing_is_kept_reported_and_waits(tenant: Tenant) -> None:
    sent = [{"value": "orders", "display": "Orders", "type": "License", "primary": True}]
    ada = tenant.user("ada", entitlements=sent)
    assert tenant.read(f"/Users/{ada}")["entitlements"] == sent
    assert "value.unmatched" in {
        each["type"] for each in tenant.operator.get("/events").get_json()["Resources"]
    }
    (unmatched,) = tenant.operator.get("/unmatched-values").get_json()["Resources"]
    assert unmatched["value"] == "orders"
    assert "orders" in tenant.operator.get(f"/consumers/{ada}/explain").text
    tenant.entitlement("orders", keyPolicy=AUTOMATIC)
    assert held(tenant) == {"orders"}
    assert tenant.operator.get("/unmatched-values").get_json()["Resources"] == []


def test_a_tenant_may_refuse_such_values(tenant: Tenant) -> None:
    from app.operator.tenants import change_settings

    tenant.entitlement("known")
    with tenant.store.writing(tenant.id, actor="test") as unit:
        change_settings(unit, unmatched_values="refuse")
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}
    refused = tenant.scim.post("/Users", {**body, "entitlements": [{"value": "unknown"}]})
    assert (refused.status_code, refused.get_json()["scimType"]) == (400, "invalidValue")
    assert "unknown" in refused.get_json()["detail"]
    assert tenant.read("/Users")["totalResults"] == 0
    assert tenant.scim.post("/Users", {**body, "entitlements": [{"value": "known"}]}).status_code == 201


def test_a_group_is_never_below_itself(tenant: Tenant) -> None:
    first = tenant.group("first")
    second = tenant.group("second", first)
    third = tenant.group("third", second)
    for member in (first, second, third):
        add = {"op": "add", "path": "members", "value": [{"value": member}]}
        answer = tenant.scim.patch(f"/Groups/{first}", add)
        assert (answer.status_code, answer.get_json()["scimType"]) == (400, "invalidValue")
    assert tenant.members(first) == set()


def test_an_unknown_member_is_reported_or_refused_by_dialect(found: Callable[..., Tenant]) -> None:
    for dialect, status in (("field", 200), ("rfc-strict", 400)):
        tenant = found(dialect=dialect)
        ada, group = tenant.user("ada"), tenant.group("buyers")
        add = {"op": "add", "path": "members", "value": [{"value": ada}, {"value": "nobody"}]}
        assert tenant.scim.patch(f"/Groups/{group}", add).status_code == status
        assert tenant.members(group) == ({ada} if status == 200 else set())
        events = {each["type"] for each in tenant.operator.get("/events").get_json()["Resources"]}
        assert ("member.unknown" in events) == (status == 200)


def test_versions_guard_reads_and_writes(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    path, version = f"/scim/v2/Users/{ada}", tenant.read(f"/Users/{ada}")["meta"]["version"]
    client, headers = tenant.scim.client, tenant.scim.headers
    assert client.get(path, headers={**headers, "If-None-Match": version}).status_code == 304
    assert (
        tenant.scim.patch(f"/Users/{ada}", {"op": "add", "path": "title", "value": "Countess"}).status_code
        == 200
    )
    assert client.get(path, headers={**headers, "If-None-Match": version}).status_code == 200
    assert client.delete(path, headers={**headers, "If-Match": version}).status_code == 412
    assert client.delete(path, headers={**headers, "If-Match": "*"}).status_code == 204


def test_a_large_group_answers_a_patch_with_204(found: Callable[..., Tenant]) -> None:
    for dialect, few, many in (("field", 200, 204), ("entra", 204, 204)):
        tenant = found(dialect=dialect)
        users = [tenant.user(f"user{number}") for number in range(102)]
        group = tenant.group("all", *users[:100])
        first, second = ({"op": "add", "path": "members", "value": [{"value": each}]} for each in users[100:])
        assert (
            tenant.scim.patch(
                f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{users[0]}"]'}
            ).status_code
            == few
        )
        assert tenant.scim.patch(f"/Groups/{group}", first).status_code == few
        assert tenant.scim.patch(f"/Groups/{group}", second).status_code == many
        assert len(tenant.members(group)) == 101


def test_the_chain_from_a_key_to_its_scopes_and_conditions_is_explained(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    inner = tenant.group("inner", ada)
    outer = tenant.group("outer", inner)
    conditions = {"methods": ["GET"], "paths": ["/orders/**"]}
    tenant.entitlement("orders", groups=(outer,), scopes=["orders.read"], conditions=conditions)
    key = tenant.key(ada, "orders")
    (right,) = tenant.operator.get(f"/keys/{key.id}/explain").get_json()["entitlements"]
    assert (right["scopes"], right["conditions"]) == (["orders.read"], conditions)
    (path,) = right["paths"]
    assert (path["via"], [each["value"] for each in path["groups"]]) == (outer, [inner, outer])
    tenant.scim.patch(f"/Groups/{outer}", {"op": "remove", "path": f'members[value eq "{inner}"]'})
    explained = tenant.operator.get(f"/keys/{key.id}/explain").get_json()
    assert explained["broken"]["code"] == "no_grant"
    (right,) = tenant.operator.get(f"/consumers/{ada}/explain").get_json()["grants"] or [None]
    assert right is None
