"""What a key stands for is kept until the moment at which it may change, and no longer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.gate.decision import Call, Holding, Right, answer, decide, standing, stands_until
from app.gate.decision import Deny as Denied
from app.rights.continuity import Interval

LAST = 40

moments = st.integers(0, LAST)
perhaps = st.none() | moments
intervals = st.builds(
    lambda since, length, tolerance, held: Interval(since, since + length, tolerance, held),
    moments,
    st.integers(0, LAST),
    st.integers(0, 8),
    st.just(0) | moments,
)
rights = st.builds(
    lambda number, some: Right(f"e{number}", f"v{number}", None, ("read",), {}, tuple(some)),
    st.integers(0, 2),
    st.lists(intervals, max_size=4),
)
holdings = st.builds(
    Holding,
    key_id=st.just("k"),
    tenant_id=st.just("t"),
    consumer_id=st.just("c"),
    user_name=st.just("ada"),
    issued_at=moments,
    expires_at=perhaps,
    revoked_at=st.none(),
    revoked_reason=st.none(),
    secret_id=st.just("s"),
    secret_ends_at=perhaps,
    secret_replaced_at=st.none(),
    reuse_reported_at=st.none(),
    active=st.booleans() | st.just(True),
    deleted=st.just(False),
    access_starts_at=perhaps,
    access_ends_at=perhaps,
    recovery_window=st.integers(0, 10),
    rights=st.lists(rights, max_size=3).map(tuple),
    sponsor_until=perhaps,
)


@settings(max_examples=400, deadline=None)
@given(holdings, moments)
def test_what_a_key_stands_for_changes_at_no_moment_before_the_one_that_is_told(
    holding: Holding, now: int
) -> None:
    before = standing(holding, now)
    until = stands_until(holding, now)
    assert until > now
    for moment in range(now, min(until, 3 * LAST)):
        assert standing(holding, moment) == before, moment
        kept = before if isinstance(before, Denied) else answer(holding, before, CALL, moment)
        assert kept == decide(holding, CALL, moment)


CALL = Call(frozenset(), frozenset({"read"}), "GET", "/")
