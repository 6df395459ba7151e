"""Conditions of an entitlement: what each asks for, by every face that knows it, and what denies it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.gate.reasons import Reason
from app.store import tables
from tests.http.conftest import CONSUMER, USER, Tenant
from tests.http.gate.faces import API, ASKED, FACES, PERMIT, Asking, Clock, Everywhere, held

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conditions.md").read_text(encoding="utf-8")
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY = TODAY + timedelta(days=14 - TODAY.weekday())
"""The Monday after next: later than all that the tests write."""


def change(tenant: Tenant, conditions: dict[str, Any]) -> None:
    """Give the entitlement other conditions."""
    entitlement = tenant.scim.get("/Entitlements").get_json()["Resources"][0]
    changed = tenant.scim.put(f"/Entitlements/{entitlement['id']}", {**entitlement, "conditions": conditions})
    assert changed.status_code == 200, changed.text


CEDAR = f"""
{PERMIT} when {{ resource.path like "/orders/*" && context.client.isInRange(ip("192.0.2.0/24")) }};
permit (principal, action == Action::"POST", resource == Api::"{API}")
when {{ principal has department && principal.department == "Sales" }};
forbid (principal, action == Action::"DELETE", resource);
"""
NETWORKS = ["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"]

BY_THEMSELVES: list[tuple[dict[str, Any], str, list[tuple[dict[str, Any], bool]]]] = [
    (
        {"methods": ["GET", "HEAD"]},
        "method_not_allowed",
        [
            ({}, True),
            ({"method": "head"}, True),
            ({"method": "POST"}, False),
            ({"method": "GETS"}, False),
            ({"method": None}, False),
        ],
    ),
    (
        {"paths": ["/orders", "/orders/*"]},
        "path_not_allowed",
        [
            ({"path": "/orders"}, True),
            ({"path": "/orders/7?next=/admin"}, True),
            ({"path": "/%6frders/./x/../7"}, True),
            ({"path": "//orders//7"}, True),
            ({"path": "/ordersx"}, False),
            ({"path": "/ORDERS/7"}, False),
            ({"path": "/orders/../admin"}, False),
            ({"path": "/orders/%2e%2e/admin"}, False),
            ({"path": "/orders/..%2fadmin"}, False),
            ({"path": "/orders/..%5cadmin"}, False),
            ({"path": "/orders/%252e%252e/admin"}, False),
            ({"path": None}, False),
        ],
    ),
    (
        {"networks": NETWORKS},
        "network_not_allowed",
        [
            ({"client": "192.0.2.255"}, True),
            ({"client": "198.51.100.7"}, True),
            ({"client": "::ffff:192.0.2.5"}, True),
            ({"client": "2001:DB8:ffff::1"}, True),
            ({"client": "192.0.3.0"}, False),
            ({"client": "198.51.100.8"}, False),
            ({"client": "2001:db9::"}, False),
            ({"client": "::192.0.2.5"}, False),
            ({"client": "unknown"}, False),
            ({"client": "2001:db8::1%eth0"}, False),
            ({"client": None}, False),
        ],
    ),
    (
        {"cedar": CEDAR},
        "policy_forbids",
        [
            ({}, True),
            ({"path": "/admin"}, False),
            ({"client": "203.0.113.1"}, False),
            ({"method": "DELETE"}, False),
        ],
    ),
    (
        {"cedar": CEDAR},
        "policy_error",
        [
            ({"path": None}, False),
            ({"path": "/orders/..%2fadmin"}, False),
            ({"client": None}, False),
            ({"method": None}, False),
            ({"method": "PROPFIND"}, False),
        ],
    ),
]


@pytest.mark.parametrize(("conditions", "reason", "cases"), BY_THEMSELVES, ids=lambda each: str(each)[:20])
def test_what_a_call_says_meets_a_condition_or_does_not(
    everywhere: Everywhere, conditions: dict[str, Any], reason: str, cases: list[tuple[dict[str, Any], bool]]
) -> None:
    key = held(everywhere.tenant, **conditions)
    for call, met in cases:
        assert everywhere.word(key, replace(ASKED, **call)) == ("allow" if met else reason), call


def test_audience_and_scopes_must_be_met_by_one_entitlement(everywhere: Everywhere) -> None:
    key = held(everywhere.tenant)
    assert everywhere.word(key, ASKED) == "allow"
    assert everywhere.word(key, replace(ASKED, audience="https://other.example")) == "audience_mismatch"
    assert everywhere.word(key, replace(ASKED, scope="orders.delete")) == "scope_missing"
    both = {"audience": "https://other.example", "scope": "orders.delete"}
    assert everywhere.word(key, replace(ASKED, **both)) == "audience_mismatch"
    # An entitlement without an audience is for any.
    everywhere.tenant.entitlement("any", scopes=["orders.delete"])
    everywhere.tenant.entitlement("other", audience="https://other.example", scopes=["x"])
    values = ["any", "other"]
    holder = everywhere.tenant.user("bob", entitlements=[{"value": each} for each in values])
    wide = everywhere.tenant.key(holder, *values)
    assert everywhere.word(wide, replace(ASKED, scope="orders.delete")) == "allow"
    assert everywhere.word(wide, replace(ASKED, scope="x")) == "scope_missing"
    assert everywhere.word(wide, replace(ASKED, scope="x", audience="https://other.example")) == "allow"


def test_properties_are_known_to_applications_alone(by_face: Callable[[str], Asking], tenant: Tenant) -> None:
    key = held(tenant, properties=["resource.status=active", "resource.status=new", "resource.x!=1"])
    for stated, met in (
        ({"status": "active"}, True),
        ({"status": "new", "x": 2}, True),
        ({"status": "archived"}, False),
        ({"status": "active", "x": 1}, False),
        ({}, False),
    ):
        for face in FACES:
            expected = "allow" if met and face == "evaluation" else "property_mismatch"
            assert by_face(face).word(key, replace(ASKED, properties=stated)) == expected, (face, stated)


def test_a_window_is_by_the_clocks_of_its_zone(everywhere: Everywhere, clock: Clock) -> None:
    berlin, new_york = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
    key = held(
        everywhere.tenant,
        windows=["Mon-Fri 08:00-18:00 Europe/Berlin", "Sat,Sun 22:00-02:00 America/New_York"],
    )

    def at(days: int, clock_time: str, zone: ZoneInfo) -> str:
        hour, minute, second = (int(each) for each in clock_time.split(":"))
        clock((MONDAY + timedelta(days=days)).replace(hour=hour, minute=minute, second=second, tzinfo=zone))
        return everywhere.word(key, ASKED)

    for days, shown, zone, inside in (
        (1, "07:59:59", berlin, False),
        (1, "08:00:00", berlin, True),
        (4, "17:59:59", berlin, True),
        (4, "18:00:00", berlin, False),
        (5, "12:00:00", berlin, False),
        (5, "21:59:59", new_york, False),
        (5, "22:00:00", new_york, True),
        (6, "01:59:59", new_york, True),
        (6, "02:00:00", new_york, False),
        # What begins on Sunday ends on Monday.
        (7, "01:59:59", new_york, True),
    ):
        assert at(days, shown, zone) == ("allow" if inside else "outside_window"), (days, shown, zone)


def next_change(zone: ZoneInfo, *, forward: bool) -> datetime:
    """Return when the clocks of a zone are next put forward, or back."""
    moment = MONDAY
    while True:
        later = moment + timedelta(hours=1)
        gone = later.astimezone(zone).utcoffset(), moment.astimezone(zone).utcoffset()
        assert gone[0] is not None
        assert gone[1] is not None
        if (gone[0] > gone[1]) if forward else (gone[0] < gone[1]):
            return later
        moment = later


def test_a_window_on_the_days_on_which_clocks_are_changed(everywhere: Everywhere, clock: Clock) -> None:
    zone = ZoneInfo("Europe/Berlin")
    # 02:00 becomes 03:00 in spring, and 03:00 becomes 02:00 again in autumn.
    key = held(everywhere.tenant, windows=["Sun 02:00-03:00 Europe/Berlin"])
    second = timedelta(seconds=1)
    spring, autumn = next_change(zone, forward=True), next_change(zone, forward=False)
    for moment, inside in sorted(
        [
            (spring - second, False),
            (spring, False),
            (autumn - timedelta(hours=1) - second, False),
            (autumn - timedelta(hours=1), True),
            (autumn, True),
            (autumn + timedelta(hours=1) - second, True),
            (autumn + timedelta(hours=1), False),
        ]
    ):
        clock(moment)
        assert everywhere.word(key, ASKED) == ("allow" if inside else "outside_window"), moment.astimezone(
            zone
        )


def test_the_first_and_the_last_moment_are_inside(everywhere: Everywhere, clock: Clock) -> None:
    begin, end = MONDAY, MONDAY + timedelta(days=1)
    key = held(
        everywhere.tenant,
        notBefore=begin.isoformat(),
        notAfter=end.astimezone(ZoneInfo("Asia/Tokyo")).isoformat(),
    )
    least = timedelta(microseconds=1)
    for moment, expected in (
        (begin - least, "right_not_started"),
        (begin, "allow"),
        (end, "allow"),
        (end + least, "right_ended"),
    ):
        clock(moment)
        assert everywhere.word(key, ASKED) == expected, moment


def test_the_first_reason_in_the_documented_order_is_told(
    everywhere: Everywhere, by_face: Callable[[str], Asking]
) -> None:
    tenant = everywhere.tenant
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    elsewhere = "Mon" if now.weekday() in (2, 3, 4) else "Thu"
    unmet: list[tuple[str, dict[str, Any]]] = [
        ("right_ended", {"notAfter": (now - hour).isoformat()}),
        ("right_not_started", {"notBefore": (now + hour).isoformat()}),
        ("method_not_allowed", {"methods": ["POST"]}),
        ("path_not_allowed", {"paths": ["/bills"]}),
        ("property_mismatch", {"properties": ["resource.status=active"]}),
        ("network_not_allowed", {"networks": ["203.0.113.0/24"]}),
        ("outside_window", {"windows": [f"{elsewhere} 12:00-12:01 UTC"]}),
        ("policy_forbids", {"cedar": f'{PERMIT} when {{ principal.userName == "root" }};'}),
        ("rate_exceeded", {"rate": "1/86400s"}),
    ]
    told = re.search(r"tells the first of this order: ([^.]*)\.", DOCUMENT)
    assert told is not None
    assert " ".join(told[1].split()) == (
        "the audience, the scopes, `condition_unknown`, `right_ended`, `right_not_started`, "
        "then method, path, properties, network, window, policy, and last what is counted"
    )
    key = held(tenant, rate="1/86400s")
    assert by_face("view").word(key, ASKED) == "allow", "and the rate is used up"
    conditions = {name: value for _, each in unmet[1:] for name, value in each.items()}
    wrong = {"audience": "https://other.example", "scope": "orders.delete"}
    stored = sa.update(tables.entitlement).where(tables.entitlement.c.tenant_id == tenant.id)
    tenant.sql(stored.values(conditions={**conditions, "moonPhase": "full"}))
    tenant.user(
        "somebody"
    )  # Whatever is written behind the application's back, a commit of its own makes known.
    assert everywhere.word(key, replace(ASKED, **wrong)) == "audience_mismatch"
    assert everywhere.word(key, replace(ASKED, scope="orders.delete")) == "scope_missing"
    assert everywhere.word(key, ASKED) == "condition_unknown"
    first, *_ = unmet
    change(tenant, {**conditions, **first[1], "notBefore": None})
    assert everywhere.word(key, ASKED) == first[0]
    for place, (reason, _) in enumerate(unmet[1:], 1):
        change(tenant, {name: value for _, each in unmet[place:] for name, value in each.items()})
        assert everywhere.word(key, ASKED) == reason
    change(tenant, {})
    assert everywhere.word(key, ASKED) == "allow"


def test_every_condition_denies_with_the_reason_that_the_document_names() -> None:
    told = re.findall(r"^\| `\w+` \| [^|]+ \| (`.*`) \|$", DOCUMENT, re.MULTILINE)
    named = {code for each in told for code in re.findall(r"`(\w+)`", each)}
    shown = {reason for _, reason, _ in BY_THEMSELVES} | {
        *("property_mismatch", "outside_window", "right_not_started", "right_ended"),
        *("rate_exceeded", "quota_exceeded"),
    }
    assert named == shown
    assert named <= {each.code for each in Reason}


def test_the_right_that_comes_furthest_is_told_of(everywhere: Everywhere) -> None:
    tenant = everywhere.tenant
    tenant.entitlement("writing", audience=API, scopes=["orders.read"], conditions={"methods": ["PUT"]})
    tenant.entitlement(
        "abroad", audience=API, scopes=["orders.read"], conditions={"networks": ["10.9.0.0/16"]}
    )
    values = ["writing", "abroad"]
    key = tenant.key(tenant.user("ada", entitlements=[{"value": each} for each in values]), *values)
    assert everywhere.word(key, ASKED) == "network_not_allowed"
    assert everywhere.word(key, replace(ASKED, method="PUT")) == "allow"
    assert everywhere.word(key, replace(ASKED, client="10.9.0.1")) == "allow"


def test_a_change_holds_from_its_answer_on(everywhere: Everywhere) -> None:
    key = held(everywhere.tenant)
    for conditions, expected in (
        ({"networks": ["203.0.113.0/24"]}, "network_not_allowed"),
        ({"networks": NETWORKS}, "allow"),
        ({"cedar": 'permit (principal, action == Action::"PUT", resource);'}, "policy_forbids"),
        ({"windows": ["Mon-Sun 00:00-24:00 Asia/Tokyo"]}, "allow"),
        ({"paths": ["/bills/*"]}, "path_not_allowed"),
        ({"methods": []}, "allow"),
    ):
        change(everywhere.tenant, conditions)
        assert everywhere.word(key, ASKED) == expected, conditions


def test_what_a_policy_knows_of_a_user_is_what_the_directory_says(everywhere: Everywhere) -> None:
    tenant = everywhere.tenant
    tenant.entitlement("orders", audience=API, scopes=["orders.read"], conditions={"cedar": CEDAR})
    user = tenant.user(
        "ada",
        schemas=[USER, ENTERPRISE],
        entitlements=[{"value": "orders"}],
        **{ENTERPRISE: {"department": "Support"}},
    )
    key = tenant.key(user, "orders")
    sale = replace(ASKED, method="POST", path="/sale", client="203.0.113.1")
    claims = {"department": "Sales", "user_type": "Employee", "X_Auth_Department": "Sales"}
    assert everywhere.word(key, sale, **claims) == "policy_forbids"
    told = {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "Sales"}
    assert tenant.scim.patch(f"/Users/{user}", told).status_code == 200
    assert everywhere.word(key, sale) == "allow"


def test_what_a_caller_claims_never_takes_the_place_of_what_is_known(
    everywhere: Everywhere, clock: Clock
) -> None:
    begin = MONDAY.isoformat()
    key = held(everywhere.tenant, notBefore=begin, methods=["GET"])
    claims = {
        "active": "true",
        "time": begin,
        "Date": begin,
        "role": "admin",
        "scopes": "orders.write",
        "entitlements": "other",
        "X_Auth_Scopes": "orders.write",
    }
    assert everywhere.word(key, ASKED, **claims) == "right_not_started"
    assert everywhere.word(key, replace(ASKED, scope="orders.write"), **claims) == "scope_missing"
    clock(MONDAY)
    assert everywhere.word(key, ASKED) == "allow"
    ended = {"op": "replace", "value": {"active": False}}
    user = everywhere.tenant.keys()[0]["consumer"]["value"]
    assert everywhere.tenant.scim.patch(f"/Users/{user}", ended).status_code == 200
    assert everywhere.word(key, ASKED, **claims) == "consumer_inactive"


def test_dates_of_a_right_do_not_end_keys(everywhere: Everywhere, clock: Clock) -> None:
    key = held(everywhere.tenant, notAfter=MONDAY.isoformat())
    clock(MONDAY + timedelta(days=1))
    assert everywhere.word(key, ASKED) == "right_ended"
    change(everywhere.tenant, {"notAfter": (MONDAY + timedelta(days=2)).isoformat()})
    assert everywhere.word(key, ASKED) == "allow"


def test_a_user_s_access_dates_come_before_the_conditions(everywhere: Everywhere) -> None:
    tenant = everywhere.tenant
    tenant.entitlement("orders", audience=API, scopes=["orders.read"], conditions={"methods": ["PUT"]})
    user = tenant.user("ada", schemas=[USER, CONSUMER], entitlements=[{"value": "orders"}])
    key = tenant.key(user, "orders")
    assert everywhere.word(key, ASKED) == "method_not_allowed"
    ended = {"op": "add", "path": f"{CONSUMER}:accessEndsAt", "value": "2026-01-01T00:00:00Z"}
    assert tenant.scim.patch(f"/Users/{user}", ended).status_code == 200
    assert everywhere.word(key, ASKED) in ("access_ended", "consumer_inactive", "right_lapsed")
