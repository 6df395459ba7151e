"""The gate's decision: a pure function of what a key holds, what is asked, and the moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from app.gate.conditions import JUDGED, Judge, judges
from app.gate.conditions.cedar import policy_denies
from app.gate.reasons import Reason
from app.rights.conditions import Conditions, conditions_of
from app.rights.continuity import Held, Interval, Lapsed, continuity
from app.store.tables import FOREVER


@dataclass(frozen=True, slots=True, eq=False)
class Right:
    """An entitlement of a key, as it is now, and the times in which the directory carried it.

    ``conditions`` are those that are stored; ``said`` is what they say, and ``judges`` what judges them.
    """

    entitlement_id: str
    value: str
    audience: str | None
    scopes: tuple[str, ...]
    conditions: Mapping[str, Any]
    intervals: tuple[Interval, ...]
    said: Conditions = field(init=False, repr=False, compare=False)
    judges: tuple[tuple[int, Judge], ...] = field(init=False, repr=False, compare=False)
    granted: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "said", conditions_of(self.conditions))
        object.__setattr__(self, "judges", judges(self.said))
        object.__setattr__(self, "granted", frozenset(self.scopes))


@dataclass(frozen=True, slots=True)
class Person:
    """What the directory says of a user, for policies that ask for it."""

    user_type: str | None
    department: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Holding:
    """Everything that is known of a key when it is used. Times in microseconds.

    ``rights`` leaves out entitlements that no longer exist. ``recovery_window`` is the tenant's.
    ``secret_replaced_at`` and ``secret_ends_at`` are there when the secret was rotated out;
    ``reuse_reported_at``: when somebody's use of it, dead as it was, was last reported. ``sponsor_until``:
    until when the sponsor is active, of a service user whose keys are dormant without it. ``status_index``:
    the secret's place in the tenant's status lists. ``person`` is there when one of the rights has a policy.
    """

    key_id: str
    tenant_id: str
    consumer_id: str
    user_name: str
    issued_at: int
    expires_at: int | None
    revoked_at: int | None
    revoked_reason: str | None
    secret_id: str
    secret_ends_at: int | None
    secret_replaced_at: int | None
    reuse_reported_at: int | None
    active: bool
    deleted: bool
    access_starts_at: int | None
    access_ends_at: int | None
    recovery_window: int
    rights: tuple[Right, ...]
    sponsor_until: int | None = None
    status_index: int | None = None
    person: Person | None = None


@dataclass(frozen=True, slots=True)
class LimitState:
    """What a limit leaves to its user. ``resets_in``: seconds until there is more again, at least one.

    ``quota`` requests in ``window`` seconds are what the limit allows.
    """

    name: str
    quota: int
    window: int
    left: int
    resets_in: int


class Call(Struct, frozen=True):
    """What is asked: the audiences and scopes that must all be met, and the call itself when it is known.

    ``client``: the address of the caller of the API, as text, when it is known. ``properties``: what the
    application says of the resource and the action, by names such as ``resource.status``; None where it is
    not the application that asks.
    """

    audiences: frozenset[str]
    scopes: frozenset[str]
    method: str | None
    path: str | None
    client: str | None = None
    properties: Mapping[str, Any] | None = None


class Allow(Struct, frozen=True):
    """The call may pass. ``rights``: those that each satisfy the whole question, in the key's order.

    ``limits``: those that the use was counted against.
    """

    holding: Holding
    rights: tuple[Right, ...]
    limits: tuple[LimitState, ...] = ()


class Deny(Struct, frozen=True):
    """The call may not pass. ``holding`` is there when the key is known.

    ``limits`` is there when they are the reason; those with nothing left are.
    """

    reason: Reason
    holding: Holding | None = None
    limits: tuple[LimitState, ...] = ()


def decide(holding: Holding, call: Call, now: int) -> Allow | Deny:
    """Decide one use of a known key. One single entitlement must satisfy the whole question.

    A dead key gets the truest reason first: what can never come back before what may.
    """
    held = standing(holding, now)
    return held if isinstance(held, Deny) else answer(holding, held, call, now)


def standing(holding: Holding, now: int) -> tuple[Right, ...] | Deny:
    """Return the rights that a key holds at a moment, or why it can be used for nothing."""
    if holding.revoked_at is not None:
        return Deny(Reason.KEY_REVOKED, holding)
    if holding.deleted:
        return Deny(Reason.CONSUMER_DELETED, holding)
    if holding.expires_at is not None and holding.expires_at <= now:
        return Deny(Reason.KEY_EXPIRED, holding)
    if holding.secret_ends_at is not None and holding.secret_ends_at <= now:
        return Deny(Reason.SECRET_ROTATED, holding)
    if holding.issued_at > now:
        return Deny(Reason.CLOCK_ABSURD, holding)
    judged = [
        (
            right,
            continuity(
                right.intervals,
                issued_at=holding.issued_at,
                now=now,
                recovery_window=holding.recovery_window,
            ),
        )
        for right in holding.rights
    ]
    if all(isinstance(state, Lapsed) for _, state in judged):
        return Deny(Reason.RIGHT_LAPSED, holding)
    if not holding.active:
        return Deny(Reason.CONSUMER_INACTIVE, holding)
    if holding.access_starts_at is not None and now < holding.access_starts_at:
        return Deny(Reason.ACCESS_NOT_STARTED, holding)
    if holding.access_ends_at is not None and holding.access_ends_at <= now:
        return Deny(Reason.ACCESS_ENDED, holding)
    if holding.sponsor_until is not None and holding.sponsor_until <= now:
        return Deny(Reason.SPONSOR_ABSENT, holding)
    held = tuple([right for right, state in judged if isinstance(state, Held)])
    return held or Deny(Reason.NO_GRANT, holding)


def stands_until(holding: Holding, now: int) -> int:
    """Return the first moment after another at which :func:`standing` may say something else."""
    moments = [
        holding.expires_at,
        holding.secret_ends_at,
        holding.issued_at,
        holding.access_starts_at,
        holding.access_ends_at,
        holding.sponsor_until,
    ]
    for right in holding.rights:
        for each in right.intervals:
            moments += (each.since, each.until, each.until + holding.recovery_window, each.held_until)
    return min((moment for moment in moments if moment is not None and moment > now), default=FOREVER)


_POLICY_FORBIDS: Final = len(JUDGED)
_STEPS: Final = (
    *(reason for reason, _, _ in JUDGED),
    Reason.POLICY_FORBIDS,
    Reason.POLICY_ERROR,
)
_AUDIENCE: Final = -2
_SCOPES: Final = -1


def answer(holding: Holding, held: Sequence[Right], call: Call, now: int) -> Allow | Deny:
    """Return whether one of the rights that are held satisfies the whole question.

    A denial tells what the right that comes furthest fails at.
    """
    passing, furthest = [], _AUDIENCE
    for right in held:
        failed = _failed(holding, right, call, now)
        if failed is None:
            passing.append(right)
        elif failed > furthest:
            furthest = failed
    if passing:
        return Allow(holding, tuple(passing))
    if furthest == _AUDIENCE:
        return Deny(Reason.AUDIENCE_MISMATCH, holding)
    return Deny(Reason.SCOPE_MISSING if furthest == _SCOPES else _STEPS[furthest], holding)


def _failed(holding: Holding, right: Right, call: Call, now: int) -> int | None:
    """Return the first step of the question that a right does not satisfy; policies last: they cost most."""
    if right.audience is not None and call.audiences and call.audiences != {right.audience}:
        return _AUDIENCE
    if not call.scopes <= right.granted:
        return _SCOPES
    for place, judge in right.judges:
        if not judge(right.said, call, now):
            return place
    if right.said.policy is not None:
        reason = policy_denies(right.said.policy, holding, right, call, now)
        if reason is not None:
            return _POLICY_FORBIDS + (reason is Reason.POLICY_ERROR)
    return None
