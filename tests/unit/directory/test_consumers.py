"""What of a User document decides about keys."""

from __future__ import annotations

import pytest

from app.directory.consumers import CONSUMER_SCHEMA, ConsumerState
from app.directory.errors import MomentInvalid

END_OF_JANUARY = 1_769_882_400 * 1_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31T18:00:00Z", END_OF_JANUARY),
        ("2026-01-31T19:00:00+01:00", END_OF_JANUARY),
        ("2026-01-31T18:00:00", END_OF_JANUARY),
        ("2026-01-31T18:00:00.1234567Z", END_OF_JANUARY + 123_456),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_an_access_date_is_read_to_the_microsecond(text: str, moment: int) -> None:
    state = ConsumerState.of({"userName": "ada", CONSUMER_SCHEMA: {"accessEndsAt": text}})
    assert state.access_ends_at == moment


@pytest.mark.parametrize("text", ["2026-01-31", "5", "1767225600", "soon", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_date_and_time_is_refused(text: str) -> None:
    with pytest.raises(MomentInvalid, match="accessStartsAt"):
        ConsumerState.of({"userName": "ada", CONSUMER_SCHEMA: {"accessStartsAt": text}})


@pytest.mark.parametrize(
    ("document", "active"), [({"active": True}, True), ({"active": False}, False), ({}, False)]
)
def test_an_unassigned_active_is_not_active(document: dict[str, bool], active: bool) -> None:
    assert ConsumerState.of({"userName": "ada", **document}).active is active
