"""The lifecycle of a key, as directories drive it: joiner, mover, leaver, re-hire, groups that move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.gate.decision import Allow, Call, Deny, decide
from app.gate.lookup import look_up
from app.store.secrets import parse
from tests.http.conftest import CONSUMER, DAY, HOUR, Key, Tenant

ANYTHING = Call(frozenset(), frozenset(), None, None)


def change(tenant: Tenant, path: str, *operations: dict[str, Any]) -> None:
    answer = tenant.scim.patch(path, *operations)
    assert answer.status_code == 200, answer.text


def join(tenant: Tenant, group: str, member: str) -> None:
    change(tenant, f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": member}]})


def leave(tenant: Tenant, group: str, member: str) -> None:
    change(tenant, f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{member}"]'})


def activate(tenant: Tenant, user: str, active: bool) -> None:
    change(tenant, f"/Users/{user}", {"op": "replace", "path": "active", "value": active})


def states(tenant: Tenant) -> list[str]:
    listed = tenant.keys()
    return [each["state"] for each in listed]


def verdict(tenant: Tenant, key: Key, moment: int) -> str:
    """What the gate's decision is at a moment, of what its look-up finds now."""
    found = look_up(tenant.store, tenant.peppers, tenant.id, parse(key.secret))
    assert found is not None
    match decide(found.holding, ANYTHING, moment):
        case Allow():
            return "allow"
        case Deny(reason):
            return reason.code


# -- Joiner ----------------------------------------


