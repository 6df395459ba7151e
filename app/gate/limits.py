"""Limits on how often a right may be used: rates and quotas, counted over all processes and nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol

from app.gate.decision import Allow, Deny, LimitState, Right
from app.gate.reasons import Reason
from app.rights.conditions.limits import Rate
from app.store.limit_use import NO_LIMIT, LimitUse
from app.store.unit_of_work import wall_clock

KEPT_FOR: Final = 62 * 86_400
"""For how many seconds without a use a counter is kept: longer than a month, and than a bucket may fill."""

_RATE: Final = "rate"


class Limits(Protocol):
    """Counts uses against the rates and quotas of rights."""

    def take(self, allowed: Allow, now: int) -> Allow | Deny:
        """Count the use against the limits of the rights that satisfied the question.

        A right without any costs nothing. The decision that is returned has the limits in its ``limits``.
        """


class CountedLimits:
    """Counts for each consumer and entitlement, whichever of the consumer's keys is used.

    A right that has no limits lets a call pass by itself, and then nothing is counted. Of several that have
    some, the first whose limits allow the call is the one that it is counted against. The decision names only
    the rights by which the call passes. What is denied is not counted.
    """

    def __init__(self, uses: LimitUse) -> None:
        self._uses = uses

    def take(self, allowed: Allow, now: int) -> Allow | Deny:
        """Count the use (``now`` in microseconds).

        :raises StoreUnavailable: when the counters do not answer.
        """
        free = tuple([right for right in allowed.rights if not right.said.limited])
        if free:
            return allowed if len(free) == len(allowed.rights) else Allow(allowed.holding, free)
        denials = []
        for right in allowed.rights:
            passes, states = self._counted(allowed.holding.consumer_id, right, now)
            if passes:
                return Allow(allowed.holding, (right,), states)
            denials.append(states)
        soonest = min(denials, key=wait)
        by_rate = all(each.name == _RATE for each in used_up(soonest))
        reason = Reason.RATE_EXCEEDED if by_rate else Reason.QUOTA_EXCEEDED
        return Deny(reason, allowed.holding, soonest)

    def forget(self) -> None:
        """Forget counters that count for nothing any more.

        :raises StoreUnavailable: when the counters do not answer.
        """
        self._uses.forget((wall_clock() - KEPT_FOR * 1_000_000) * 1000)

    def _counted(self, consumer_id: str, right: Right, now: int) -> tuple[bool, tuple[LimitState, ...]]:
        rate, quota = right.said.rate, right.said.quota
        interval = 0 if rate is None else rate.interval
        day = None if quota is None or quota.by_day is None else quota.day(now)
        month = None if quota is None or quota.by_month is None else quota.month(now)
        passes, row = self._uses.count(
            consumer_id,
            right.entitlement_id,
            now=now * 1000,
            rate=None if rate is None else str(rate),
            interval=interval,
            tolerance=NO_LIMIT if rate is None else rate.burst * interval,
            full_at=now * 1000 + interval,
            day=0 if day is None else day.number,
            day_most=NO_LIMIT if day is None or quota is None else quota.by_day,
            month=0 if month is None else month.number,
            month_most=NO_LIMIT if month is None or quota is None else quota.by_month,
        )
        states: list[LimitState] = []
        if rate is not None:
            states.append(_rate_state(rate, row, now * 1000))
        if quota is not None:
            for name, most, period, counted_in, uses in (
                ("day", quota.by_day, day, row.day, row.day_uses),
                ("month", quota.by_month, month, row.month, row.month_uses),
            ):
                if most is not None and period is not None:
                    left = most - (uses if counted_in >= period.number else 0)
                    wait_for = _seconds((period.ends_at - now) * 1000)
                    states.append(LimitState(name, most, period.seconds, max(left, 0), wait_for))
        return passes, tuple(states)


def _rate_state(rate: Rate, row: Any, now: int) -> LimitState:
    interval = rate.interval
    missing = max(row.full_at - max(now, row.used_at), 0) if row.rate == str(rate) else 0
    there = max(rate.burst * interval - missing, 0)
    left = there // interval
    return LimitState(_RATE, rate.requests, rate.seconds, left, _seconds((left + 1) * interval - there))


def used_up(states: tuple[LimitState, ...]) -> Iterator[LimitState]:
    """Yield the limits that keep a call from passing."""
    return (each for each in states if each.left == 0)


def wait(states: tuple[LimitState, ...]) -> int:
    """Return after how many seconds a call that was denied may pass, at least one."""
    return max((each.resets_in for each in used_up(states)), default=1)


def _seconds(nanoseconds: int) -> int:
    return max(-(-nanoseconds // 1_000_000_000), 1)
