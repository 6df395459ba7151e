"""One store of entitlements and roles, listed as Okta, the IETF draft and Keysteward itself list them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.conftest import USER, Face, Tenant

OKTA_ENTITLEMENT = "urn:okta:scim:schemas:core:1.0:Entitlement"
OKTA_ROLE = "urn:okta:scim:schemas:core:1.0:Role"
DRAFT_ENTITLEMENT = "urn:ietf:params:scim:schemas:core:2.0:Entitlement"
DRAFT_ROLE = "urn:ietf:params:scim:schemas:core:2.0:Role"


def discovered(idp: Face, schema: str) -> dict[str, Any]:
    """Return the resource type of a schema, as a client finds it."""
    listed = idp.get("/ResourceTypes").get_json()
    assert listed["totalResults"] == len(listed["Resources"])
    (found,) = [each for each in listed["Resources"] if each["schema"] == schema]
    assert found["id"] == found["name"]
    assert None not in found.values()
    return dict(found)


@pytest.fixture
def okta(tenant: Tenant) -> Face:
    return tenant.connect("okta")


def test_okta_discovers_the_entitlements_and_writes_them_back_in_the_user(tenant: Tenant, okta: Face) -> None:
    tenant.entitlement("orders:read", display="Read orders", description="All orders")
    tenant.entitlement("pay/all €", type="License")
    served = discovered(okta, OKTA_ENTITLEMENT)
    probe = okta.get(served["endpoint"], count=1, startIndex=1).get_json()
    assert (probe["totalResults"], probe["itemsPerPage"], probe["startIndex"]) == (2, 1, 1)
    found = okta.get(served["endpoint"], count=100, startIndex=1).get_json()["Resources"]
    assert {(each["id"], each["displayName"], each["type"]) for each in found} == {
        ("orders:read", "Read orders", served["name"]),
        ("pay/all €", "pay/all €", served["name"]),
    }
    assert {each["meta"]["resourceType"] for each in found} == {served["name"]}
    ada = tenant.user("ada")
    whole = okta.get(f"/Users/{ada}").get_json()
    chosen = [{"value": each["id"], "display": each["displayName"], "type": each["type"]} for each in found]
    written = okta.put(f"/Users/{ada}", {**whole, "entitlements": chosen})
    assert written.status_code == 200, written.text
    keys = [tenant.key(ada, each["id"]) for each in found]
    assert {tenant.verify(each) for each in keys} == {"allow"}
    assert okta.put(f"/Users/{ada}", {**whole, "entitlements": chosen[:1]}).status_code == 200
    verdicts = {each["id"]: tenant.verify(key) for each, key in zip(found, keys, strict=True)}
    assert verdicts == {chosen[0]["value"]: "allow", chosen[1]["value"]: "no_grant"}
    assert okta.put(f"/Users/{ada}", whole).status_code == 200
    assert {tenant.verify(each) for each in keys} == {"no_grant"}


def test_okta_discovers_the_roles_and_they_grant(tenant: Tenant, okta: Face) -> None:
    role = {"schemas": [DRAFT_ROLE], "value": "admin", "display": "Administrators"}
    assert tenant.scim.post("/Roles", role).status_code == 201
    tenant.entitlement("pay", roles=[{"value": "admin"}])
    (found,) = okta.get(discovered(okta, OKTA_ROLE)["endpoint"]).get_json()["Resources"]
    assert (found["id"], found["displayName"]) == ("admin", "Administrators")
    body = {
        "schemas": [USER],
        "userName": "ada",
        "roles": [{"value": found["id"], "display": "Administrators"}],
    }
    made = okta.post("/Users", body)
    key = tenant.key(made.get_json()["id"], "pay")
    assert tenant.verify(key) == "allow"


def test_the_catalogue_of_okta_is_searched_sorted_and_paged(tenant: Tenant, okta: Face) -> None:
    for value, display in (("b", "Beta"), ("a", "alpha"), ("c", None)):
        tenant.entitlement(value, display=display)

    def ids(**query: Any) -> list[str]:
        answer = okta.get("/Entitlements", **query)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.get_json()["Resources"]]

    assert ids() == ["b", "a", "c"]
    assert ids(filter='displayName eq "ALPHA"') == ["a"]
    assert ids(filter='id eq "c" or displayName sw "b"') == ["b", "c"]
    assert ids(filter='type eq "Entitlement"') == ["b", "a", "c"]
    assert ids(sortBy="displayName", sortOrder="descending") == ["c", "b", "a"]
    assert ids(startIndex=2, count=1) == ["a"]
    first = okta.get("/Entitlements", count=2, cursor="").get_json()
    second = okta.get("/Entitlements", count=2, cursor=first["nextCursor"]).get_json()
    assert [each["id"] for page in (first, second) for each in page["Resources"]] == ["b", "a", "c"]
    assert "nextCursor" not in second
    assert okta.get("/Entitlements", filter='scopes eq "x"').status_code == 400


def test_what_is_written_through_the_catalogue_of_okta_is_the_one_store(tenant: Tenant, okta: Face) -> None:
    entitlement = tenant.entitlement("pay", scopes=["pay:all"], groups=(tenant.group("payers"),))
    before = tenant.read(f"/Entitlements/{entitlement}")
    patched = okta.patch("/Entitlements/pay", {"op": "replace", "path": "displayName", "value": "Pay"})
    assert patched.status_code == 200, patched.text
    after = tenant.read(f"/Entitlements/{entitlement}")
    assert after["display"] == "Pay"
    assert {name: after[name] for name in ("value", "scopes", "groups")} == {
        name: before[name] for name in ("value", "scopes", "groups")
    }
    assert patched.headers["ETag"] == after["meta"]["version"] != before["meta"]["version"]
    made = okta.post("/Entitlements", {"schemas": [OKTA_ENTITLEMENT], "displayName": "New"})
    assert made.status_code == 201, made.text
    identity = made.get_json()["id"]
    assert okta.get(f"/Entitlements/{identity}").get_json()["displayName"] == "New"
    assert tenant.scim.get("/Entitlements", filter=f'value eq "{identity}"').get_json()["totalResults"] == 1
    assert okta.delete("/Entitlements/pay").status_code == 204
    assert tenant.scim.get(f"/Entitlements/{entitlement}").status_code == 404
    assert okta.get("/Entitlements/pay").status_code == 404
    assert okta.delete("/Entitlements/pay").status_code == 404


def test_the_catalogue_of_the_draft_counts_seats_when_asked(tenant: Tenant) -> None:
    draft = tenant.connect("ietf")
    ada, bob = tenant.user("ada"), tenant.user("bob", entitlements=[{"value": "pay"}])
    group = tenant.group("payers", ada, bob)
    entitlement = tenant.entitlement("pay", display="Pay", groups=(group,), totalAssignmentsPermitted=5)
    tenant.entitlement("listed", supported=False)
    served = discovered(draft, DRAFT_ENTITLEMENT)
    found = {each["value"]: each for each in draft.get(served["endpoint"]).get_json()["Resources"]}
    assert found["pay"]["id"] == entitlement
    assert (found["pay"]["display"], found["pay"]["totalAssignmentsPermitted"]) == ("Pay", 5)
    assert found["listed"]["supported"] is False
    assert "totalAssignmentsUsed" not in found["pay"]
    for idp in (draft, tenant.scim):
        asked = idp.get("/Entitlements", attributes="value,totalAssignmentsUsed").get_json()["Resources"]
        assert {each["value"]: each["totalAssignmentsUsed"] for each in asked} == {"pay": 2, "listed": 0}
    one = draft.get(f"/Entitlements/{entitlement}", attributes="totalAssignmentsUsed").get_json()
    assert one["totalAssignmentsUsed"] == 2


@pytest.mark.parametrize("dialect", ["okta", "ietf"])
def test_no_catalogue_shows_what_is_another_tenants(tenant: Tenant, found: Any, dialect: str) -> None:
    other = found()
    other.entitlement("theirs", display="Theirs")
    idp = tenant.connect(dialect)
    assert idp.get("/Entitlements").get_json()["totalResults"] == 0
    for method in ("GET", "DELETE"):
        assert idp.send(method, "/Entitlements/theirs").status_code == 404
