"""A longer recovery window wakes no key that is dead under the shorter one (P8)."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.access.errors import SettingInvalid
from app.operator.tenants import change_settings, revoke_lapsed
from app.rights.standing import KeyState, standings
from app.store.tables import event, key
from app.store.unit_of_work import Store
from tests.unit.rights.scene import DAY, HOUR, TENANT, Scene

NOW = 10 * DAY


@pytest.fixture
def scene(set_up_engine: Engine) -> Scene:
    scene = Scene(set_up_engine)
    scene.entitlement("orders")
    for user_id, gone in (("held", None), ("dormant", NOW - HOUR), ("dead", NOW - DAY)):
        scene.user(user_id)
        scene.value(user_id, "orders", until=gone)
        scene.key(user_id, "ent_orders")
    scene.user("late")
    scene.value("late", "orders", since=2 * HOUR)
    scene.key("late", "ent_orders")
    scene.user("gone")
    scene.key("gone", "ent_orders", revoked=(DAY, "leaked"))
    return scene


def states(scene: Scene, moment: int) -> dict[str, tuple[KeyState, str | None]]:
    with scene.at(moment) as unit:
        return {each.consumer_id: (each.state, each.reason) for each in standings(unit, sa.true()).values()}


def test_raising_the_window_first_revokes_what_is_dead(scene: Scene) -> None:
    before = states(scene, NOW)
    with scene.at(NOW) as unit:
        change_settings(unit, recovery_window=30 * DAY)
    scene.recovery_window = 30 * DAY
    assert states(scene, NOW) == before
    assert before["dead"] == before["late"] == (KeyState.revoked, "right_lapsed")
    assert before["held"] == (KeyState.active, None)
    assert before["dormant"] == (KeyState.dormant, None)
    scene.value("dead", "orders", since=NOW + HOUR)
    scene.value("dormant", "orders", since=NOW + 5 * DAY)
    after = states(scene, NOW + 6 * DAY)
    assert after["dead"] == (KeyState.revoked, "right_lapsed")
    assert after["dormant"] == (KeyState.active, None)
    assert after["gone"] == (KeyState.revoked, "leaked")


def test_each_dead_key_is_told_once(scene: Scene) -> None:
    with scene.at(NOW) as unit:
        assert revoke_lapsed(unit) == 2
        assert revoke_lapsed(unit) == 0
        told = unit.execute(sa.select(event.c.data).where(event.c.type == "key.revoked")).scalars().all()
    assert sorted(each["consumer"] for each in told) == ["dead", "late"]
    assert {each["reason"] for each in told} == {"right_lapsed"}


@pytest.mark.parametrize("window", [DAY, HOUR, 0, None])
def test_another_window_than_a_longer_one_revokes_nothing_by_itself(scene: Scene, window: int | None) -> None:
    with scene.at(NOW) as unit:
        change_settings(unit, recovery_window=window, unmatched_values="refuse")
        revoked = sa.select(sa.func.count()).select_from(key).where(key.c.revoked_at.is_not(None))
        assert unit.execute(revoked).scalar_one() == 1


def test_a_window_out_of_range_changes_nothing(scene: Scene) -> None:
    store = Store(scene.engine)
    for window in (-1, 400 * DAY):
        with pytest.raises(SettingInvalid), store.writing(TENANT, actor="test") as unit:
            change_settings(unit, recovery_window=window)
    with scene.at(NOW) as unit:
        assert unit.execute(sa.select(sa.func.count()).select_from(event)).scalar_one() == 0


def test_a_living_key_loses_the_rights_that_are_dead_under_the_old_window(scene: Scene) -> None:
    scene.entitlement("invoices")
    scene.user("both")
    scene.value("both", "orders")
    scene.value("both", "invoices", until=NOW - DAY)
    scene.key("both", "ent_orders", "ent_invoices")
    with scene.at(NOW) as unit:
        change_settings(unit, recovery_window=30 * DAY)
    scene.recovery_window = 30 * DAY
    scene.value("both", "invoices", since=NOW + HOUR)
    with scene.at(NOW + DAY) as unit:
        (standing,) = standings(unit, key.c.consumer_id == "both").values()
    assert standing.state is KeyState.active
    assert standing.rights == {"ent_orders"}
