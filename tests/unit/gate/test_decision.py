"""The decision is a pure function: each rule by itself, and all of them against a plain retelling."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gate.decision import Allow, Call, Deny, Holding, Right, decide
from app.gate.reasons import Reason
from app.rights.continuity import Interval
from app.store.tables import FOREVER

NOW = 1_000_000
DAY = 86_400

ORDERS = Right(
    "e1", "orders", "https://api.example", ("orders.read", "orders.write"), {}, (Interval(10, FOREVER, DAY),)
)
ALIVE = Holding(
    key_id="key_1",
    tenant_id="t1",
    consumer_id="u1",
    user_name="ada",
    issued_at=100,
    expires_at=None,
    revoked_at=None,
    revoked_reason=None,
    secret_id="s1",
    secret_ends_at=None,
    secret_replaced_at=None,
    reuse_reported_at=None,
    active=True,
    deleted=False,
    access_starts_at=None,
    access_ends_at=None,
    recovery_window=DAY,
    rights=(ORDERS,),
)
ANYTHING = Call(frozenset(), frozenset(), None, None)


def right(**changes: object) -> Holding:
    return replace(ALIVE, rights=(replace(ORDERS, **changes),))  # type: ignore[arg-type]


def asking(
    audience: str | None = None, scopes: str = "", method: str | None = None, path: str | None = None
) -> Call:
    return Call(frozenset({audience} if audience else ()), frozenset(scopes.split()), method, path)


@pytest.mark.parametrize(
    ("holding", "call"),
    [
        (ALIVE, ANYTHING),
        (ALIVE, asking("https://api.example", "orders.read orders.write", "DELETE", "/anything")),
        (right(audience=None), asking("https://elsewhere.example")),
        (replace(ALIVE, expires_at=NOW + 1, secret_ends_at=NOW + 1), ANYTHING),
        (replace(ALIVE, access_starts_at=NOW, access_ends_at=NOW + 1), ANYTHING),
        (
            right(conditions={"methods": ["get"], "paths": ["/orders/*"]}),
            asking(None, "", "GET", "/orders/7?x=1"),
        ),
        (right(intervals=(Interval(10, 500, DAY), Interval(600, FOREVER, DAY))), ANYTHING),
        (right(intervals=(Interval(10, 500, DAY), Interval(400, FOREVER, 0))), ANYTHING),
    ],
)
def test_allowed(holding: Holding, call: Call) -> None:
    assert isinstance(decide(holding, call, NOW), Allow)


@pytest.mark.parametrize(
    ("reason", "holding", "call"),
    [
        (
            Reason.KEY_REVOKED,
            replace(ALIVE, revoked_at=5, deleted=True, expires_at=1, active=False),
            ANYTHING,
        ),
        (Reason.CONSUMER_DELETED, replace(ALIVE, deleted=True, active=False), ANYTHING),
        (Reason.KEY_EXPIRED, replace(ALIVE, expires_at=NOW), ANYTHING),
        (Reason.SECRET_ROTATED, replace(ALIVE, secret_ends_at=NOW), ANYTHING),
        (Reason.CLOCK_ABSURD, replace(ALIVE, issued_at=NOW + 1), ANYTHING),
        (
            Reason.CONSUMER_INACTIVE,
            replace(right(intervals=(Interval(10, NOW - 1, DAY),)), active=False),
            ANYTHING,
        ),
        (Reason.RIGHT_LAPSED, replace(right(intervals=(Interval(10, 200, DAY),)), active=False), ANYTHING),
        (Reason.ACCESS_NOT_STARTED, replace(ALIVE, access_starts_at=NOW + 1), ANYTHING),
        (Reason.ACCESS_ENDED, replace(ALIVE, access_ends_at=NOW), ANYTHING),
        (Reason.NO_GRANT, right(intervals=(Interval(10, NOW, DAY),)), ANYTHING),
        (Reason.RIGHT_LAPSED, replace(ALIVE, rights=()), ANYTHING),
        (
            Reason.RIGHT_LAPSED,
            right(intervals=(Interval(10, 200, DAY), Interval(200 + DAY, FOREVER, DAY))),
            ANYTHING,
        ),
        (Reason.RIGHT_LAPSED, right(intervals=(Interval(101, FOREVER, DAY),)), ANYTHING),
        (Reason.AUDIENCE_MISMATCH, ALIVE, asking("https://other.example")),
        (Reason.SCOPE_MISSING, ALIVE, asking(scopes="orders.read orders.delete")),
        (Reason.CONDITION_UNKNOWN, right(conditions={"moonPhase": "full"}), ANYTHING),
        (Reason.METHOD_NOT_ALLOWED, right(conditions={"methods": ["GET"]}), asking(method="POST")),
        (Reason.METHOD_NOT_ALLOWED, right(conditions={"methods": ["GET"]}), ANYTHING),
        (
            Reason.PATH_NOT_ALLOWED,
            right(conditions={"paths": ["/orders/*"]}),
            asking(path="/orders/../admin"),
        ),
        (
            Reason.PATH_NOT_ALLOWED,
            right(conditions={"paths": ["/orders/*"]}),
            asking(path="/orders/%2e%2e/admin"),
        ),
        (
            Reason.PATH_NOT_ALLOWED,
            right(conditions={"paths": ["/orders/*"]}),
            asking(path="/orders/..%2fadmin"),
        ),
        (
            Reason.PATH_NOT_ALLOWED,
            right(conditions={"paths": ["/orders/*"]}),
            asking(path="/orders/%252e%252e/a"),
        ),
        (
            Reason.PATH_NOT_ALLOWED,
            right(conditions={"paths": ["/orders/*"]}),
            asking(path="/orders/\\..\\admin"),
        ),
        (Reason.PATH_NOT_ALLOWED, right(conditions={"paths": ["/orders/*"]}), asking(path="/orders/%zz")),
        (Reason.PATH_NOT_ALLOWED, right(conditions={"paths": ["/orders"]}), ANYTHING),
    ],
)
def test_denied(reason: Reason, holding: Holding, call: Call) -> None:
    decision = decide(holding, call, NOW)
    assert isinstance(decision, Deny)
    assert decision.reason is reason
    assert reason.status in (401, 403)


def test_one_entitlement_must_satisfy_the_whole_question() -> None:
    read = replace(ORDERS, audience="https://a.example", scopes=("read",))
    write = replace(ORDERS, entitlement_id="e2", value="w", audience="https://b.example", scopes=("write",))
    both = replace(ALIVE, rights=(read, write))
    assert isinstance(decide(both, asking("https://a.example", "read"), NOW), Allow)
    assert decide(both, asking("https://a.example", "write"), NOW) == Deny(Reason.SCOPE_MISSING, both)
    assert decide(both, asking(scopes="read write"), NOW) == Deny(Reason.SCOPE_MISSING, both)


moments = st.integers(0, 40)
maybe_moments = st.none() | moments
intervals = st.lists(st.builds(Interval, moments, moments, st.integers(0, 10)), max_size=4)


@given(
    st.builds(
        Holding,
        key_id=st.just("k"),
        tenant_id=st.just("t"),
        consumer_id=st.just("u"),
        user_name=st.just("n"),
        issued_at=moments,
        expires_at=maybe_moments,
        revoked_at=maybe_moments,
        revoked_reason=st.none(),
        secret_ends_at=maybe_moments,
        active=st.booleans(),
        deleted=st.booleans(),
        access_starts_at=maybe_moments,
        access_ends_at=maybe_moments,
        recovery_window=st.integers(0, 10),
        rights=st.lists(
            st.builds(
                Right,
                st.just("e"),
                st.just("v"),
                st.sampled_from([None, "a", "b"]),
                st.sampled_from([(), ("r",), ("r", "w")]),
                st.just({}),
                intervals.map(tuple),
            ),
            max_size=2,
        ).map(tuple),
    ),
    st.sampled_from([asking(), asking("a"), asking("a", "r"), asking(None, "r w")]),
    moments,
)
def test_whatever_is_allowed_meets_every_rule(holding: Holding, call: Call, now: int) -> None:
    decision = decide(holding, call, now)
    meets_every_rule = (
        holding.revoked_at is None
        and not holding.deleted
        and holding.active
        and holding.issued_at <= now
        and all(end is None or end > now for end in (holding.expires_at, holding.secret_ends_at))
        and (holding.access_ends_at is None or holding.access_ends_at > now)
        and (holding.access_starts_at is None or holding.access_starts_at <= now)
        and any(
            (not call.audiences or each.audience is None or call.audiences == {each.audience})
            and call.scopes <= set(each.scopes)
            and carried_since(each, holding.issued_at, now)
            for each in holding.rights
        )
    )
    assert isinstance(decision, Allow) == meets_every_rule


def carried_since(right: Right, issued_at: int, now: int) -> bool:
    """Walk through the moments one by one, as the rule is told to people."""
    gone_since: int | None = None
    for moment in range(issued_at, now + 1):
        carriers = [each for each in right.intervals if each.since <= moment < each.until]
        if not carriers:
            if moment == issued_at:
                return False
            gone_since = moment if gone_since is None else gone_since
        elif gone_since is not None:
            # Of several paths that begin at once, the first by its times ends the gap.
            back = min(each for each in right.intervals if each.since == moment and each.until > moment)
            if moment - gone_since >= back.tolerance:
                return False
            gone_since = None
    return gone_since is None
