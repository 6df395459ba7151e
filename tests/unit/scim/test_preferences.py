from __future__ import annotations

import pytest

from app.scim.preferences import LONGEST_WAIT, asynchronous_preference


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("respond-async", 0),
        ("Respond-Async, WAIT=3", 3),
        ('wait="3", return=minimal, respond-async; why="no, really"', 3),
        ("respond-async, wait=3, wait=5", 3),
        ("respond-async,wait=100000", LONGEST_WAIT),
        ("respond-async, wait=" + "9" * 5000, 0),
        ("respond-async, wait=-1", 0),
        ("respond-async, wait=soon", 0),
        ("respond-async, wait", 0),
        ("respond-async, wait=٣", 0),
    ],
)
def test_a_client_that_need_not_wait_may_say_how_long_it_would(header: str, wait: int) -> None:
    preference = asynchronous_preference(header)
    assert preference is not None
    assert preference.wait == wait


@pytest.mark.parametrize(
    "header", [None, "", "wait=3", 'return="respond-async"', "respond-asynchronously", ",;="]
)
def test_who_does_not_say_so_waits(header: str | None) -> None:
    assert asynchronous_preference(header) is None
