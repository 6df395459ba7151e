"""What a step of the tour is: something done over HTTP, timed, and held against what is promised."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from app.cli.tour_faces import came_back


@dataclass(frozen=True)
class Step:
    """One step that was taken: who took it, what it was, and whether all came as promised.

    ``detail`` is what there is to say about the outcome; of a step that is not ``ok``, what was expected
    and what came back. It never holds a secret.
    """

    who: str
    step: str
    milliseconds: float
    ok: bool
    detail: str


class NotAsPromised(Exception):
    """What came back is not what is promised."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(f"expected {expected}; came back: {came}")


class StoryEnds(Exception):
    """A step failed without which nothing after it can be told."""


@dataclass
class Outcome:
    """What a step in progress has to say in the end."""

    detail: str = ""


class Steps:
    """Takes steps one after another and tells each as soon as it is over.

    :param tell: is called with every step.
    """

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self.taken: list[Step] = []
        self._tell = tell

    @contextmanager
    def take(self, who: str, words: str, *, needed: bool = False) -> Iterator[Outcome]:
        """Enclose one step; whatever in it is not as promised is told, and the story goes on.

        :param needed: whether nothing after it can be told when it fails.
        :raises StoryEnds: when a needed step fails.
        """
        outcome = Outcome()
        failure = None
        begun = time.perf_counter()
        try:
            yield outcome
        except NotAsPromised as broken:
            failure = str(broken)
        except httpx2.HTTPError as error:
            failure = f"expected an answer; came back: {error or type(error).__name__}"
        milliseconds = round((time.perf_counter() - begun) * 1000, 2)
        step = Step(who, words, milliseconds, failure is None, failure or outcome.detail)
        self.taken.append(step)
        self._tell(step)
        if needed and failure is not None:
            raise StoryEnds(words)


def promise(condition: bool, expected: str, came: str) -> None:
    """Hold something against what is promised.

    :raises NotAsPromised: when the condition is false.
    """
    if not condition:
        raise NotAsPromised(expected, came)


def answered(answer: httpx2.Response, *statuses: int) -> httpx2.Response:
    """Return an answer that has one of some statuses.

    :raises NotAsPromised: when it has another.
    """
    promise(answer.status_code in statuses, " or ".join(map(str, statuses)), came_back(answer))
    return answer


def document(answer: httpx2.Response, *members: str) -> dict[str, Any]:
    """Return the JSON object in an answer, which has some members.

    :raises NotAsPromised: when it is no object, or lacks one of them.
    """
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise NotAsPromised("a JSON object", came_back(answer))
    missing = [member for member in members if member not in body]
    promise(
        not missing, f"members {', '.join(members)}", f"{answer.status_code} without {', '.join(missing)}"
    )
    return body


def listed(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Return the resources in a list response, of which there may be none.

    :raises NotAsPromised: when the answer is no list response.
    """
    body = document(answered(answer, 200), "totalResults")
    resources = body.get("Resources") or []
    promise(
        isinstance(resources, list) and len(resources) == body["totalResults"],
        "a list response",
        "totalResults does not count the Resources",
    )
    return resources


def denied(answer: httpx2.Response, status: int, reason: str) -> str:
    """Return how the gate denies a call, with the status and the reason that are promised.

    :raises NotAsPromised: when it allows the call, or denies it otherwise.
    """
    said = answer.headers.get("X-Auth-Reason")
    promise((answer.status_code, said) == (status, reason), f"{status} {reason}", came_back(answer))
    return f"{status} {said}"
