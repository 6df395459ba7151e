"""`plan` says what requests would do to grants and keys, and nothing of it is done."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.store import tables
from tests.http.conftest import ENTITLEMENT, PATCH, USER, Key, Tenant
from tests.http.crowd import crowd

AUTOMATIC = {"keyPolicy": {"issuance": "automatic"}}


def snapshot(tenant: Tenant) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of every table, but for the last use of the credential that asks."""
    kept = {}
    for table in tables.metadata.sorted_tables:
        columns = [each for each in table.c if each.name != "last_used_at"]
        kept[table.name] = sorted(map(tuple, tenant.sql(sa.select(*columns))), key=repr)
    return kept


def plan(tenant: Tenant, **asked: Any) -> dict[str, Any]:
    before = snapshot(tenant)
    answer = tenant.operator.post("/plan", asked)
    assert answer.status_code == 200, answer.text
    assert snapshot(tenant) == before
    made: dict[str, Any] = answer.get_json()
    return made


def request(method: str, path: str, body: Any = None) -> dict[str, Any]:
    return {"method": method, "path": path, **({} if body is None else {"body": body})}


def patch(path: str, *operations: dict[str, Any]) -> dict[str, Any]:
    return request("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})


def deactivation(user: str) -> dict[str, Any]:
    return patch(f"/Users/{user}", {"op": "replace", "value": {"active": False}})


@pytest.fixture
def ada(tenant: Tenant) -> str:
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, ada: str) -> Key:
    tenant.entitlement("orders")
    return tenant.key(ada, "orders")


def test_a_deactivation_is_planned_and_not_done(tenant: Tenant, ada: str, key: Key) -> None:
    made = plan(tenant, requests=[deactivation(ada)])
    assert made["totals"] == {
        "requestsRefused": 0,
        "consumers": 1,
        "grantsGained": 0,
        "grantsLost": 1,
        "keys": {"dormant": 1},
        "events": {"key.dormant": 1, "user.updated": 1},
    }
    assert made["requests"][0]["status"] == 200
    (lost,), (moved,) = made["grantsLost"], made["keys"]
    assert lost["consumer"] == {"value": ada, "userName": "ada"}
    assert lost["entitlement"]["display"] == "orders"
    assert lost["reasons"] == [{"reason": "direct", "via": "orders", "display": "orders"}]
    assert (moved["id"], moved["before"], moved["after"]) == (key.id, "active", "dormant")
    assert [each["display"] for each in moved["rightsLost"]] == ["orders"]
    assert [(each["request"], each["type"]) for each in made["events"]] == [
        (1, "user.updated"),
        (1, "key.dormant"),
    ]
    assert tenant.verify(key) == "allow"


def test_requests_are_planned_one_after_the_other_each_at_a_moment_of_its_own(
    tenant: Tenant, ada: str, key: Key
) -> None:
    back = patch(f"/Users/{ada}", {"op": "replace", "value": {"active": True}})
    made = plan(tenant, requests=[deactivation(ada), back])
    assert made["totals"]["keys"] == {}
    assert made["totals"]["events"] == {"key.dormant": 1, "key.restored": 1, "user.updated": 2}
    tenant.sql(sa.update(tables.tenant).where(tables.tenant.c.id == tenant.id).values(recovery_window=0))
    made = plan(tenant, requests=[deactivation(ada), back])
    assert [(each["change"], each["reason"]) for each in made["keys"]] == [("revoked", "right_lapsed")]


def test_a_joiner_is_planned_with_the_key_that_would_be_issued(tenant: Tenant) -> None:
    entitlement = tenant.entitlement("orders", **AUTOMATIC)
    joiner = {"schemas": [USER], "userName": "bo", "entitlements": [{"value": "orders"}]}
    made = plan(tenant, requests=[request("POST", "/scim/v2/Users", joiner)])
    assert made["requests"][0]["status"] == 201
    (gained,), (issued,) = made["grantsGained"], made["keys"]
    # What the plan itself makes has no id that would be its own.
    assert gained["consumer"] == {"value": None, "userName": "bo"}
    assert (issued["id"], issued["change"], issued["after"]) == (None, "issued", "issued")
    assert issued["entitlements"] == [{"value": entitlement, "display": "orders"}]
    assert tenant.keys() == []


def test_a_refused_request_is_planned_as_refused_and_does_nothing(tenant: Tenant, ada: str, key: Key) -> None:
    taken = request("POST", "/Users", {"schemas": [USER], "userName": "ada"})
    unknown = request("DELETE", "/Users/nobody")
    nowhere = request("PUT", "/Nowhere/1", {})
    wrong = patch(f"/Users/{ada}", {"op": "remove", "path": 'entitlements[nothing eq "x"]'})
    nul = patch(f"/Users/{ada}", {"op": "replace", "path": "title", "value": "a\0b"})
    made = plan(tenant, requests=[taken, unknown, nowhere, wrong, nul])
    told = [(each["status"], each["scimType"]) for each in made["requests"]]
    sent = [
        tenant.scim.send(each["method"], each["path"], each.get("body"))
        for each in (taken, unknown, nowhere, wrong, nul)
    ]
    assert told == [(each.status_code, each.get_json().get("scimType")) for each in sent]
    assert told[0] == (409, "uniqueness")
    assert [each["detail"] for each in made["requests"]] == [each.get_json()["detail"] for each in sent]
    assert made["totals"]["requestsRefused"] == 5
    assert made["totals"]["events"] == {}


def test_bulk_is_planned_operation_by_operation(tenant: Tenant, ada: str, key: Key) -> None:
    operations = [
        {"method": "DELETE", "path": f"/Users/{ada}"},
        {"method": "DELETE", "path": "/Users/nobody"},
    ]
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}
    made = plan(tenant, requests=[request("POST", "/Bulk", body)])
    assert [each["status"] for each in made["requests"][0]["operations"]] == [204, 404]
    assert [(each["change"], each["reason"]) for each in made["keys"]] == [("revoked", "consumer_deleted")]


