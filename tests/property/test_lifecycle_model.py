"""Whatever is done to directory and keys, in any order: rights and keys are what the design's rules say."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.http.conftest import Tenant
from tests.property.lifecycle_machine import LifecycleMachine

STEPS = 10_000


def driven(found: Callable[..., Tenant], *, runs: int, length: int) -> int:
    """Drive new tenants in random order; return how many steps were made."""

    class Machine(LifecycleMachine):
        steps = [0]  # noqa: RUF012

    Machine.found = staticmethod(found)
    limits = settings(
        max_examples=runs,
        stateful_step_count=length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=limits)
    return Machine.steps[0]


def test_directory_and_keys_follow_the_model(found: Callable[..., Tenant]) -> None:
    assert driven(found, runs=4, length=25) > 0


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_directory_and_keys_follow_the_model_for_ten_thousand_steps(found: Callable[..., Tenant]) -> None:
    made, began = 0, monotonic()
    while made < STEPS:
        made += driven(found, runs=3, length=100)
        print(f"{made} steps in {monotonic() - began:.0f} seconds, no difference", flush=True)
