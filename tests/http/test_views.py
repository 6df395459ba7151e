"""Views: what a catalogue shows is searched in SQL, found by any id, and written to the row that it shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from app.rights.grants import grants
from tests.http.conftest import ENTITLEMENT, PATCH, USER, Face, Tenant

OKTA_ENTITLEMENT = "urn:okta:scim:schemas:core:1.0:Entitlement"
OKTA_ROLE = "urn:okta:scim:schemas:core:1.0:Role"
DRAFT_ENTITLEMENT = "urn:ietf:params:scim:schemas:core:2.0:Entitlement"
ROLE = "urn:ietf:params:scim:schemas:core:2.0:Role"

ODD = (
    "orders:read",
    "a/b",
    "/leading",
    "trailing/",
    "https://graph.example.com//.default",
    "Aufträge lesen",
    "100%",
    "q?x=1#y",
    "%2F",
    "日本",
)


@pytest.fixture
def okta(tenant: Tenant) -> Face:
    return tenant.connect("okta")


def listed(face: Face, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = face.get(path, **query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.get_json()["Resources"]
    return found


def ids(face: Face, path: str, **query: Any) -> list[str]:
    return [each["id"] for each in listed(face, path, **query)]


def located(face: Face, resource: dict[str, Any]) -> dict[str, Any]:
    """Read a resource where it says that it is."""
    answer = face.get(urlsplit(resource["meta"]["location"]).path.removeprefix("/scim/v2"))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_an_entitlement_is_in_all_three_catalogues(tenant: Tenant, okta: Face) -> None:
    made = tenant.entitlement("orders:read", display="Read orders", description="All of them", type="api")
    own = tenant.read(f"/Entitlements/{made}")
    (shown,) = listed(okta, "/Entitlements")
    assert shown == {
        "schemas": [OKTA_ENTITLEMENT],
        "id": "orders:read",
        "displayName": "Read orders",
        "type": "Entitlement",
        "description": "All of them",
        "meta": {
            **own["meta"],
            "resourceType": "Entitlement",
            "location": "http://localhost/scim/v2/Entitlements/orders:read",
        },
    }
    (draft,) = listed(tenant.connect("ietf"), "/Entitlements")
    assert {key: draft[key] for key in ("id", "value", "display", "type")} == {
        "id": made,
        "value": "orders:read",
        "display": "Read orders",
        "type": "api",
    }
    # At the root each is found once, as what it is.
    assert [each["id"] for each in listed(tenant.scim, "/", filter='value eq "orders:read"')] == [made]


@pytest.mark.parametrize("value", ODD)
def test_a_value_of_any_characters_is_an_id(tenant: Tenant, okta: Face, value: str) -> None:
    tenant.entitlement(value)
    tenant.entitlement("other")
    (shown,) = listed(okta, "/Entitlements", filter=f'id eq "{value}"')
    assert (shown["id"], shown["displayName"]) == (value, value)
    assert located(okta, shown) == shown
    where = f"/Entitlements/{quote(value, safe='')}"
    assert okta.get(where).get_json() == shown
    patched = okta.patch(where, {"op": "replace", "path": "displayName", "value": "New"})
    assert patched.get_json()["displayName"] == "New"
    assert okta.delete(where).status_code == 204
    assert okta.get(where).status_code == 404
    assert ids(okta, "/Entitlements") == ["other"]


def test_what_is_no_id_is_not_found(tenant: Tenant, okta: Face) -> None:
    tenant.entitlement("Orders")
    for unknown in ("orders", "%00", "Orders/more", ".search", "*"):
        assert okta.get(f"/Entitlements/{unknown}").status_code == 404, unknown
    assert okta.get("/Entitlements/Orders/").status_code == 200
    assert tenant.scim.get("/Users/a/b").status_code == 404
    assert okta.send("POST", "/Entitlements/Orders", {}).status_code == 405
    found = okta.post("/Entitlements/.search", {"filter": 'id eq "Orders"'})
    assert found.get_json()["totalResults"] == 1


def test_a_view_is_filtered_sorted_and_paged_as_it_is_shown(tenant: Tenant, okta: Face) -> None:
    tenant.entitlement("b-value", display="Äpfel")
    tenant.entitlement("ÄRGER")
    tenant.entitlement("a-value", display="Zebra", description="long " * 300)
    tenant.entitlement("c-value", display="", description="short", externalId="X-1")
    for scim_filter, expected in (
        ('displayName eq "äpfel"', ["b-value"]),
        ('displayName eq "ärger"', ["ÄRGER"]),
        ('displayName co "VALUE"', ["c-value"]),
        ('type eq "entitlement"', ["b-value", "ÄRGER", "a-value", "c-value"]),
        ('type ne "Entitlement"', []),
        ('id sw "a-"', ["a-value"]),
        ('id eq "A-VALUE"', []),
        ("description pr", ["a-value", "c-value"]),
        ('not (description co "SHORT")', ["b-value", "ÄRGER", "a-value"]),
        ('externalId eq "X-1"', ["c-value"]),
        (f'schemas eq "{OKTA_ENTITLEMENT}"', ["b-value", "ÄRGER", "a-value", "c-value"]),
        (f'schemas eq "{ENTITLEMENT}"', []),
        ('meta.resourceType eq "Entitlement" and id eq "a-value"', ["a-value"]),
        (f'{OKTA_ENTITLEMENT}:displayName eq "zebra"', ["a-value"]),
    ):
        assert ids(okta, "/Entitlements", filter=scim_filter) == expected, scim_filter
    assert ids(okta, "/Entitlements", sortBy="displayName") == ["c-value", "a-value", "b-value", "ÄRGER"]
    down = ids(okta, "/Entitlements", sortBy="id", sortOrder="descending")
    assert down == ["ÄRGER", "c-value", "b-value", "a-value"]
    page = okta.get("/Entitlements", count=1, startIndex=1).get_json()
    assert (page["itemsPerPage"], page["startIndex"], page["totalResults"]) == (1, 1, 4)
    assert [
        one for index in range(1, 5) for one in ids(okta, "/Entitlements", count=1, startIndex=index)
    ] == [
        "b-value",
        "ÄRGER",
        "a-value",
        "c-value",
    ]
    (long,) = listed(okta, "/Entitlements", filter='id eq "a-value"')
    assert long["description"] == ("long " * 300)[:1000]
    assert "type" not in listed(okta, "/Entitlements", attributes="displayName")[0]


def pages(face: Face, path: str, **query: Any) -> list[str]:
    found: list[str] = []
    cursor = ""
    while cursor is not None:
        page = face.get(path, cursor=cursor, count=2, **query).get_json()
        found += [each["id"] for each in page["Resources"]]
        cursor = page.get("nextCursor")
    return found


def test_a_view_is_paged_by_cursor(tenant: Tenant, okta: Face) -> None:
    for number in range(5):
        tenant.entitlement(f"e{number}", display=f"name {9 - number}", roles=[{"value": f"r{number}"}])
    assert pages(okta, "/Entitlements") == ["e0", "e1", "e2", "e3", "e4"]
    assert pages(okta, "/Entitlements", sortBy="displayName") == ["e4", "e3", "e2", "e1", "e0"]
    assert pages(okta, "/Roles", sortBy="displayName") == ["r0", "r1", "r2", "r3", "r4"]
    assert pages(okta, "/Roles", filter='id gt "r1"') == ["r2", "r3", "r4"]


def test_a_row_from_before_the_view_is_found_too(tenant: Tenant, okta: Face) -> None:
    """What nothing was prepared for is compared as it is stored."""
    import sqlalchemy as sa

    from app.store.tables import resource

    made = tenant.entitlement("orders", display="Read Orders")
    ((form,),) = tenant.sql(sa.select(resource.c.comparable).where(resource.c.id == made))
    older = {name: value for name, value in form.items() if not name.startswith("view:")}
    assert older != form
    tenant.sql(sa.update(resource).where(resource.c.id == made).values(comparable=older))
    assert ids(okta, "/Entitlements", filter='displayName eq "read orders"') == ["orders"]


def test_what_is_written_through_a_view_is_the_entitlement(tenant: Tenant, okta: Face) -> None:
    made = tenant.entitlement("orders", audience="shop", scopes=["read"], roles=[{"value": "buyer"}])
    before = tenant.read(f"/Entitlements/{made}")
    (shown,) = listed(okta, "/Entitlements")
    # Said again as it is shown: nothing changes, and the value does not become a display.
    again = okta.put("/Entitlements/orders", shown)
    assert again.get_json() == shown
    assert tenant.read(f"/Entitlements/{made}") == before
    changed = okta.put("/Entitlements/orders", {**shown, "displayName": "Orders", "description": "d"})
    assert changed.status_code == 200, changed.text
    after = tenant.read(f"/Entitlements/{made}")
    assert (after.pop("display"), after.pop("description")) == ("Orders", "d")
    assert {**after, "meta": None} == {**before, "meta": None}
    assert changed.headers["ETag"] == after["meta"]["version"] != before["meta"]["version"]
    stale = okta.client.patch(
        "/scim/v2/Entitlements/orders",
        json={"schemas": [PATCH], "Operations": [{"op": "remove", "path": "description"}]},
        headers={**okta.headers, "If-Match": before["meta"]["version"]},
    )
    assert stale.status_code == 412
    assert okta.patch("/Entitlements/orders", {"op": "remove", "path": "description"}).status_code == 200
    assert "description" not in tenant.read(f"/Entitlements/{made}")
    assert okta.patch("/Entitlements/orders", {"op": "remove", "path": "displayName"}).status_code == 400
    too_long = {"op": "add", "path": "description", "value": "x" * 1001}
    assert okta.patch("/Entitlements/orders", too_long).status_code == 400


def test_what_is_made_through_a_view_is_an_entitlement(tenant: Tenant, okta: Face) -> None:
    body = {"schemas": [OKTA_ENTITLEMENT], "displayName": "New", "id": "mine", "type": "ignored"}
    made = okta.post("/Entitlements", body)
    assert made.status_code == 201, made.text
    shown = made.get_json()
    assert (shown["displayName"], shown["type"]) == ("New", "Entitlement")
    assert shown["id"] != "mine"
    assert made.headers["Location"] == shown["meta"]["location"]
    assert located(okta, shown) == shown
    (own,) = listed(tenant.scim, "/Entitlements")
    assert (own["value"], own["display"]) == (shown["id"], "New")
    draft = {"schemas": [DRAFT_ENTITLEMENT], "value": "exact", "display": "Exact"}
    assert tenant.connect("ietf").post("/Entitlements", draft).status_code == 201
    assert tenant.connect("ietf").post("/Entitlements", draft).status_code == 409
    assert set(ids(okta, "/Entitlements")) == {shown["id"], "exact"}


def test_a_discovered_entitlement_is_assigned_and_taken_by_put(tenant: Tenant, okta: Face) -> None:
    tenant.entitlement("orders:read", display="Read")
    tenant.entitlement("orders:write")
    tenant.entitlement("by-role", roles=[{"value": "25"}])
    tenant.entitlement("unsupported", supported=False)
    ada = tenant.user("ada")
    access, roles = listed(okta, "/Entitlements"), listed(okta, "/Roles")
    assert [each["id"] for each in access] == ["orders:read", "orders:write", "by-role", "unsupported"]
    assert [each["id"] for each in roles] == ["25"]

    def held(**attributes: Any) -> set[str]:
        body = {"schemas": [USER], "userName": "ada", "active": True, **attributes}
        answer = tenant.scim.put(f"/Users/{ada}", body)
        assert answer.status_code == 200, answer.text
        with tenant.store.reading(tenant.id) as unit:
            named = {each["id"]: each["value"] for each in listed(tenant.scim, "/Entitlements")}
            return {named[grant.entitlement_id] for grant in grants(unit)}

    def assigned(*wanted: str, typed: bool = True) -> list[dict[str, Any]]:
        return [
            {"value": each["id"], "display": each["displayName"], **({"type": each["type"]} if typed else {})}
            for each in access
            if each["id"] in wanted
        ]

    assert held(entitlements=assigned("orders:read")) == {"orders:read"}
    assert held(entitlements=assigned("orders:read", "orders:write", typed=False)) == {
        "orders:read",
        "orders:write",
    }
    assert held(entitlements=assigned("unsupported")) == set()
    assert held(roles=[{"value": roles[0]["id"], "display": roles[0]["displayName"]}]) == {"by-role"}
    assert held(entitlements=[]) == set()
    assert held(entitlements=assigned("orders:read")) == {"orders:read"}
    assert held() == set()


def test_roles_are_those_stored_and_those_mapped_from(tenant: Tenant, okta: Face) -> None:
    tenant.scim.post("/Roles", {"schemas": [ROLE], "value": "admin", "display": "Admins"})
    first = tenant.entitlement("a", roles=[{"value": "buyer/eu"}, {"value": "admin"}])
    tenant.entitlement("b", roles=[{"value": "buyer/eu"}])
    assert ids(okta, "/Roles") == ["admin", "buyer/eu"]
    assert [each["value"] for each in listed(tenant.scim, "/Roles")] == ["admin"]
    (buyer,) = listed(okta, "/Roles", filter='displayName eq "BUYER/EU"')
    assert buyer["displayName"] == "buyer/eu"
    assert located(okta, buyer) == buyer
    # Nobody can take away a role that entitlements are mapped from; what is said of it is stored.
    where = "/Roles/buyer%2Feu"
    assert okta.delete(where).status_code == 409
    patched = okta.patch(where, {"op": "replace", "path": "displayName", "value": "Buyers"})
    assert patched.status_code == 200, patched.text
    assert patched.headers["ETag"] != buyer["meta"]["version"]
    assert sorted(each["value"] for each in listed(tenant.scim, "/Roles")) == ["admin", "buyer/eu"]
    assert sorted(ids(okta, "/Roles")) == ["admin", "buyer/eu"]
    tenant.scim.patch(f"/Entitlements/{first}", {"op": "remove", "path": "roles"})
    assert okta.delete("/Roles/admin").status_code == 204
    assert ids(okta, "/Roles") == ["buyer/eu"]


def test_assignments_are_counted_when_asked_for(tenant: Tenant) -> None:
    ada, bob, eve = (
        tenant.user("ada", entitlements=[{"value": "api"}], roles=[{"value": "buyer"}]),
        tenant.user("bob"),
        tenant.user("eve", active=False, entitlements=[{"value": "api"}]),
    )
    inner = tenant.group("inner", bob, ada, eve)
    outer = tenant.group("outer", inner)
    tenant.user("zoe", roles=[{"value": "buyer"}])
    seats = {"limitedAssignmentsPermitted": True, "totalAssignmentsPermitted": 1}
    tenant.entitlement("api", groups=(outer,), roles=[{"value": "buyer"}], **seats)
    tenant.entitlement("nobody")
    tenant.entitlement("off", groups=(outer,), supported=False)
    draft, path = tenant.connect("ietf"), "/Entitlements"
    for idp in (tenant.scim, draft):
        asked = listed(idp, path, attributes="value,totalAssignmentsUsed")
        assert {each["value"]: each["totalAssignmentsUsed"] for each in asked} == {
            "api": 3,
            "nobody": 0,
            "off": 0,
        }
        (shown, *_) = listed(idp, path)
        assert (shown["limitedAssignmentsPermitted"], shown["totalAssignmentsPermitted"]) == (True, 1)
        assert "totalAssignmentsUsed" not in shown
        assert idp.get(path, filter="totalAssignmentsUsed gt 1").status_code == 400
        assert idp.get(path, sortBy="totalAssignmentsUsed").status_code == 400
    with tenant.store.reading(tenant.id) as unit:
        assert len({grant.consumer_id for grant in grants(unit)}) == 3
    tenant.scim.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    (asked, *_) = listed(tenant.connect("ietf"), "/Entitlements", attributes="totalAssignmentsUsed")
    assert asked["totalAssignmentsUsed"] == 2


def test_a_tenant_sees_no_other_ones_catalogue(found: Callable[..., Tenant]) -> None:
    one, other = found(dialect="okta"), found(dialect="okta")
    for tenant, role, display in ((one, "my-role", "Mine"), (other, "their-role", "Theirs")):
        own = tenant.connect("field")
        body = {"schemas": [ENTITLEMENT], "value": "shared", "display": display, "roles": [{"value": role}]}
        assert own.post("/Entitlements", body).status_code == 201
    assert [each["displayName"] for each in listed(one.scim, "/Entitlements")] == ["Mine"]
    assert ids(one.scim, "/Roles") == ["my-role"]
    assert one.scim.get("/Roles/their-role").status_code == 404
    assert one.scim.delete("/Entitlements/shared").status_code == 204
    assert one.scim.get("/Entitlements/shared").status_code == 404
    assert [each["displayName"] for each in listed(other.scim, "/Entitlements")] == ["Theirs"]


def test_what_drafts_add_is_announced_but_not_to_the_letter(tenant: Tenant) -> None:
    for dialect, announced in (("field", True), ("okta", True), ("entra", True), ("rfc-strict", False)):
        config = tenant.connect(dialect).get("/ServiceProviderConfig").get_json()
        assert ("RolesAndEntitlements" in config) is announced, dialect
        assert "securityEvents" in config


def test_at_the_root_a_connection_finds_what_it_is_served(tenant: Tenant, okta: Face) -> None:
    made = tenant.entitlement("orders", display="Orders", roles=[{"value": "buyer"}])
    ada = tenant.user("ada", displayName="Ada")
    found = {each["id"]: each["meta"]["resourceType"] for each in listed(okta, "/")}
    assert found == {"orders": "Entitlement", "buyer": "Role", ada: "User"}
    assert sorted(pages(okta, "/")) == sorted(found)
    assert pages(okta, "/", sortBy="displayName") == [ada, "buyer", "orders"]
    assert ids(okta, "/", filter='id eq "orders"') == ["orders"]
    assert ids(okta, "/", filter='displayName eq "ORDERS"') == ["orders"]
    assert ids(okta, "/", filter='meta.resourceType eq "Role"') == ["buyer"]
    page = okta.get("/", count=1, startIndex=2).get_json()
    assert (page["totalResults"], page["itemsPerPage"]) == (3, 1)
    assert {each["id"] for each in listed(tenant.scim, "/")} == {made, ada}
