"""`explain` tells the whole chain from a key to its rights, or the first link of it that is broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.engine import Engine

from app.gate.decision import Call, Deny, decide
from app.gate.lookup import look_up
from app.rights.chains import GroupLink
from app.rights.explain import NothingToExplain, Way, explain, explain_consumer
from app.rights.grants import Reason, grants
from app.rights.standing import KeyState, standings
from app.rights.unmatched import UnmatchedValue, unmatched_values
from app.store.tables import FOREVER, membership
from app.store.tables import key as key_table
from app.store.unit_of_work import Store
from tests.unit.rights.scene import BEGINNING, DAY, HOUR, TENANT, Scene

NOW = 10 * DAY
Build = Callable[[Scene], str]


@pytest.fixture
def scene(engine: Engine) -> Scene:
    return Scene(engine)


def by_value(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders", since=HOUR)
    return scene.key("ada", scene.entitlement("orders"))


def by_role(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "Buyer", kind="role")
    return scene.key("ada", scene.entitlement("orders", roles=("Buyer",)))


def by_nested_group(scene: Scene) -> str:
    scene.user("ada")
    scene.group("g_team", "Team")
    scene.group("g_all", "All")
    scene.member("g_team", "ada", since=HOUR)
    scene.member("g_all", "g_team", kind="Group")
    return scene.key("ada", scene.entitlement("orders", groups=("g_all",)))


def by_everything(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    scene.value("ada", "Buyer", kind="role")
    for group_id, display in (("g_top", "Top"), ("g_left", "Left"), ("g_right", "Right")):
        scene.group(group_id, display)
    scene.member("g_left", "ada", since=2 * HOUR)
    scene.member("g_right", "ada")
    scene.member("g_top", "g_left", kind="Group")
    scene.member("g_top", "g_right", since=3 * HOUR, kind="Group")
    scene.member("g_top", "ada", since=4 * HOUR)
    return scene.key("ada", scene.entitlement("orders", roles=("Buyer",), groups=("g_top",)))


@pytest.mark.parametrize(
    ("build", "ways"),
    [
        (by_value, [Way("direct", "orders", BEGINNING + HOUR)]),
        (by_role, [Way("role", "Buyer", BEGINNING)]),
        (
            by_nested_group,
            [
                Way(
                    "group",
                    "g_all",
                    BEGINNING + HOUR,
                    (GroupLink("g_team", "Team"), GroupLink("g_all", "All")),
                )
            ],
        ),
        (
            by_everything,
            [
                Way("direct", "orders", BEGINNING),
                Way("group", "g_top", BEGINNING + 4 * HOUR, (GroupLink("g_top", "Top"),)),
                Way(
                    "group",
                    "g_top",
                    BEGINNING + 2 * HOUR,
                    (GroupLink("g_left", "Left"), GroupLink("g_top", "Top")),
                ),
                Way(
                    "group",
                    "g_top",
                    BEGINNING + 3 * HOUR,
                    (GroupLink("g_right", "Right"), GroupLink("g_top", "Top")),
                ),
                Way("role", "Buyer", BEGINNING),
            ],
        ),
    ],
)
def test_every_way_to_a_right_is_told(scene: Scene, build: Build, ways: list[Way]) -> None:
    key_id = build(scene)
    with scene.at(NOW) as unit:
        explanation = explain(unit, key_id)
    assert explanation.broken is None
    assert explanation.key.state is KeyState.active
    assert explanation.summary == "The key works, for 'orders'."
    (right,) = explanation.rights
    assert right.counts
    assert right.broken is None
    assert right.grant is not None
    assert right.grant.since == min(way.since for way in ways)
    assert list(right.grant.ways) == ways
    assert (right.entitlement.value, right.entitlement.audience, right.entitlement.scopes) == (
        "orders",
        "orders",
        ("orders.read",),
    )


def entitlement_deleted(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    scene.mapping("ent_gone", "direct", "orders", until=NOW - HOUR)
    return scene.key("ada", "ent_gone")


def inactive(scene: Scene) -> str:
    scene.user("ada", active=[(0, NOW - HOUR)])
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"))


def inactive_for_too_long(scene: Scene) -> str:
    scene.user("ada", active=[(0, NOW - DAY)])
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"))


def back_after_too_long(scene: Scene) -> str:
    scene.user("ada", active=[(0, 2 * DAY), (4 * DAY, None)])
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"))


def deleted(scene: Scene) -> str:
    scene.user("ada", active=[(0, NOW - HOUR)], deleted=NOW - HOUR)
    scene.value("ada", "orders", until=NOW - HOUR)
    return scene.key("ada", scene.entitlement("orders"))


def access_over(scene: Scene) -> str:
    scene.user("ada", active=[(0, NOW - HOUR)], ends=NOW - HOUR)
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"))


def access_to_come(scene: Scene) -> str:
    scene.user("ada", starts=NOW + HOUR)
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"))


def value_taken_away(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders", until=NOW - HOUR)
    return scene.key("ada", scene.entitlement("orders", roles=("Buyer",)))


def in_no_mapped_group(scene: Scene) -> str:
    scene.user("ada")
    scene.group("g_all", "All")
    scene.member("g_all", "ada", until=NOW - HOUR)
    return scene.key("ada", scene.entitlement("orders", groups=("g_all",)))


def out_of_the_middle_group(scene: Scene) -> str:
    scene.user("ada")
    scene.group("g_team", "Team")
    scene.group("g_all", "All")
    scene.member("g_team", "ada")
    scene.member("g_all", "g_team", kind="Group", until=NOW - HOUR)
    return scene.key("ada", scene.entitlement("orders", groups=("g_all",)))


def newer_than_the_key(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders", since=2 * HOUR)
    return scene.key("ada", scene.entitlement("orders"))


def revoked_by_hand(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"), revoked=(NOW - HOUR, "leaked in a chat"))


def revoked_after_a_lapse(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"), revoked=(NOW - HOUR, "right_lapsed"))


def expired(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"), expires=NOW)


def unclaimed(scene: Scene) -> str:
    scene.user("ada")
    scene.value("ada", "orders")
    return scene.key("ada", scene.entitlement("orders"), claimed=False)


@pytest.mark.parametrize(
    ("build", "state", "code", "since", "words"),
    [
        (entitlement_deleted, "revoked", "entitlement_deleted", None, "no such entitlement any more"),
        (
            inactive,
            "dormant",
            "consumer_inactive",
            NOW - HOUR,
            "works again if that changes before 2027-01-26T07",
        ),
        (inactive_for_too_long, "revoked", "right_lapsed", NOW - DAY, "recovery window (1 day)"),
        (
            back_after_too_long,
            "revoked",
            "right_lapsed",
            2 * DAY,
            "away from 2027-01-17T08:00:00Z until 2027-01-19T",
        ),
        (deleted, "dormant", "consumer_deleted", NOW - HOUR, "was deleted at 2027-01-25T07:00:00Z"),
        (access_over, "dormant", "access_ended", NOW - HOUR, "ended at 2027-01-25T07:00:00Z"),
        (access_to_come, "active", "access_not_started", None, "starts only at 2027-01-25T09:00:00Z"),
        (value_taken_away, "dormant", "no_grant", NOW - HOUR, "value 'orders', has no role 'Buyer'"),
        (in_no_mapped_group, "dormant", "no_grant", NOW - HOUR, "no group mapped to it: 'All' (g_all)"),
        (out_of_the_middle_group, "dormant", "no_grant", NOW - HOUR, "no group mapped to it: 'All' (g_all)"),
        (newer_than_the_key, "revoked", "right_lapsed", 2 * HOUR, "after the key was issued"),
        (revoked_by_hand, "revoked", "key_revoked", NOW - HOUR, "'leaked in a chat'"),
        (revoked_after_a_lapse, "revoked", "key_revoked", NOW - HOUR, "longer than the recovery window"),
        (expired, "expired", "key_expired", NOW, "expired at 2027-01-25T08:00:00Z"),
        (unclaimed, "issued", "key_unclaimed", None, "not claimed"),
    ],
)
def test_the_first_broken_link_is_told(
    scene: Scene, build: Build, state: str, code: str, since: int | None, words: str
) -> None:
    key_id = build(scene)
    with scene.at(NOW) as unit:
        explanation = explain(unit, key_id)
    assert explanation.key.state == state
    assert explanation.broken is not None
    assert explanation.broken.code == code
    assert explanation.broken.since == (None if since is None else BEGINNING + since)
    assert words in explanation.broken.detail
    assert explanation.summary == f"The key does not work: {explanation.broken.detail}."


BUILDS: list[Build] = [
    by_value,
    by_role,
    by_nested_group,
    by_everything,
    inactive,
    inactive_for_too_long,
    back_after_too_long,
    deleted,
    access_over,
    access_to_come,
    value_taken_away,
    in_no_mapped_group,
    out_of_the_middle_group,
    newer_than_the_key,
    revoked_by_hand,
    expired,
]


@pytest.mark.parametrize("build", BUILDS)
def test_it_says_what_the_gate_says(scene: Scene, build: Build) -> None:
    key_id = build(scene)
    found = look_up(Store(scene.engine), scene.peppers, TENANT, scene.secrets[key_id])
    assert found is not None
    decision = decide(found.holding, Call(frozenset(), frozenset(), None, None), BEGINNING + NOW)
    with scene.at(NOW) as unit:
        broken = explain(unit, key_id).broken
    assert (decision.reason.code if isinstance(decision, Deny) else None) == (broken.code if broken else None)


@pytest.mark.parametrize("build", BUILDS)
def test_it_says_what_the_standing_and_the_grants_say(scene: Scene, build: Build) -> None:
    key_id = build(scene)
    with scene.at(NOW) as unit:
        explanation = explain(unit, key_id)
        assert explanation.key == standings(unit, key_table.c.id == key_id)[key_id]
        granted = {each.entitlement_id: set(each.reasons) for each in grants(unit, ["ada"])}
        told = explain_consumer(unit, "ada")
    assert {right.entitlement.id for right in explanation.rights if right.counts} == explanation.key.rights
    assert {
        right.entitlement.id: {Reason(way.reason, way.via) for way in right.grant.ways}
        for right in explanation.rights
        if right.grant is not None
    } == granted
    assert {each.entitlement.id for each in told.grants} == granted.keys()


def test_of_several_rights_each_is_told(scene: Scene) -> None:
    scene.user("ada")
    scene.value("ada", "orders")
    key_id = scene.key("ada", scene.entitlement("orders"), scene.entitlement("invoices"))
    with scene.at(NOW) as unit:
        explanation = explain(unit, key_id)
    told = [(right.entitlement.value, right.counts, right.broken is None) for right in explanation.rights]
    assert told == [("invoices", False, False), ("orders", True, True)]
    assert explanation.broken is None


def test_a_bridged_gap_does_not_renew_a_right(scene: Scene) -> None:
    scene.user("ada", active=[(0, 2 * DAY), (2 * DAY + HOUR, None)])
    scene.value("ada", "orders")
    key_id = scene.key("ada", scene.entitlement("orders"))
    with scene.at(NOW) as unit:
        (right,) = explain(unit, key_id).rights
    assert right.counts
    assert right.grant is not None
    assert right.grant.since == BEGINNING


def test_what_another_tenant_has_is_not_explained(scene: Scene) -> None:
    key_id = by_value(scene)
    scene.tenant("ten_2")
    with scene.at(NOW, tenant="ten_2") as unit:
        with pytest.raises(NothingToExplain):
            explain(unit, key_id)
        with pytest.raises(NothingToExplain):
            explain_consumer(unit, "ada")
        assert unmatched_values(unit) == []


def test_what_does_not_exist_is_not_explained(scene: Scene) -> None:
    with scene.at(NOW) as unit, pytest.raises(NothingToExplain):
        explain(unit, "key_nowhere")


def test_a_deep_nesting_is_told_to_its_end(scene: Scene) -> None:
    depth = 1200
    scene.user("ada")
    with scene.engine.execution_options(writing=True).begin() as connection:
        rows = [("ada", "g_0", "User"), *((f"g_{n}", f"g_{n + 1}", "Group") for n in range(depth))]
        connection.execute(
            membership.insert(),
            [
                {"tenant_id": "ten_1", "member_id": member, "group_id": group, "member_type": kind,
                 "since": BEGINNING, "until": FOREVER, "tolerance": DAY}
                for member, group, kind in rows
            ],
        )  # fmt: skip
    key_id = scene.key("ada", scene.entitlement("orders", groups=(f"g_{depth}",)))
    with scene.at(NOW) as unit:
        (right,) = explain(unit, key_id).rights
    assert right.grant is not None
    assert len(right.grant.ways[0].groups) == depth + 1


def test_a_consumer_is_told_with_what_it_carries_in_vain(scene: Scene) -> None:
    by_value(scene)
    scene.value("ada", "typo")
    scene.value("ada", "Nobody", kind="role")
    scene.value("ada", "old", until=DAY)
    with scene.at(NOW) as unit:
        explanation = explain_consumer(unit, "ada")
    assert explanation.broken is None
    assert [each.entitlement.value for each in explanation.grants] == ["orders"]
    assert [(each.kind, each.value) for each in explanation.unmatched] == [
        ("direct", "typo"),
        ("role", "Nobody"),
    ]
    assert [key.state for key in explanation.keys] == [KeyState.active]


def test_an_inactive_consumer_holds_nothing_and_it_says_why(scene: Scene) -> None:
    inactive(scene)
    with scene.at(NOW) as unit:
        explanation = explain_consumer(unit, "ada")
    assert explanation.grants == ()
    assert explanation.broken is not None
    assert explanation.broken.code == "consumer_inactive"


def test_unmatched_values_are_those_that_no_mapping_of_their_kind_names(scene: Scene) -> None:
    scene.user("ada")
    scene.user("bob")
    scene.entitlement("orders", roles=("Buyer",))
    for user_id in ("bob", "ada"):
        scene.value(user_id, "orders")
        scene.value(user_id, "Buyer")  # as an entitlement, it names nothing
        scene.value(user_id, "Buyer", kind="role")
    scene.value("bob", "retired", kind="role")
    scene.mapping("ent_orders", "role", "retired", until=DAY)
    buyer = UnmatchedValue("direct", "Buyer", ("ada", "bob"))
    retired = UnmatchedValue("role", "retired", ("bob",))
    with scene.at(NOW) as unit:
        assert unmatched_values(unit) == [buyer, retired]
        assert unmatched_values(unit, "ada") == [UnmatchedValue("direct", "Buyer", ("ada",))]
