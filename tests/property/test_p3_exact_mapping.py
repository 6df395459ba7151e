"""P3: which grants exist is a pure function of the directory's state, in whatever order it was reached."""

from __future__ import annotations

from collections import Counter
from random import Random

import sqlalchemy as sa
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from app.access.tenants import create_tenant
from app.rights.grants import grants
from app.rights.standing import KeyState, standings
from app.store.unit_of_work import Store, Unit, new_id
from tests.property.shuffled_writes import (
    DETOURS,
    DIRECTORIES,
    DirectoryState,
    Names,
    Write,
    detours,
    piecemeal,
    shuffled,
    whole,
)

DAY = 24 * 3600 * 1_000_000

Grants = dict[tuple[str, str], set[tuple[str, str]]]
LiveKeys = Counter[tuple[str, frozenset[str], str]]


def written(
    store: Store, writes: list[Write], *, recovery_window: int, at_once: bool
) -> tuple[Grants, LiveKeys]:
    """Make the writes in a new tenant, each in a unit of work of its own or all in one; say what follows."""
    tenant_id = create_tenant(store, f"tenant-{new_id()}", recovery_window=recovery_window).id
    names = Names()
    if at_once:
        with store.writing(tenant_id, actor="test") as unit:
            for write in writes:
                write.do(unit, names)
    else:
        for write in writes:
            with store.writing(tenant_id, actor="test") as unit:
                write.do(unit, names)
    with store.reading(tenant_id) as unit:
        return what_follows(unit, names)


def what_follows(unit: Unit, names: Names) -> tuple[Grants, LiveKeys]:
    """Return the grants and the keys that live, by names."""
    called = {resource_id: name for name, resource_id in names.ids.items()}
    granted = {
        (called[each.consumer_id], called[each.entitlement_id]): {
            (reason.reason, called.get(reason.via, reason.via)) for reason in each.reasons
        }
        for each in grants(unit)
    }
    live = Counter(
        (called[each.consumer_id], frozenset(called[right] for right in each.rights), str(each.state))
        for each in standings(unit, sa.true()).values()
        if each.state in (KeyState.issued, KeyState.active)
    )
    return granted, live


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    state=DIRECTORIES,
    kinds=st.lists(st.sampled_from(DETOURS), max_size=6),
    random=st.randoms(use_true_random=False),
    recovery_window=st.sampled_from([0, DAY]),
    at_once=st.booleans(),
)
def test_p3_the_same_directory_gives_the_same_grants_and_live_keys_in_any_order(
    shared_engine: Engine,
    state: DirectoryState,
    kinds: list[str],
    random: Random,
    recovery_window: int,
    at_once: bool,
) -> None:
    store = Store(shared_engine)
    expected = state.grants()
    due = Counter(
        (user, frozenset({value}), "issued")
        for user, value in expected
        if state.entitlements[value].automatic
    )
    made_whole = shuffled(whole(state), random)
    winding = shuffled([*piecemeal(state), *detours(state, kinds, random)], random)
    for writes, one_unit in ((made_whole, False), (winding, at_once)):
        note(f"at once: {one_unit}; {' / '.join(each.label for each in writes)}")
        granted, live = written(store, writes, recovery_window=recovery_window, at_once=one_unit)
        assert granted == expected
        assert live == due
