"""The brake of a connection: a mass withdrawal holds at once, and is final only when an operator says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from app.directory.follow_up_worker import FollowUpWorker
from app.store import tables
from tests.http.conftest import BULK, DAY, HOUR, PATCH, SECOND, Key, Tenant
from tests.http.crowd import crowd

PEOPLE = 4
OFF: dict[str, Any] = {"op": "replace", "path": "active", "value": False}
ON: dict[str, Any] = {"op": "replace", "path": "active", "value": True}


@dataclass
class Company:
    """A tenant with people who hold a key each by their one group, and a brake for half of them."""

    tenant: Tenant
    users: list[str]
    keys: list[Key]
    group: str
    entitlement: str

    def said(self) -> set[str]:
        return {self.tenant.verify(key) for key in self.keys}

    def states(self) -> set[str]:
        return states(self.tenant)

    def brakes(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.tenant.operator.get("/brakes").get_json()["Resources"]
        return listed

    def decide(self, what: str, body: Any = None) -> dict[str, Any]:
        (waiting,) = [each for each in self.brakes() if each["decision"] is None]
        answer = self.tenant.operator.post(f"/brakes/{waiting['id']}/{what}", body)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        return document

    def each(self, operation: dict[str, Any], users: list[str] | None = None) -> None:
        for user in self.users if users is None else users:
            assert self.tenant.scim.patch(f"/Users/{user}", operation).status_code == 200

    def members(self, op: str) -> None:
        people = [{"value": each} for each in self.users]
        if op == "add":
            done = self.tenant.scim.patch(
                f"/Groups/{self.group}", {"op": op, "path": "members", "value": people}
            )
        else:
            named = " or ".join(f'value eq "{each}"' for each in self.users)
            done = self.tenant.scim.patch(f"/Groups/{self.group}", {"op": op, "path": f"members[{named}]"})
        assert done.status_code == 200, done.text

    def mapped(self, *groups: str) -> None:
        value = [{"value": each} for each in groups]
        operation = {"op": "replace", "path": "groups", "value": value}
        done = self.tenant.scim.patch(f"/Entitlements/{self.entitlement}", operation)
        assert done.status_code == 200, done.text


def states(tenant: Tenant) -> set[str]:
    listed = tenant.keys()
    return {each["state"] for each in listed}


@pytest.fixture
def company(found: Callable[..., Tenant]) -> Callable[..., Company]:
    def founding(*, minimum: int = 3, **settings: Any) -> Company:
        tenant = found(**settings)
        brake_of(tenant, {"percent": 1, "minimum": minimum})
        users = [tenant.user(f"user{number}") for number in range(PEOPLE)]
        group = tenant.group("callers", *users)
        entitlement = tenant.entitlement("orders", groups=(group,))
        return Company(tenant, users, [tenant.key(each, "orders") for each in users], group, entitlement)

    return founding


def brake_of(tenant: Tenant, settings: dict[str, Any], name: str = "idp") -> None:
    answer = tenant.operator.post(f"/connections/{name}/brake", settings)
    assert answer.status_code == 200, answer.text


def deactivated(company: Company) -> None:
    company.each(OFF)


def deactivated_in_bulk(company: Company) -> None:
    operations = [
        {"method": "PATCH", "path": f"/Users/{each}", "data": {"schemas": [PATCH], "Operations": [OFF]}}
        for each in company.users
    ]
    done = company.tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": operations})
    assert {each["status"] for each in done.get_json()["Operations"]} == {"200"}


def removed_from_the_group(company: Company) -> None:
    company.members("remove")


def unmapped(company: Company) -> None:
    company.mapped()


def again(company: Company) -> None:
    """Give back whatever was taken."""
    company.each(ON)
    company.members("add")
    company.mapped(company.group)


ROUTES = [deactivated, deactivated_in_bulk, removed_from_the_group, unmapped]
each_route = pytest.mark.parametrize(
    ("withdraw", "window"),
    [pytest.param(each, [DAY, 0][n % 2], id=each.__name__) for n, each in enumerate(ROUTES)],
)
windows = pytest.mark.parametrize("window", [DAY, 0])


@pytest.mark.parametrize("withdraw", ROUTES)
@windows
def test_it_holds_at_once_and_is_not_final(
    company: Callable[..., Company], withdraw: Callable[[Company], None], window: int
) -> None:
    made = company(recovery_window=window, minimum=1)
    withdraw(made)
    assert made.said() <= {"consumer_inactive", "no_grant"}
    (brake,) = made.brakes()
    assert (brake["consumers"], brake["uncounted"], brake["decision"]) == (PEOPLE, 0, None)
    made.tenant.let_pass(30 * DAY)
    assert made.said() <= {"consumer_inactive", "no_grant"}
    assert made.states() == {"dormant"}
    again(made)
    assert made.said() == {"allow"}
    # What came back while it waited stays, whatever is decided then.
    assert made.decide("confirm")["back"] == PEOPLE
    assert made.said() == {"allow"}


@each_route
def test_confirmed_it_is_final(
    company: Callable[..., Company], withdraw: Callable[[Company], None], window: int
) -> None:
    made = company(recovery_window=window, minimum=1)
    withdraw(made)
    made.tenant.let_pass(2 * DAY)
    assert made.decide("confirm")["waiting"] == PEOPLE
    assert made.said() == {"right_lapsed"}
    again(made)
    assert made.said() <= {"right_lapsed", "key_revoked"}
    assert made.states() == {"revoked"}


def test_confirmed_within_the_window_the_window_is_what_it_always_was(
    company: Callable[..., Company],
) -> None:
    made = company(minimum=1)
    deactivated(made)
    made.decide("confirm")
    made.tenant.let_pass(23 * HOUR)
    made.each(ON, made.users[:1])
    assert made.tenant.verify(made.keys[0]) == "allow"
    made.tenant.let_pass(2 * HOUR)
    again(made)
    assert made.tenant.verify(made.keys[0]) == "allow"
    assert {made.tenant.verify(each) for each in made.keys[1:]} == {"key_revoked"}


@each_route
def test_released_within_or_after_the_window_what_comes_back_keeps_its_keys(
    company: Callable[..., Company], withdraw: Callable[[Company], None], window: int
) -> None:
    made = company(recovery_window=window, minimum=1)
    withdraw(made)
    made.tenant.let_pass(30 * DAY)
    made.decide("release")
    assert made.said() <= {"consumer_inactive", "no_grant"}
    made.tenant.let_pass(23 * HOUR)
    again(made)
    assert made.said() == {"allow"}
    made.tenant.let_pass(30 * DAY)
    assert made.said() == {"allow"}


def test_released_what_does_not_come_back_in_time_is_final(company: Callable[..., Company]) -> None:
    made = company(minimum=1)
    deactivated(made)
    made.tenant.let_pass(2 * DAY)
    made.decide("release", {"withinSeconds": 3600})
    made.tenant.let_pass(HOUR)
    assert made.said() == {"right_lapsed"}
    again(made)
    assert made.said() <= {"right_lapsed", "key_revoked"}


def test_what_began_before_it_engaged_is_held_too(company: Callable[..., Company]) -> None:
    made = company()
    made.each(OFF, made.users[:2])
    assert made.brakes() == []
    made.each(OFF, made.users[2:3])
    assert [each["consumers"] for each in made.brakes()] == [3]
    made.tenant.let_pass(2 * DAY)
    again(made)
    assert made.said() == {"allow"}


def test_what_had_lapsed_before_it_engaged_stays_dead(company: Callable[..., Company]) -> None:
    made = company(recovery_window=600 * SECOND)
    made.each(OFF, made.users[:1])
    made.tenant.let_pass(601 * SECOND)
    made.each(OFF, made.users[1:])
    assert [each["consumers"] for each in made.brakes()] == [3]
    again(made)
    assert made.tenant.verify(made.keys[0]) in ("right_lapsed", "key_revoked")
    assert {made.tenant.verify(each) for each in made.keys[1:]} == {"allow"}


@windows
def test_below_the_threshold_nothing_changes(company: Callable[..., Company], window: int) -> None:
    made = company(recovery_window=window)
    made.each(OFF, made.users[:2])
    # Said again, it is no further withdrawal.
    made.each(OFF, made.users[:2])
    assert made.brakes() == []
    made.tenant.let_pass(DAY)
    assert {made.tenant.verify(each) for each in made.keys[:2]} <= {"right_lapsed", "key_revoked"}
    assert made.brakes() == []


def test_withdrawals_count_together_within_the_time_only(company: Callable[..., Company]) -> None:
    made = company()
    made.each(OFF, made.users[:2])
    made.tenant.let_pass(HOUR)
    made.each(OFF, made.users[2:])
    assert made.brakes() == []


def test_without_a_brake_a_mass_withdrawal_becomes_final(company: Callable[..., Company]) -> None:
    made = company(minimum=1)
    brake_of(made.tenant, {"percent": 0})
    deactivated(made)
    assert made.brakes() == []
    made.tenant.let_pass(DAY)
    assert made.said() == {"right_lapsed"}


def test_a_deletion_counts_and_is_final_as_ever(company: Callable[..., Company]) -> None:
    made = company()
    for user in made.users[:3]:
        assert made.tenant.scim.delete(f"/Users/{user}").status_code == 204
    made.each(OFF, made.users[3:])
    assert {made.tenant.verify(each) for each in made.keys[:3]} == {"key_revoked"}
    made.tenant.user("user0")
    made.tenant.let_pass(2 * DAY)
    made.each(ON, made.users[3:])
    assert {made.tenant.verify(each) for each in made.keys[:3]} == {"key_revoked"}
    assert {made.tenant.verify(each) for each in made.keys[3:]} == {"allow"}
    shown = made.decide("confirm")
    assert (shown["consumers"], shown["deleted"], shown["waiting"], shown["back"]) == (4, 3, 0, 1)


def test_who_keeps_another_grant_does_not_count(company: Callable[..., Company]) -> None:
    made = company(minimum=1)
    made.tenant.entitlement("orders.other", groups=(made.tenant.group("others", *made.users),))
    made.members("remove")
    assert made.brakes() == []


def test_whose_keys_are_all_dead_does_not_count_when_an_entitlement_goes(
    company: Callable[..., Company],
) -> None:
    made = company(minimum=1)
    of_tenant = tables.key.c.tenant_id == made.tenant.id
    made.tenant.sql(sa.update(tables.key).where(of_tenant).values(expires_at=tables.key.c.issued_at))
    assert made.states() == {"expired"}
    made.mapped()
    assert made.brakes() == []


def test_another_connection_and_another_tenant_are_left_alone(company: Callable[..., Company]) -> None:
    made, elsewhere = company(minimum=1), company()
    made.each(OFF, made.users[:2])
    assert [each["decision"] for each in made.brakes()] == [None]
    other = made.tenant.connect("field")
    assert other.patch(f"/Users/{made.users[3]}", OFF).status_code == 200
    elsewhere.each(OFF, elsewhere.users[:2])
    assert elsewhere.brakes() == []
    for each in (made, elsewhere):
        each.tenant.let_pass(DAY)
    assert made.tenant.verify(made.keys[3]) == "right_lapsed"
    assert {elsewhere.tenant.verify(each) for each in elsewhere.keys[:2]} == {"right_lapsed"}
    assert {made.tenant.verify(each) for each in made.keys[:2]} == {"consumer_inactive"}
    theirs = elsewhere.tenant.operator
    (brake,) = made.brakes()
    assert theirs.get(f"/brakes/{brake['id']}").status_code == 404
    assert theirs.post(f"/brakes/{brake['id']}/confirm").status_code == 404
    assert theirs.post(f"/brakes/{brake['id']}/release").status_code == 404


def test_what_an_operator_takes_is_not_braked(company: Callable[..., Company]) -> None:
    made = company(minimum=1)
    for key in made.keys:
        assert made.tenant.operator.post(f"/keys/{key.id}/revoke").status_code == 200
    assert made.brakes() == []
    assert made.said() == {"key_revoked"}


def test_it_is_loud_and_decided_once(company: Callable[..., Company]) -> None:
    made = company(minimum=1)
    deactivated(made)
    operator = made.tenant.operator
    (warned,) = [
        each for each in operator.get("/warnings").get_json()["Resources"] if each["kind"] == "brake_engaged"
    ]
    assert warned["name"] == "idp"
    assert f"{PEOPLE} people" in warned["text"]
    explained = operator.get(f"/keys/{made.keys[0].id}/explain").get_json()
    assert "a brake" in explained["summary"]
    (brake,) = made.brakes()
    path = f"/brakes/{brake['id']}"
    released = made.decide("release", {"withinSeconds": 60})
    again_said = operator.post(f"{path}/release", {"withinSeconds": 7200})
    assert (again_said.status_code, again_said.get_json()) == (200, released)
    refused = operator.post(f"{path}/confirm")
    assert (refused.status_code, refused.get_json()["type"]) == (409, "urn:keysteward:problem:brake-decided")
    events = operator.get("/events", subject=f"brake/{brake['id']}").get_json()["Resources"]
    assert [each["type"] for each in events] == ["brake.engaged", "brake.released"]
    assert "brake_engaged" not in operator.get("/warnings").text


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"percent": 101},
        {"percent": -1},
        {"percent": True},
        {"minimum": 0},
        {"withinSeconds": 0},
        {"withinSeconds": 7 * 86_400 + 1},
        {"share": 10},
    ],
)
def test_settings_out_of_range_are_refused(tenant: Tenant, asked: dict[str, Any]) -> None:
    refused = tenant.operator.post("/connections/idp/brake", asked)
    assert (refused.status_code, refused.get_json()["type"]) == (
        400,
        "urn:keysteward:problem:request-invalid",
    )
    (shown,) = tenant.operator.get("/connections").get_json()["Resources"]
    assert shown["brake"] == {"percent": 10, "minimum": 20, "withinSeconds": 3600}


def test_what_is_no_brake_is_not_found(tenant: Tenant) -> None:
    assert tenant.operator.get("/brakes/brk_0").status_code == 404
    assert tenant.operator.post("/brakes/brk_0/confirm").status_code == 404
    assert tenant.operator.post("/connections/nobody/brake", {"percent": 0}).status_code == 404


@pytest.mark.parametrize(("window", "unmapping"), [(DAY, False), (0, True)])
def test_what_is_left_to_a_follow_up_is_braked_before_it_is_counted(
    found: Callable[..., Tenant], window: int, unmapping: bool
) -> None:
    tenant = found(recovery_window=window)
    group = tenant.group("callers")
    entitlement = tenant.entitlement("orders", groups=(group,))
    keys = crowd(tenant, group, entitlement, 250)
    taken = (
        tenant.scim.delete(f"/Groups/{group}")
        if not unmapping
        else tenant.scim.patch(f"/Entitlements/{entitlement}", {"op": "remove", "path": "groups"})
    )
    assert taken.status_code in (200, 204)
    (estimated,) = tenant.operator.get("/brakes").get_json()["Resources"]
    assert (estimated["consumers"], estimated["uncounted"], estimated["threshold"]) == (0, 250, 25)
    assert tenant.verify(keys[0]) == "no_grant"
    FollowUpWorker(tenant.store).do_all()
    (counted,) = tenant.operator.get("/brakes").get_json()["Resources"]
    assert (counted["consumers"], counted["uncounted"], counted["decision"]) == (250, 0, None)
    assert states(tenant) == {"dormant"}
    assert tenant.operator.post(f"/brakes/{counted['id']}/confirm").status_code == 200
    tenant.let_pass(DAY)
    assert tenant.verify(keys[0]) == "right_lapsed"


def test_a_brake_that_only_an_estimate_engaged_is_lifted(tenant: Tenant) -> None:
    group, other = tenant.group("callers"), tenant.group("others")
    entitlement = tenant.entitlement("orders", groups=(group, other))
    crowd(tenant, group, entitlement, 250)
    everyone = tenant.sql(
        sa.select(tables.membership.c.member_id).where(tables.membership.c.group_id == group)
    )
    with tenant.store.writing(tenant.id, actor="test") as unit:
        carrier = {"tenant_id": tenant.id, "since": unit.now, "until": tables.FOREVER, "tolerance": DAY}
        rows = [
            {"group_id": other, "member_id": each, "member_type": "User", **carrier} for (each,) in everyone
        ]
        unit.connection.execute(sa.insert(tables.membership), rows)
    assert tenant.scim.delete(f"/Groups/{group}").status_code == 204
    (estimated,) = tenant.operator.get("/brakes").get_json()["Resources"]
    assert (estimated["decision"], estimated["uncounted"]) == (None, 250)
    FollowUpWorker(tenant.store).do_all()
    (lifted,) = tenant.operator.get("/brakes").get_json()["Resources"]
    assert (lifted["decision"], lifted["consumers"]) == ("lifted", 0)
    assert states(tenant) == {"active"}
    assert "brake_engaged" not in tenant.operator.get("/warnings").text


@windows
def test_a_plan_of_the_connection_knows_its_brake(company: Callable[..., Company], window: int) -> None:
    made = company(minimum=1, recovery_window=window)
    requests = [
        {"method": "PATCH", "path": f"/Users/{each}", "body": {"schemas": [PATCH], "Operations": [OFF]}}
        for each in made.users
    ]
    asked = {"requests": requests, "connection": "idp"}
    planned = made.tenant.operator.post("/plan", asked).get_json()
    assert {each["after"] for each in planned["keys"]} == {"dormant"}
    assert planned["totals"]["events"]["brake.engaged"] == 1
    assert made.brakes() == []
    deactivated(made)
    assert made.states() == {"dormant"}
