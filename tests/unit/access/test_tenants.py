from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.access.errors import NameInvalid, NameTaken, SettingInvalid, TenantMissing
from app.access.tenants import (
    DEFAULT_RECOVERY_WINDOW,
    Tenant,
    change_tenant,
    create_tenant,
    founding,
    get_tenant,
    list_tenants,
    this_tenant,
)
from app.ledger.events import timeline
from app.store.tables import event
from app.store.unit_of_work import Store, Unit

HOUR = 3600 * 1_000_000


def nothing(unit: Unit) -> None:
    raise AssertionError("the window was not raised")


def test_a_tenant_is_found_by_name_and_by_id(store: Store, tenant: Tenant) -> None:
    other = create_tenant(store, "Other Ltd.", recovery_window=0, unmatched_values="refuse")
    assert get_tenant(store, "acme") == get_tenant(store, tenant.id) == tenant
    assert (tenant.recovery_window, tenant.unmatched_values) == (DEFAULT_RECOVERY_WINDOW, "keep")
    assert (other.recovery_window, other.unmatched_values) == (0, "refuse")
    assert list_tenants(store) == [other, tenant]
    with pytest.raises(TenantMissing):
        get_tenant(store, "nobody")


def test_an_id_goes_before_a_name(store: Store, tenant: Tenant) -> None:
    create_tenant(store, tenant.id)
    assert get_tenant(store, tenant.id) == tenant


def test_creating_writes_an_event(store: Store, tenant: Tenant) -> None:
    with store.reading(tenant.id) as unit:
        (created,) = timeline(unit)
    assert (created.type, created.subject) == ("tenant.created", f"tenant/{tenant.id}")
    assert created.data == {
        "name": "acme",
        "recoveryWindow": DEFAULT_RECOVERY_WINDOW,
        "unmatchedValues": "keep",
    }


@pytest.mark.parametrize("name", ["", " acme", "acme ", "a\nb", "a\0b", "x" * 101])
def test_a_name_that_cannot_be_read_is_refused(store: Store, name: str) -> None:
    with pytest.raises(NameInvalid):
        create_tenant(store, name)
    assert list_tenants(store) == []


def test_a_name_is_taken_once(store: Store, tenant: Tenant) -> None:
    with pytest.raises(NameTaken):
        create_tenant(store, "acme")
    assert list_tenants(store) == [tenant]


def test_a_founding_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), founding(store, "acme"):
        raise ZeroDivisionError
    assert list_tenants(store) == []
    with store.engine.begin() as connection:
        assert connection.execute(sa.select(event)).all() == []


@pytest.mark.parametrize(("window", "values"), [(-1, "keep"), (367 * 24 * HOUR, "keep"), (0, "drop")])
def test_settings_out_of_range_are_refused(store: Store, tenant: Tenant, window: int, values: str) -> None:
    with pytest.raises(SettingInvalid):
        create_tenant(store, "other", recovery_window=window, unmatched_values=values)
    with pytest.raises(SettingInvalid), store.writing(tenant.id, actor="system") as unit:
        change_tenant(unit, before_raising=nothing, recovery_window=window, unmatched_values=values)
    assert list_tenants(store) == [tenant]


def test_before_the_window_is_raised_the_caller_can_settle_what_is_dead(store: Store, tenant: Tenant) -> None:
    seen = []

    def settle(unit: Unit) -> None:
        seen.append((unit.recovery_window, this_tenant(unit).recovery_window))

    with store.writing(tenant.id, actor="system") as unit:
        changed = change_tenant(unit, before_raising=settle, recovery_window=48 * HOUR)
    assert seen == [(DEFAULT_RECOVERY_WINDOW, DEFAULT_RECOVERY_WINDOW)]
    assert get_tenant(store, "acme") == changed
    assert changed.recovery_window == 48 * HOUR


def test_a_window_stays_when_what_is_dead_cannot_be_settled(store: Store, tenant: Tenant) -> None:
    def fail(unit: Unit) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.writing(tenant.id, actor="system") as unit:
        change_tenant(unit, before_raising=fail, recovery_window=48 * HOUR)
    assert get_tenant(store, "acme").recovery_window == DEFAULT_RECOVERY_WINDOW


def test_a_change_writes_what_changed_and_no_change_writes_nothing(store: Store, tenant: Tenant) -> None:
    with store.writing(tenant.id, actor="cli:ada") as unit:
        change_tenant(unit, before_raising=nothing)
        change_tenant(unit, before_raising=nothing, recovery_window=HOUR, unmatched_values="keep")
        change_tenant(unit, before_raising=nothing, unmatched_values="refuse")
        _, first, second = timeline(unit)
    assert {first.type, second.type} == {"tenant.changed"}
    assert {first.actor, second.actor} == {"cli:ada"}
    assert first.data == {"recoveryWindow": {"from": DEFAULT_RECOVERY_WINDOW, "to": HOUR}}
    assert second.data == {"unmatchedValues": {"from": "keep", "to": "refuse"}}