def test_what_if_this_group_went(tenant: Tenant) -> None:
    ada, bo = tenant.user("ada"), tenant.user("bo", roles=[{"value": "Buyer"}])
    inner = tenant.group("inner", ada, bo)
    outer = tenant.group("outer", inner)
    tenant.entitlement("orders", groups=(outer,), roles=[{"value": "Buyer"}])
    tenant.entitlement("invoices", groups=(inner,))
    keys = [tenant.key(each, "orders", "invoices") for each in (ada, bo)]
    for without in (outer, "outer"):
        made = plan(tenant, without={"group": without})
        # The role still carries it for bo.
        (lost,) = made["grantsLost"]
        assert (lost["consumer"]["userName"], lost["entitlement"]["display"]) == ("ada", "orders")
        assert lost["reasons"] == [{"reason": "group", "via": outer, "display": "outer"}]
        (narrowed,) = made["keys"]
        assert (narrowed["id"], narrowed["change"], narrowed["after"]) == (keys[0].id, "narrowed", "active")
        assert [each["display"] for each in narrowed["rightsLost"]] == ["orders"]
    assert tenant.scim.delete(f"/Groups/{outer}").status_code == 204
    assert [tenant.verify(each, scope="") for each in keys] == ["allow", "allow"]
    assert plan(tenant, without={"group": inner})["totals"]["keys"] == {"dormant": 1, "narrowed": 1}


def test_what_if_a_user_or_an_entitlement_went(tenant: Tenant, ada: str, key: Key) -> None:
    for without, reason in (
        ({"user": "ada"}, "consumer_deleted"),
        ({"entitlement": "orders"}, "entitlement_deleted"),
    ):
        made = plan(tenant, without=without)
        assert [(each["change"], each["reason"]) for each in made["keys"]] == [("revoked", reason)]
        (lost,) = made["grantsLost"]
        assert lost["entitlement"]["display"] == "orders"


def test_a_dialect_says_what_it_would_put_right(tenant: Tenant, ada: str, key: Key) -> None:
    as_entra = patch(f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "False"})
    tolerated = plan(tenant, requests=[as_entra], dialect="entra")["requests"][0]
    assert tolerated["status"] == 200
    assert tolerated["tolerated"]
    assert plan(tenant, requests=[as_entra], dialect="rfc-strict")["requests"][0]["status"] == 400
    refused = tenant.operator.post("/plan", {"requests": [as_entra], "dialect": "klingon"})
    assert (refused.status_code, refused.get_json()["type"]) == (
        400,
        "urn:keysteward:problem:request-invalid",
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"requests": []},
        {"requests": [{"method": "GET", "path": "/Users"}]},
        {"requests": [{"method": "DELETE", "path": "Users/1"}]},
        {"requests": [{"method": "DELETE", "path": "/Users/1", "tenant": "other"}]},
        {"requests": ["DELETE /Users/1"]},
        {"without": {}},
        {"without": {"tenant": "other"}},
        {"without": {"group": "nothing"}},
        {"without": {"user": "nobody"}},
        {"requests": [{"method": "DELETE", "path": "/Users/1"}], "without": {"user": "ada"}},
        {"requests": [{"method": "DELETE", "path": "/Users/1"}], "shown": 1001},
    ],
)
def test_what_is_no_plan_is_refused(tenant: Tenant, asked: dict[str, Any]) -> None:
    before = snapshot(tenant)
    answer = tenant.operator.post("/plan", asked)
    assert answer.status_code in (400, 404), answer.text
    assert answer.mimetype == "application/problem+json"
    assert snapshot(tenant) == before


def test_only_an_operator_plans(tenant: Tenant) -> None:
    asked = {"without": {"group": "x"}}
    for face in (tenant.scim, tenant.gate):
        token = next(iter(face.headers.values()))
        answer = face.client.post("/operator/v1/plan", json=asked, headers={"Authorization": token})
        assert answer.status_code == 403
    assert tenant.operator.client.post("/operator/v1/plan", json=asked).status_code == 401


def test_a_plan_sees_and_changes_its_own_tenant_only(found: Any) -> None:
    one, other = found(), found()
    stranger = other.user("stranger", entitlements=[{"value": "orders"}])
    assert plan(one, requests=[request("DELETE", f"/Users/{stranger}")])["requests"][0]["status"] == 404
    refused = one.operator.post("/plan", {"without": {"user": "stranger"}})
    assert refused.status_code == 404


def test_of_a_big_change_the_totals_count_all_and_what_is_left_for_later_is_planned_too(
    tenant: Tenant,
) -> None:
    group = tenant.group("everyone")
    entitlement = tenant.entitlement("orders", groups=(group,))
    crowd(tenant, group, entitlement, 450)
    body = {"schemas": [ENTITLEMENT], "value": "invoices", "groups": [{"value": group}], **AUTOMATIC}
    made = plan(
        tenant,
        requests=[request("POST", "/Entitlements", body), request("DELETE", f"/Groups/{group}")],
        shown=3,
    )
    assert len(made["grantsLost"]) == len(made["keys"]) == len(made["events"]) == 3
    # The keys that the first request issues are dormant after the second.
    assert made["totals"]["keys"] == {"issued": 450, "dormant": 450}
    assert made["totals"]["consumers"] == made["totals"]["grantsLost"] == 450
    assert made["totals"]["events"] == {
        "entitlement.created": 1,
        "group.deleted": 1,
        "key.issued": 450,
        "key.dormant": 900,
        "follow_up.finished": 2,
    }
