"""Verifications, one after the other, over connections that stay open: what gateways do."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import Synchronized
from typing import Final, NamedTuple
from urllib.parse import urlsplit

NO_ANSWER: Final = 0
FINISHED: Final = -1
"""Where the load aims when there is nothing left to ask about."""

_ASKS_OF_A_CONNECTION: Final = 50
"""A connection stays with one process of the server, so new ones are opened now and then to meet them all."""

_BEFORE: Final = 8
_BEHIND: Final = 1


class Decision(NamedTuple):
    """One verification: when it started, which key, at which node, the answer's status, and when it was here.

    Times in nanoseconds.
    """

    started: int
    number: int
    node: int
    status: int
    answered: int


@dataclass(frozen=True)
class Questions:
    """What is asked: the nodes' root URLs, the token of a gateway, and the secrets by number."""

    nodes: tuple[str, ...]
    gate_token: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


class Asker:
    """Asks one node. The standard library's client: the load should cost less than what it loads."""

    def __init__(self, questions: Questions, node: int) -> None:
        self._questions = questions
        self._node = node
        self._url = urlsplit(questions.nodes[node])
        self._path = f"{self._url.path.rstrip('/')}/gate/verify"
        self._connection: HTTPConnection | None = None
        self._left = 0

    def ask(self, number: int) -> Decision:
        """Verify a key. It starts when the request is handed to the operating system, not earlier.

        A connection that the server closed meanwhile is opened again, and the verification starts anew.
        """
        headers = {
            "X-Gate-Authorization": f"Bearer {self._questions.gate_token}",
            "Authorization": f"Bearer {self._questions.secrets[number]}",
        }
        while True:
            fresh = self._connection is None or self._left == 0
            connection = self._opened() if fresh or self._connection is None else self._connection
            self._left -= 1
            started = time.monotonic_ns()
            try:
                connection.request("GET", self._path, headers=headers)
                with connection.getresponse() as answer:
                    answer.read()
                    return Decision(started, number, self._node, answer.status, time.monotonic_ns())
            except (OSError, HTTPException):
                self.close()
                if fresh:
                    return Decision(started, number, self._node, NO_ANSWER, time.monotonic_ns())

    def close(self) -> None:
        """Close the connection; the next verification opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> HTTPConnection:
        self.close()
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        assert self._url.hostname is not None
        self._connection = kind(self._url.hostname, self._url.port, timeout=60)
        self._left = _ASKS_OF_A_CONNECTION
        # So that the time that it takes is not part of the verification.
        with suppress(OSError):
            self._connection.connect()
        return self._connection


def keep_asking(questions: Questions, aim: Synchronized[int], seed: int, report: Connection) -> None:
    """Ask around the number that is aimed at until there is none; then report all decisions.

    Runs in a process of its own. Half of it goes to the key that is being withdrawn, the rest to those
    withdrawn just before, where a late answer would show, and to the one that is next.
    """
    chosen = random.Random(seed)  # noqa: S311 - repeatable, not secret
    askers = [Asker(questions, node) for node in range(len(questions.nodes))]
    decisions: list[Decision] = []
    # The clock of this process, for the one that compares.
    report.send(time.monotonic_ns())
    turn = seed
    while (here := aim.value) != FINISHED:
        near = here if chosen.random() < 0.5 else here + chosen.randint(-_BEFORE, _BEHIND)
        turn += 1
        decision = askers[turn % len(askers)].ask(min(max(near, 0), len(questions.secrets) - 1))
        decisions.append(decision)
        if decision.status == NO_ANSWER:
            started_by = parent_process()
            if started_by is None or not started_by.is_alive():
                return
            time.sleep(0.05)
    for asker in askers:
        asker.close()
    report.send(decisions)
