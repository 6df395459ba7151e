"""A connection is held to its rate; no other pays for it, and who is patient gets through."""

from __future__ import annotations

import threading

import pytest

from app.access.rate_limit import LEAST_SHARE, RateLimit, TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def let_through(limit: RateLimit, clock: Clock, seconds: float, per_second: int, name: str = "a") -> int:
    passed = 0
    for _ in range(int(seconds * per_second)):
        clock.now += 1 / per_second
        try:
            limit.take(name)
        except TooManyRequests:
            continue
        passed += 1
    return passed


def test_a_connection_is_held_to_its_rate_and_no_other_pays_for_it() -> None:
    clock = Clock()
    limit = RateLimit(25, clock=clock)
    assert 25 * 60 <= let_through(limit, clock, 60, 400) <= 25 * 62
    assert let_through(limit, clock, 1, 25, "b") == 25
    assert let_through(limit, clock, 60, 25, "c") == 25 * 60, "who keeps to the rate is never refused"


def test_the_shares_of_all_workers_are_the_limit() -> None:
    clock = Clock()
    workers = [RateLimit(100, workers=4, clock=clock) for _ in range(4)]
    passed = 0
    for _ in range(4000):
        clock.now += 1 / 400
        for each in workers:
            try:
                each.take("a")
            except TooManyRequests:
                continue
            passed += 1
    assert 100 * 10 <= passed <= 100 * 12


@pytest.mark.parametrize("per_second", [1, 7, 1000])
def test_who_waits_as_long_as_he_is_told_gets_through(per_second: int) -> None:
    clock = Clock()
    limit = RateLimit(per_second, workers=8, clock=clock)
    waits = []
    for _ in range(10 * per_second):
        try:
            limit.take("a")
        except TooManyRequests as refused:
            waits.append(refused.retry_after)
            clock.now += refused.retry_after
            limit.take("a")
    assert waits
    assert min(waits) >= 1


@pytest.mark.parametrize("workers", [1, 2, 8, 64])
def test_one_worker_alone_serves_what_entra_asks_for(workers: int) -> None:
    clock = Clock()
    limit = RateLimit(200, workers=workers, clock=clock)
    assert let_through(limit, clock, 60, 25) == 25 * 60


@pytest.mark.parametrize(("per_second", "burst", "workers"), [(200, 400, 16), (3, 30, 4), (200, 1, 2)])
def test_all_workers_together_keep_to_the_bound_that_is_promised(
    per_second: int, burst: int, workers: int
) -> None:
    clock = Clock()
    limits = [RateLimit(per_second, burst=burst, workers=workers, clock=clock) for _ in range(workers)]
    passed = sum(let_through(each, clock, 10, 400) for each in limits)
    share = max(per_second / workers, min(per_second, LEAST_SHARE))
    size = max(burst * share / per_second, 1)
    # Who comes at fixed moments is up to one moment late each time, which counts where the burst is one.
    assert workers * share * 10 * 0.8 <= passed <= workers * (size + share * 10)


def test_threads_that_take_at_once_get_no_more_than_there_is() -> None:
    limit = RateLimit(1, burst=100, clock=lambda: 0.0)
    passed = []

    def take() -> None:
        for _ in range(50):
            try:
                limit.take("a")
            except TooManyRequests:
                continue
            passed.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(passed) == 100


def test_a_clock_that_is_looked_at_out_of_order_takes_nothing_away() -> None:
    clock = Clock()
    limit = RateLimit(1, burst=1, clock=clock)
    clock.now = 10.0
    limit.take("a")
    clock.now = 9.0
    with pytest.raises(TooManyRequests):
        limit.take("a")
    clock.now = 11.0
    limit.take("a")
