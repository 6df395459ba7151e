"""A service user's keys are dormant while its sponsor is away, unless the tenant keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.operator.tenants import change_settings
from tests.http.conftest import CONSUMER, DAY, HOUR, PATCH, Key, Tenant
from tests.http.test_brake import OFF, ON

NOBODY = "0" * 32


def service(tenant: Tenant, sponsor: str, **attributes: Any) -> tuple[str, Key]:
    """Return a service user with a sponsor, and a key that it holds."""
    user = tenant.user(
        "robot",
        userType="Service",
        entitlements=[{"value": "orders"}],
        **{CONSUMER: {"sponsor": {"value": sponsor, "display": "Ada"}}},
        **attributes,
    )
    return user, tenant.key(user, "orders")


@pytest.fixture
def ada(tenant: Tenant) -> str:
    tenant.entitlement("orders")
    return tenant.user("ada")


def policy(tenant: Tenant, wanted: str) -> None:
    with tenant.store.writing(tenant.id, actor="test") as unit:
        change_settings(unit, sponsor_policy=wanted)


def sponsored(tenant: Tenant, user: str, sponsor: str) -> Any:
    operation = {"op": "replace", "path": f"{CONSUMER}:sponsor", "value": {"value": sponsor}}
    return tenant.scim.patch(f"/Users/{user}", operation)


def events(tenant: Tenant, key: Key) -> list[str]:
    listed = tenant.operator.get("/events", subject=f"key/{key.id}").get_json()["Resources"]
    return [each["type"] for each in listed]


def test_the_keys_follow_the_sponsor(tenant: Tenant, ada: str) -> None:
    user, key = service(tenant, ada)
    assert tenant.verify(key) == "allow"
    tenant.scim.patch(f"/Users/{ada}", OFF)
    assert tenant.verify(key) == "sponsor_absent"
    told = tenant.operator.get(f"/keys/{key.id}/explain").get_json()
    assert told["broken"]["code"] == "sponsor_absent"
    assert "'ada', the sponsor of the user 'robot', has been inactive since" in told["summary"]
    receipt = tenant.operator.get(f"/keys/{key.id}/receipt").get_json()
    assert receipt["cause"]["reason"] == "sponsor_absent"
    tenant.let_pass(DAY - HOUR)
    tenant.scim.patch(f"/Users/{ada}", ON)
    assert tenant.verify(key) == "allow"
    assert events(tenant, key)[2:] == ["key.dormant", "key.restored"]
    assert tenant.read(f"/Users/{user}")[CONSUMER]["sponsor"]["value"] == ada


@pytest.mark.parametrize("window", [DAY, 0])
def test_a_sponsor_who_is_away_too_long_kills_the_keys(found: Callable[..., Tenant], window: int) -> None:
    tenant = found(recovery_window=window)
    tenant.entitlement("orders")
    ada = tenant.user("ada")
    _, key = service(tenant, ada)
    tenant.scim.patch(f"/Users/{ada}", OFF)
    tenant.let_pass(window)
    assert tenant.verify(key) == ("right_lapsed" if window else "key_revoked")
    tenant.scim.patch(f"/Users/{ada}", ON)
    assert tenant.verify(key) == "key_revoked"


def test_a_deleted_sponsor_who_is_made_again_revives_nothing(tenant: Tenant, ada: str) -> None:
    user, key = service(tenant, ada)
    assert tenant.scim.delete(f"/Users/{ada}").status_code == 204
    assert tenant.verify(key) == "sponsor_absent"
    assert "was deleted" in tenant.operator.get(f"/keys/{key.id}/explain").get_json()["summary"]
    again = tenant.user("ada")
    assert tenant.verify(key) == "sponsor_absent"
    # The identity provider names the new one within the recovery window.
    assert sponsored(tenant, user, again).status_code == 200
    assert tenant.verify(key) == "allow"


def test_another_sponsor_takes_over_without_a_gap(found: Callable[..., Tenant]) -> None:
    tenant = found(recovery_window=0)
    tenant.entitlement("orders")
    user, key = service(tenant, tenant.user("ada"))
    assert sponsored(tenant, user, tenant.user("bo")).status_code == 200
    assert tenant.verify(key) == "allow"


def test_the_tenant_may_keep_the_keys_of_service_users(tenant: Tenant, ada: str) -> None:
    _, key = service(tenant, ada)
    policy(tenant, "keep")
    tenant.scim.patch(f"/Users/{ada}", OFF)
    tenant.let_pass(30 * DAY)
    assert tenant.verify(key) == "allow"
    # From now on it is another matter: the recovery window begins with the setting.
    policy(tenant, "suspend")
    assert tenant.verify(key) == "sponsor_absent"
    tenant.let_pass(HOUR)
    policy(tenant, "keep")
    assert tenant.verify(key) == "allow"
    policy(tenant, "suspend")
    tenant.let_pass(DAY)
    policy(tenant, "keep")
    assert tenant.verify(key) in ("right_lapsed", "key_revoked")


def test_a_sponsor_whom_nobody_is_fails_closed_without_failing_the_push(tenant: Tenant, ada: str) -> None:
    user, key = service(tenant, ada)
    assert sponsored(tenant, user, NOBODY).status_code == 200
    assert tenant.verify(key) == "sponsor_absent"
    assert "no user has the id" in tenant.operator.get(f"/keys/{key.id}/explain").get_json()["summary"]
    told = tenant.operator.get("/events", subject=f"User/{user}").get_json()["Resources"]
    assert [each["data"] for each in told if each["type"] == "sponsor.unknown"] == [{"id": NOBODY}]
    strict = tenant.connect("rfc-strict")
    operation = {"op": "replace", "path": f"{CONSUMER}:sponsor.value", "value": "1" * 32}
    refused = strict.patch(f"/Users/{user}", operation)
    assert (refused.status_code, refused.get_json()["scimType"]) == (400, "invalidValue")
    # What was named before may be said again.
    said = {"op": "replace", "path": "active", "value": True}
    assert strict.patch(f"/Users/{user}", said).status_code == 200


def test_neither_itself_nor_a_service_user_is_a_sponsor(tenant: Tenant, ada: str) -> None:
    user, key = service(tenant, ada)
    other = tenant.user("other", userType="service")
    for wrong in (user, other):
        refused = sponsored(tenant, user, wrong)
        assert (refused.status_code, refused.get_json()["scimType"]) == (400, "invalidValue")
    assert tenant.verify(key) == "allow"


def test_only_service_users_need_a_sponsor(tenant: Tenant, ada: str) -> None:
    user, key = service(tenant, ada)
    assert sponsored(tenant, user, NOBODY).status_code == 200
    person = {"op": "replace", "path": "userType", "value": "Employee"}
    assert tenant.scim.patch(f"/Users/{user}", person).status_code == 200
    assert tenant.verify(key) == "allow"
    assert tenant.scim.patch(f"/Users/{user}", {**person, "value": "service"}).status_code == 200
    assert tenant.verify(key) == "sponsor_absent"
    without = {"op": "remove", "path": f"{CONSUMER}:sponsor"}
    assert tenant.scim.patch(f"/Users/{user}", without).status_code == 200
    assert tenant.verify(key) == "allow"


def test_a_plan_and_the_count_of_holders_know_of_sponsors(tenant: Tenant, ada: str) -> None:
    _, key = service(tenant, ada)
    counted = tenant.scim.get("/Entitlements", attributes="totalAssignmentsUsed").get_json()["Resources"]
    assert counted[0]["totalAssignmentsUsed"] == 1
    request = {"method": "PATCH", "path": f"/Users/{ada}", "body": {"schemas": [PATCH], "Operations": [OFF]}}
    planned = tenant.operator.post("/plan", {"requests": [request]}).get_json()
    assert [(each["id"], each["after"]) for each in planned["keys"]] == [(key.id, "dormant")]
    assert planned["totals"]["grantsLost"] == 1
    tenant.scim.patch(f"/Users/{ada}", OFF)
    counted = tenant.scim.get("/Entitlements", attributes="totalAssignmentsUsed").get_json()["Resources"]
    assert counted[0]["totalAssignmentsUsed"] == 0


def test_a_key_that_is_due_is_issued_when_the_sponsor_comes(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada", active=False)
    tenant.user(
        "robot",
        userType="Service",
        entitlements=[{"value": "orders"}],
        **{CONSUMER: {"sponsor": {"value": ada}}},
    )
    assert tenant.keys() == []
    tenant.scim.patch(f"/Users/{ada}", ON)
    (issued,) = tenant.keys()
    assert issued["state"] == "issued"


@pytest.mark.parametrize("window", [DAY, 0])
def test_a_brake_holds_who_leaves_and_whom_they_answer_for_alike(
    found: Callable[..., Tenant], window: int
) -> None:
    tenant = found(recovery_window=window)
    assert tenant.operator.post("/connections/idp/brake", {"percent": 1, "minimum": 2}).status_code == 200
    tenant.entitlement("orders")
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    keys = [tenant.key(ada, "orders"), service(tenant, ada)[1]]
    assert tenant.scim.patch(f"/Users/{ada}", OFF).status_code == 200
    (brake,) = tenant.operator.get("/brakes").get_json()["Resources"]
    assert brake["consumers"] == 2
    assert [tenant.verify(each) for each in keys] == ["consumer_inactive", "sponsor_absent"]
    tenant.let_pass(2 * DAY)
    assert tenant.scim.patch(f"/Users/{ada}", ON).status_code == 200
    assert [tenant.verify(each) for each in keys] == ["allow", "allow"]
