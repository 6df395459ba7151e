"""What bad input gets: the right status, a SCIM error that says what is wrong, and nothing half-written."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.store import tables
from tests.http.conftest import BULK, ENTITLEMENT, GROUP, PATCH, USER, Tenant

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
ADA = '{"schemas":["%s"],"userName":"ada"%s}'
JSON = "application/scim+json"


def user(more: str = "") -> bytes:
    return (ADA % (USER, more)).encode()


CREATIONS: dict[str, tuple[bytes, str | None, int, str | None]] = {
    "malformed JSON": (b'{"schemas":', JSON, 400, "invalidSyntax"),
    "nothing": (b"", JSON, 400, "invalidSyntax"),
    "no object": (b"[1,2]", JSON, 400, "invalidSyntax"),
    "a number": (b"7", JSON, 400, "invalidSyntax"),
    "another media type": (user(), "text/xml", 415, None),
    "a form": (b"userName=ada", "application/x-www-form-urlencoded", 415, None),
    "bad UTF-8": (b'{"userName":"\xff\xfe"}', JSON, 400, "invalidSyntax"),
    "a lone surrogate": (user(',"title":"\\ud800"'), JSON, 400, None),
    "a NUL": (user(',"title":"a\\u0000b"'), JSON, 400, None),
    "NaN": (user(',"x":NaN'), JSON, 400, "invalidSyntax"),
    "a huge number": (user(',"x":' + "9" * 5000), JSON, 400, None),
    "a name twice": (user(',"active":true,"active":false'), JSON, 400, "invalidSyntax"),
    "a name twice in other letters": (user(',"active":true,"Active":false'), JSON, 400, "invalidSyntax"),
    "deep nesting": (b"[" * 100_000, JSON, 400, "invalidSyntax"),
    "deep nesting inside": (user(',"x":' + '{"a":' * 500 + "1" + "}" * 500), JSON, 400, "invalidSyntax"),
    "no userName": (b'{"schemas":["%s"]}' % USER.encode(), JSON, 400, "invalidValue"),
    "a blank userName": (b'{"schemas":["%s"],"userName":"  "}' % USER.encode(), JSON, 400, "invalidValue"),
    "another type": (user(',"emails":"ada@example.com"'), JSON, 400, "invalidValue"),
    "a boolean that is none": (user(',"active":"perhaps"'), JSON, 400, "invalidValue"),
    "two primaries": (
        user(',"emails":[{"value":"a@x","primary":true},{"value":"b@x","primary":true}]'),
        JSON,
        400,
        "invalidValue",
    ),
    "a date that is none": (
        user(',"urn:keysteward:scim:schemas:extension:1.0:Consumer":{"accessEndsAt":"soon"}'),
        JSON,
        400,
        "invalidValue",
    ),
}


def rows(tenant: Tenant) -> dict[str, int]:
    """Count what the tenant has in every table, but for what counts requests."""
    counted = {}
    for table in tables.metadata.sorted_tables:
        if "tenant_id" in table.c and table is not tables.connection_deviation:
            (row,) = tenant.sql(
                sa.select(sa.func.count()).select_from(table).where(table.c.tenant_id == tenant.id)
            )
            counted[table.name] = row[0]
    return counted


def is_scim_error(answer: Any, status: int, scim_type: str | None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/scim+json"
    error = answer.get_json()
    assert error["schemas"] == [ERROR]
    assert error["status"] == str(status)
    assert error["detail"]
    assert "Traceback" not in answer.text
    assert "pydantic" not in answer.text
    if scim_type is not None:
        assert error["scimType"] == scim_type


@pytest.mark.parametrize("name", CREATIONS)
def test_a_creation_that_cannot_be(tenant: Tenant, name: str) -> None:
    body, content_type, status, scim_type = CREATIONS[name]
    before = rows(tenant)
    answer = tenant.scim.client.post(
        "/scim/v2/Users", data=body, content_type=content_type, headers=tenant.scim.headers
    )
    is_scim_error(answer, status, scim_type)
    assert rows(tenant) == before


def test_a_body_over_the_limit(tenant: Tenant) -> None:
    body = user(',"title":"' + "x" * 5_000_000 + '"')
    answer = tenant.scim.client.post(
        "/scim/v2/Users", data=body, content_type=JSON, headers=tenant.scim.headers
    )
    is_scim_error(answer, 413, None)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Users/nobody", 404),
        ("GET", "/Users/%00", 404),
        ("GET", "/Users/%ff%fe", 404),
        ("GET", "/Users/" + "x" * 5000, 404),
        ("GET", "/Users/a/b/c", 404),
        ("PUT", "/Users", 405),
        ("DELETE", "/Schemas", 405),
        ("POST", "/Users/nobody", 405),
        ("GET", "/Schemas?filter=id%20pr", 403),
        ("GET", "/Users?filter=userName%20zz%20%22a%22", 400),
        ("GET", "/Users?filter=nothing%20eq%20%22a%22", 400),
        ("GET", "/Users?filter=userName%20eq", 400),
        ("GET", "/Users?filter=" + "(" * 200 + "userName%20pr" + ")" * 200, 200),
        ("GET", "/Users?filter=" + "not(" * 100 + "userName%20pr" + ")" * 100, 400),
        ("GET", "/Users?filter=" + "%20or%20".join(["title%20eq%20%22a%22"] * 300), 400),
        ("GET", "/Users?filter=userName%20eq%20%22a%5Cu0000b%22", 200),
        ("GET", "/Users?filter=userName%20eq%20%22%5Cud800%22", 200),
        ("GET", "/Users?sortBy=nothing", 400),
        ("GET", "/Users?count=many", 400),
        ("GET", "/Users?startIndex=99999999999999999999999", 200),
        ("GET", "/Users?cursor=abc", 400),
        ("GET", "/Me", 501),
        ("DELETE", "/Users/nobody", 404),
    ],
)
def test_a_path_or_query_that_cannot_be(tenant: Tenant, method: str, path: str, status: int) -> None:
    answer = tenant.scim.client.open(f"/scim/v2{path}", method=method, headers=tenant.scim.headers)
    if status == 200:
        assert answer.status_code in (200, 400), answer.text
    else:
        is_scim_error(answer, status, "invalidFilter" if "filter=" in path and status == 400 else None)


@pytest.mark.parametrize(
    ("operations", "scim_type"),
    [
        ([], None),
        ([{"op": "toggle", "path": "active"}], None),
        ([{"op": "remove"}], "noTarget"),
        ([{"op": "replace", "path": "nothing", "value": 1}], None),
        ([{"op": "replace", "path": "emails[", "value": 1}], "invalidFilter"),
        ([{"op": "replace", "path": "id", "value": "x"}], "mutability"),
        ([{"op": "replace", "path": "userName", "value": ""}], None),
        ([{"op": "remove", "path": "userName"}], None),
        (
            [
                {"op": "replace", "path": "active", "value": False},
                {"op": "replace", "path": "name.givenName", "value": {"a": 1}},
            ],
            "invalidValue",
        ),
    ],
)
def test_a_patch_that_cannot_be_changes_nothing(
    tenant: Tenant, operations: list[dict[str, Any]], scim_type: str | None
) -> None:
    made = tenant.user("ada")
    before, counted = tenant.read(f"/Users/{made}"), rows(tenant)
    answer = tenant.scim.patch(f"/Users/{made}", *operations)
    if scim_type is None and answer.status_code == 200:
        # A path that the dialect ignores, because it names nothing.
        assert operations[0].get("path") == "nothing"
    else:
        is_scim_error(answer, 400, scim_type)
    assert tenant.read(f"/Users/{made}") == before
    assert rows(tenant) == counted


def test_a_bulk_request_keeps_what_can_be_and_says_what_cannot(tenant: Tenant) -> None:
    answer = tenant.scim.post(
        "/Bulk",
        {
            "schemas": [BULK],
            "Operations": [
                {
                    "method": "POST",
                    "path": "/Users",
                    "bulkId": "a",
                    "data": {"schemas": [USER], "userName": "a"},
                },
                {
                    "method": "POST",
                    "path": "/Users",
                    "bulkId": "b",
                    "data": {"schemas": [USER], "userName": "A"},
                },
                {"method": "PATCH", "path": "/Users/nobody", "data": {"schemas": [PATCH], "Operations": []}},
                {"method": "POST", "path": "/Nothing", "bulkId": "c", "data": {}},
                {
                    "method": "POST",
                    "path": "/Groups",
                    "bulkId": "g",
                    "data": {"schemas": [GROUP], "displayName": "G", "members": [{"value": "bulkId:a"}]},
                },
            ],
        },
    )
    assert answer.status_code == 200
    assert [each["status"] for each in answer.get_json()["Operations"]] == ["201", "409", "400", "404", "201"]
    assert tenant.read("/Users")["totalResults"] == 1
    (group,) = tenant.read("/Groups")["Resources"]
    (member,) = tenant.read("/Users")["Resources"]
    assert tenant.members(group["id"]) == {member["id"]}


def test_in_a_bulk_request_a_condition_of_an_unknown_name_is_refused_alone(tenant: Tenant) -> None:
    right = tenant.entitlement("orders", conditions={"methods": ["GET"]})
    before = tenant.read(f"/Entitlements/{right}")
    misspelt = {"network": ["10.0.0.0/8"]}
    made = {"schemas": [ENTITLEMENT], "value": "new", "conditions": misspelt}
    change = {"op": "replace", "path": "conditions", "value": misspelt}
    data = {"schemas": [PATCH], "Operations": [change]}
    operations = [
        {"method": "POST", "path": "/Entitlements", "bulkId": "a", "data": made},
        {"method": "PATCH", "path": f"/Entitlements/{right}", "data": data},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"schemas": [USER], "userName": "bo"}},
    ]
    answer = tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": operations})
    assert answer.status_code == 200, answer.text
    outcomes = answer.get_json()["Operations"]
    assert [each["status"] for each in outcomes] == ["400", "400", "201"]
    for each in outcomes[:2]:
        assert each["response"]["scimType"] == "invalidValue"
        assert "network is no condition" in each["response"]["detail"]
    assert tenant.read("/Entitlements")["totalResults"] == 1
    assert tenant.read(f"/Entitlements/{right}") == before


def test_without_a_credential(client: FlaskClient, tenant: Tenant) -> None:
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}):
        answer = client.get("/scim/v2/Users", headers=headers)
        is_scim_error(answer, 401, None)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    wrong_scope = client.get("/scim/v2/Users", headers=tenant.operator.headers)
    is_scim_error(wrong_scope, 403, None)
    assert client.get("/scim/v2/ServiceProviderConfig").status_code == 200
