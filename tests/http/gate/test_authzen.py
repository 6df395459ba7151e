"""AuthZEN over real keys and users: what the directory says decides, and nothing that the request claims."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.access.credentials import Credential
from app.gate.recorder import SpoolRecorder, Verification
from app.gate.verification import Gate
from app.store import tables
from tests.http.conftest import CONSUMER, HOUR, USER, Key, Tenant

DOCUMENT = Path(__file__).parents[3] / "docs" / "authzen.md"
API = "https://api.example"


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement(
        "orders",
        audience=API,
        scopes=["orders.read"],
        conditions={"methods": ["GET"], "paths": ["/orders/*", "/health"]},
    )
    tenant.entitlement("bills", audience="https://bills.example", scopes=["bills.read", "bills.pay"])
    held = [{"value": "orders"}, {"value": "bills"}]
    return tenant.key(tenant.user("ada", entitlements=held), "orders")


def post(tenant: Tenant, path: str, body: Any) -> TestResponse:
    headers = {"Authorization": tenant.gate.headers["X-Gate-Authorization"]}
    return tenant.gate.client.post(f"/access/v1/{path}", json=body, headers=headers)


def evaluate(tenant: Tenant, subject: Any, action: Any, resource: Any, **context: Any) -> str:
    """Return ``permit``, or the reason of the denial."""
    body = {"subject": subject, "action": action, "resource": resource, "context": context}
    answer = post(tenant, "evaluation", body)
    assert answer.status_code == 200, answer.text
    told = answer.get_json()
    return "permit" if told["decision"] else str(told["context"]["reason"])


def search(tenant: Tenant, looked_for: str, **body: Any) -> list[Any]:
    answer = post(tenant, f"search/{looked_for}", body)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.get_json()["results"]
    return found


def api_key(key: Key) -> dict[str, Any]:
    return {"type": "api_key", "id": key.id}


def get(scope: str = "orders.read", method: str = "GET") -> dict[str, Any]:
    return {"name": scope, "properties": {"method": method}}


ADA = {"type": "user", "id": "ada"}
ROUTE = {"type": "route", "id": "/orders/7"}


def test_a_key_may_what_the_gate_lets_it(tenant: Tenant, key: Key) -> None:
    for action, resource, expected in (
        (get(), ROUTE, "permit"),
        ({"name": "GET"}, ROUTE, "permit"),
        ({"name": "DELETE"}, ROUTE, "method_not_allowed"),
        ({"name": "GET", "properties": {"method": "DELETE"}}, ROUTE, "method_not_allowed"),
        (get(method="DELETE"), ROUTE, "method_not_allowed"),
        ({"name": "orders.read"}, ROUTE, "method_not_allowed"),
        (get("orders.write"), ROUTE, "scope_missing"),
        (get(), {"type": "route", "id": "/orders/../admin"}, "path_not_allowed"),
        (get(), {**ROUTE, "properties": {"audience": API}}, "permit"),
        (get(), {**ROUTE, "properties": {"audience": "https://other.example"}}, "audience_mismatch"),
        (get(), {"type": "audience", "id": API}, "path_not_allowed"),
        (get(), {"type": "audience", "id": "https://other.example"}, "audience_mismatch"),
        (get(), {"type": "order", "id": "7"}, "audience_mismatch"),
        (get("bills.read"), {"type": "audience", "id": "https://bills.example"}, "audience_mismatch"),
    ):
        assert evaluate(tenant, api_key(key), action, resource) == expected, (action, resource)


def test_a_user_may_what_is_granted(tenant: Tenant, key: Key) -> None:
    bills = {"type": "audience", "id": "https://bills.example"}
    user = tenant.keys()[0]["consumer"]["value"]
    for subject in (ADA, {"type": "user", "id": user}, {"type": "user", "id": "ADA"}):
        assert evaluate(tenant, subject, get(), ROUTE) == "permit"
        assert evaluate(tenant, subject, {"name": "bills.pay"}, bills) == "permit"
    tenant.user(user)
    confused = evaluate(tenant, {"type": "user", "id": user}, get(), ROUTE)
    assert confused == "subject_unknown", "the userName of one is the id of another"


def test_what_the_request_claims_of_a_subject_changes_nothing(tenant: Tenant, key: Key) -> None:
    claims = {
        "active": True,
        "scopes": ["orders.write"],
        "roles": ["admin"],
        "revoked": False,
        "owner": "root",
    }
    for subject in ({**api_key(key), "properties": claims}, {**ADA, "properties": claims}):
        assert (
            evaluate(tenant, subject, get("orders.write"), ROUTE, scopes=["orders.write"]) == "scope_missing"
        )
    tenant.operator.post(f"/keys/{key.id}/revoke")
    assert evaluate(tenant, {**api_key(key), "properties": claims}, get(), ROUTE) == "key_revoked"


def test_an_entity_is_what_it_says_itself_to_be(tenant: Tenant) -> None:
    tenant.entitlement(
        "one", audience="record", scopes=["read"], conditions={"properties": ["resource.id=record-1"]}
    )
    tenant.user("ada", entitlements=[{"value": "one"}])
    disguised = {"type": "record", "id": "record-2", "properties": {"id": "record-1"}}
    assert evaluate(tenant, ADA, {"name": "read"}, disguised) == "property_mismatch"
    assert evaluate(tenant, ADA, {"name": "read"}, {"type": "record", "id": "record-1"}) == "permit"


def test_a_condition_on_properties_denies_where_nobody_can_state_any(tenant: Tenant) -> None:
    tenant.entitlement("one", conditions={"properties": ["resource.status!=archived"]})
    key = tenant.key(tenant.user("ada", entitlements=[{"value": "one"}]), "one")
    assert tenant.verify(key) == "property_mismatch"
    assert evaluate(tenant, api_key(key), {"name": "GET"}, {"type": "route", "id": "/"}) == "permit"


def test_each_change_is_seen_at_once(tenant: Tenant, key: Key) -> None:
    user = tenant.keys()[0]["consumer"]["value"]

    def both() -> tuple[str, str]:
        return evaluate(tenant, api_key(key), get(), ROUTE), evaluate(tenant, ADA, get(), ROUTE)

    def patch(*operations: dict[str, Any]) -> None:
        assert tenant.scim.patch(f"/Users/{user}", *operations).status_code == 200

    assert both() == ("permit", "permit")
    patch({"op": "replace", "value": {"active": False}})
    assert both() == ("consumer_inactive", "consumer_inactive")
    patch({"op": "replace", "value": {"active": True}})
    patch({"op": "remove", "path": "entitlements"})
    assert both() == ("no_grant", "no_grant")
    patch({"op": "add", "path": "entitlements", "value": [{"value": "orders"}]})
    assert both() == ("permit", "permit")
    patch({"op": "add", "path": f"{CONSUMER}:accessStartsAt", "value": "2199-01-01T00:00:00Z"})
    assert both() == ("access_not_started", "access_not_started")
    patch({"op": "remove", "path": f"{CONSUMER}:accessStartsAt"})
    patch({"op": "add", "path": f"{CONSUMER}:accessEndsAt", "value": "2001-01-01T00:00:00Z"})
    assert both()[1] == "access_ended"
    assert tenant.scim.delete(f"/Users/{user}").status_code == 204
    assert both()[1] == "subject_unknown"
    by_id = evaluate(tenant, {"type": "user", "id": user}, get(), ROUTE)
    assert by_id == "consumer_deleted"


def test_a_key_that_nobody_has_claimed_permits_nothing(tenant: Tenant, key: Key) -> None:
    user = tenant.keys()[0]["consumer"]["value"]
    issued = tenant.operator.post("/keys", {"consumer": user, "entitlements": ["orders"]}).get_json()["id"]
    subject = {"type": "api_key", "id": issued}
    assert evaluate(tenant, subject, get(), ROUTE) == "key_unclaimed"
    found = search(tenant, "subject", subject={"type": "api_key"}, action=get(), resource=ROUTE)
    assert found == [api_key(key)]
    tenant.claim(issued)
    assert evaluate(tenant, subject, get(), ROUTE) == "permit"


def test_a_key_that_was_rotated_is_judged_by_its_newest_secret(tenant: Tenant, key: Key) -> None:
    assert tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 60}).status_code == 200
    tenant.let_pass(HOUR)
    assert tenant.verify(key) == "secret_rotated"
    assert evaluate(tenant, api_key(key), get(), ROUTE) == "permit"


def test_a_dead_key_asked_about_by_its_id_was_not_used(tenant: Tenant, key: Key) -> None:
    tenant.operator.post(f"/keys/{key.id}/revoke")
    assert evaluate(tenant, api_key(key), get(), ROUTE) == "key_revoked"
    tenant.flask.extensions["keysteward.afterwards"].settle()
    reused = sa.select(tables.event.c.type).where(
        tables.event.c.tenant_id == tenant.id, tables.event.c.type.like("%reus%")
    )
    assert tenant.sql(reused) == []


def test_subjects_are_searched_over_keys_and_users(tenant: Tenant, key: Key) -> None:
    team = tenant.group("team", tenant.user("bob"), tenant.user("eve", active=False))
    tenant.group("all", team)
    later = {CONSUMER: {"accessStartsAt": "2199-01-01T00:00:00Z"}}
    orders = [{"value": "orders"}]
    tenant.user("new", schemas=[USER, CONSUMER], entitlements=orders, **later)
    listed = tenant.scim.get("/Entitlements", filter='value eq "orders"').get_json()["Resources"][0]
    groups = tenant.scim.get("/Groups", filter='displayName eq "all"').get_json()["Resources"]
    mapped = {**listed, "groups": [{"value": groups[0]["id"]}]}
    assert tenant.scim.put(f"/Entitlements/{listed['id']}", mapped).status_code == 200
    found = search(tenant, "subject", subject={"type": "user"}, action=get(), resource=ROUTE)
    assert sorted(each["id"] for each in found) == ["ada", "bob"]
    by_key = search(tenant, "subject", subject={"type": "api_key"}, action=get(), resource=ROUTE)
    assert by_key == [api_key(key)]
    tenant.operator.post(f"/keys/{key.id}/revoke")
    assert search(tenant, "subject", subject={"type": "api_key"}, action=get(), resource=ROUTE) == []


def test_resources_and_actions_of_a_key(tenant: Tenant, key: Key) -> None:
    def evaluated(action: Any, resource: Any) -> str:
        return evaluate(tenant, api_key(key), action, resource)

    of_route = search(tenant, "resource", subject=api_key(key), action=get(), resource={"type": "route"})
    assert [each["id"] for each in of_route] == ["/health", "/orders/*"]
    actions = search(tenant, "action", subject=api_key(key), resource=ROUTE)
    assert actions == [{"name": "GET"}, get()]
    assert {evaluated(action, resource) for action in actions for resource in of_route} == {"permit"}
    bills = search(
        tenant, "resource", subject=ADA, action={"name": "bills.pay"}, resource={"type": "audience"}
    )
    assert bills == [{"type": "audience", "id": "https://bills.example"}]
    assert search(tenant, "action", subject=ADA, resource=bills[0]) == [
        {"name": "bills.pay"},
        {"name": "bills.read"},
    ]


def test_pages_reach_everybody_and_no_token_reaches_another_tenant(
    found: Callable[..., Tenant], tenant: Tenant
) -> None:
    tenant.entitlement("orders", scopes=["read"])
    names = {f"user-{number}" for number in range(7)}
    for name in names:
        tenant.user(name, entitlements=[{"value": "orders"}], active=name != "user-3")
    other = found()
    body = {"subject": {"type": "user"}, "action": {"name": "read"}, "resource": ROUTE}
    seen: list[str] = []
    page: dict[str, Any] = {"limit": 2}
    while True:
        answer = post(tenant, "search/subject", {**body, "page": page}).get_json()
        seen += [each["id"] for each in answer["results"]]
        if not answer["page"]["next_token"]:
            break
        page = {"limit": 2, "token": answer["page"]["next_token"]}
        assert post(other, "search/subject", {**body, "page": page}).status_code == 400
    assert len(seen) == len(set(seen))
    assert set(seen) == names - {"user-3"}


def test_tenants_never_meet(found: Callable[..., Tenant], tenant: Tenant, key: Key) -> None:
    other = found()
    user = tenant.keys()[0]["consumer"]["value"]
    for subject in (api_key(key), ADA, {"type": "user", "id": user}):
        assert evaluate(other, subject, get(), ROUTE) == "subject_unknown"
        assert search(other, "action", subject=subject, resource=ROUTE) == []
    for kind in ("user", "api_key"):
        assert search(other, "subject", subject={"type": kind}, action=get(), resource=ROUTE) == []


def test_odd_ids_are_unknown(tenant: Tenant, key: Key) -> None:
    odd_ids = ("\0", "é" * 3000, "'; --", "%", "ks_live_x", " ")
    for odd, kind in product(odd_ids, ("user", "api_key", "\0")):
        assert evaluate(tenant, {"type": kind, "id": odd}, get(), ROUTE) == "subject_unknown"


def test_a_store_that_does_not_answer_permits_nothing(
    tenant: Tenant, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_arguments: Any, **_named: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused"))

    whole = {"subject": ADA, "action": get(), "resource": ROUTE}
    monkeypatch.setattr("app.gate.authzen.face.find_subject", down)
    assert post(tenant, "evaluation", whole).status_code == 500
    assert post(tenant, "search/action", whole).status_code == 500
    many = post(tenant, "evaluations", {**whole, "evaluations": [{}, {}]})
    assert many.status_code == 200
    assert [
        (each["decision"], each["context"]["error"]["status"]) for each in many.get_json()["evaluations"]
    ] == [(False, 500)] * 2
    monkeypatch.setattr("app.access.protector.find_credential", down)
    assert post(tenant, "evaluations", {**whole, "evaluations": [{}]}).status_code == 500
    monkeypatch.undo()
    with tenant.wrote_in_the_future():
        assert post(tenant, "evaluation", whole).status_code == 500


def test_every_evaluation_is_recorded_and_no_search_is(
    tenant: Tenant, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Verification] = []
    taken: list[str] = []
    monkeypatch.setattr(SpoolRecorder, "record", lambda _self, each: recorded.append(each))

    class Counting:
        def take(self, allowed: Any, now: int) -> Any:
            taken.append(allowed.holding.key_id)
            return allowed

    asked = Gate.judge_by

    def limited(self: Gate, gateway: Credential, *arguments: Any, **named: Any) -> Any:
        with monkeypatch.context() as here:
            here.setattr(self, "_limits", Counting())
            return asked(self, gateway, *arguments, **named)

    monkeypatch.setattr(Gate, "judge_by", limited)
    whole = {"subject": api_key(key), "action": get(), "resource": ROUTE, "context": {"ip": "192.0.2.7"}}
    answer = post(tenant, "evaluation", whole).get_json()
    post(
        tenant,
        "evaluations",
        {**whole, "evaluations": [{"subject": ADA}, {"action": {"name": "DELETE"}}, {}]},
    )
    for looked_for in ("subject", "resource", "action"):
        search(tenant, looked_for, **whole)
    assert [(each.face, each.outcome.key_id is None, each.outcome.reason is None) for each in recorded] == [
        ("evaluation", False, True),
        ("evaluation", True, True),
        ("evaluation", False, False),
        ("evaluation", False, True),
    ]
    first = recorded[0]
    assert (first.id, first.outcome.key_id) == (answer["context"]["id"], key.id)
    assert (first.method, first.path, first.client) == ("GET", "/orders/7", "192.0.2.7")
    assert recorded[2].outcome.reason == "method_not_allowed"
    assert taken == [key.id, key.id], "a user has no rate, and a denial takes none"


def test_who_asks_must_be_known(tenant: Tenant, key: Key) -> None:
    body = {"subject": ADA, "action": get(), "resource": ROUTE}

    def status(headers: dict[str, str]) -> int:
        return tenant.gate.client.post("/access/v1/evaluation", json=body, headers=headers).status_code

    assert status({}) == 401
    assert status({"Authorization": f"Bearer {key.secret}"}) == 401
    assert status(tenant.operator.headers) == 403
    assert status(tenant.gate.headers) == 401, "the header for gateways is not read here"


def test_the_request_in_the_document(tenant: Tenant, key: Key) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert len(shown) == 1
    assert post(tenant, "evaluation", json.loads(shown[0])).get_json()["decision"] is True