def test_a_joiner_claims_before_the_first_day_and_works_from_its_first_second(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    first = (datetime.now(UTC) + timedelta(days=7)).replace(microsecond=0)
    dates = {CONSUMER: {"accessStartsAt": first.isoformat()}}
    tenant.user("ada", entitlements=[{"value": "orders"}], **dates)
    (issued,) = tenant.keys()
    key = tenant.claim(issued["id"])
    assert tenant.verify(key) == "access_not_started"
    second = int(first.timestamp()) * 1_000_000
    assert verdict(tenant, key, second - 1) == "access_not_started"
    assert verdict(tenant, key, second) == "allow"
    tenant.let_pass(7 * DAY)
    assert tenant.verify(key) == "allow"


def test_a_leavers_key_ends_at_the_second_of_the_leaving_date_with_no_push(tenant: Tenant) -> None:
    tenant.entitlement("orders")
    last = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    dates = {CONSUMER: {"accessEndsAt": last.isoformat()}}
    ada = tenant.user("ada", entitlements=[{"value": "orders"}], **dates)
    key = tenant.key(ada, "orders")
    second = int(last.timestamp()) * 1_000_000
    assert verdict(tenant, key, second - 1) == "allow"
    assert verdict(tenant, key, second) == "access_ended"
    assert verdict(tenant, key, second + DAY - 1) == "access_ended"
    assert verdict(tenant, key, second + DAY) == "right_lapsed"
    tenant.let_pass(30 * DAY)
    assert tenant.verify(key) == "access_ended"
    assert states(tenant) == ["dormant"]
    tenant.let_pass(DAY)
    assert tenant.verify(key) == "right_lapsed"
    assert states(tenant) == ["revoked"]


# -- Mover ----------------------------------------


def test_a_mover_keeps_what_the_new_team_grants_too_and_loses_the_rest_at_once(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    buyers, sellers = tenant.group("buyers", ada), tenant.group("sellers")
    tenant.entitlement("orders", groups=(buyers, sellers))
    tenant.entitlement("invoices", groups=(buyers,))
    tenant.entitlement("offers", groups=(sellers,), keyPolicy={"issuance": "automatic"})
    orders, invoices = tenant.key(ada, "orders"), tenant.key(ada, "invoices")
    join(tenant, sellers, ada)
    leave(tenant, buyers, ada)
    assert tenant.verify(orders) == "allow"
    assert tenant.verify(invoices) == "no_grant"
    (offers,) = tenant.keys(state="issued")
    assert tenant.verify(tenant.claim(offers["id"])) == "allow"
    tenant.let_pass(2 * DAY)
    assert tenant.verify(orders) == "allow"
    assert tenant.verify(invoices) == "right_lapsed"


def test_a_mover_who_leaves_before_joining_keeps_the_key_within_the_window(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    buyers, sellers = tenant.group("buyers", ada), tenant.group("sellers")
    tenant.entitlement("orders", groups=(buyers, sellers))
    key = tenant.key(ada, "orders")
    leave(tenant, buyers, ada)
    assert tenant.verify(key) == "no_grant"
    tenant.let_pass(HOUR)
    join(tenant, sellers, ada)
    assert tenant.verify(key) == "allow"


# -- Leaver and re-hire ----------------------------------------


@pytest.mark.parametrize(("away", "works"), [(DAY - HOUR, True), (DAY, False)])
def test_a_leaver_who_is_hired_again(tenant: Tenant, away: int, works: bool) -> None:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.claim(tenant.keys()[0]["id"])
    activate(tenant, ada, False)
    assert (tenant.verify(key), states(tenant)) == ("consumer_inactive", ["dormant"])
    tenant.let_pass(away)
    activate(tenant, ada, True)
    if works:
        assert (tenant.verify(key), states(tenant)) == ("allow", ["active"])
        return
    # The old key stays dead; the grant is a new one, so there is a new key.
    assert tenant.verify(key) == "key_revoked"
    assert sorted(states(tenant)) == ["issued", "revoked"]
    (fresh,) = tenant.keys(state="issued")
    assert tenant.verify(tenant.claim(fresh["id"])) == "allow"
    assert tenant.verify(key) == "key_revoked"


def test_who_is_deleted_and_made_again_under_the_same_name_is_somebody_else(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"issuance": "automatic"})
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    key = tenant.claim(tenant.keys()[0]["id"])
    assert tenant.scim.delete(f"/Users/{ada}").status_code == 204
    assert tenant.verify(key) == "key_revoked"
    again = tenant.user("ada", entitlements=[{"value": "orders"}])
    (fresh,) = tenant.keys(state="issued")
    assert fresh["consumer"]["value"] == again != ada
    assert tenant.verify(tenant.claim(fresh["id"])) == "allow"
    assert tenant.verify(key) == "key_revoked"


# -- Groups and entitlements ----------------------------------------


def test_a_nested_group_that_is_reparented_takes_its_people_along(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    team = tenant.group("team", ada)
    sales, support = tenant.group("sales", team), tenant.group("support")
    tenant.entitlement("orders", groups=(sales,))
    tenant.entitlement("tickets", groups=(support,), keyPolicy={"issuance": "automatic"})
    tenant.entitlement("wiki", groups=(sales, support))
    orders, wiki = tenant.key(ada, "orders"), tenant.key(ada, "wiki")
    leave(tenant, sales, team)
    join(tenant, support, team)
    assert tenant.verify(orders) == "no_grant"
    assert tenant.verify(wiki) == "allow"
    (tickets,) = tenant.keys(state="issued")
    assert tenant.verify(tenant.claim(tickets["id"])) == "allow"
    tenant.let_pass(2 * DAY)
    join(tenant, sales, team)
    assert tenant.verify(orders) == "key_revoked"
    assert tenant.verify(wiki) == "allow"


def test_a_deleted_group_ends_what_only_it_granted(tenant: Tenant) -> None:
    ada = tenant.user("ada", roles=[{"value": "Buyer"}])
    group = tenant.group("buyers", ada)
    tenant.entitlement("orders", groups=(group,))
    tenant.entitlement("invoices", groups=(group,), roles=[{"value": "Buyer"}])
    orders, invoices = tenant.key(ada, "orders"), tenant.key(ada, "invoices")
    assert tenant.scim.delete(f"/Groups/{group}").status_code == 204
    assert tenant.verify(orders) == "no_grant"
    assert tenant.verify(invoices) == "allow"


def test_a_key_whose_last_entitlement_that_is_left_has_lapsed_is_dead_everywhere(tenant: Tenant) -> None:
    orders = tenant.entitlement("orders")
    tenant.entitlement("invoices")
    ada = tenant.user("ada", entitlements=[{"value": "orders"}, {"value": "invoices"}])
    key = tenant.key(ada, "orders", "invoices")
    change(tenant, f"/Users/{ada}", {"op": "remove", "path": 'entitlements[value eq "invoices"]'})
    tenant.let_pass(DAY - HOUR)
    assert tenant.scim.delete(f"/Entitlements/{orders}").status_code == 204
    assert (tenant.verify(key), states(tenant)) == ("no_grant", ["dormant"])
    tenant.let_pass(HOUR)
    # One right lapsed, the other was deleted: neither comes back, as the gate says, and so does the operator.
    assert (tenant.verify(key), states(tenant)) == ("right_lapsed", ["revoked"])


def test_a_key_that_lapsed_before_it_would_have_expired_stays_revoked(tenant: Tenant) -> None:
    tenant.entitlement("orders", keyPolicy={"lifetimeSeconds": 30 * 3600})
    ada = tenant.user("ada", entitlements=[{"value": "orders"}])
    tenant.key(ada, "orders")
    activate(tenant, ada, False)
    tenant.let_pass(25 * HOUR)
    assert states(tenant) == ["revoked"]
    tenant.let_pass(25 * HOUR)
    assert states(tenant) == ["revoked"]
