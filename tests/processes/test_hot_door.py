"""The hot door beside an empty view of Flask, under the same server: what counts is the ratio."""

from __future__ import annotations

from benchmarks.gate import DOOR, EMPTY, EMPTY_FLASK, OURS, measure

LEAST = 0.6
"""How much of the requests a second of an empty Flask view, and of the requests for the same processor time.

Both have been 1.2 and more, also where many others took the processors; as a view of Flask, the gate has 0.1
to 0.3.
"""


def test_the_hot_door_is_not_much_slower_than_an_empty_view() -> None:
    contenders = tuple(each for each in OURS if each.name in (EMPTY, EMPTY_FLASK, DOOR))
    results = measure(1, 8, 2, 0.4, contenders, people=20)
    for each in results.values():
        print(each)
    door, flask = results[DOOR], results[EMPTY_FLASK]
    assert door.of_flask >= LEAST
    assert flask.microseconds / door.microseconds >= LEAST
