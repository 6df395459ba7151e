"""Carries requests out in processes that are killed at a commit boundary: just before a commit or just after.

As a program it reads an attempt a line from its standard input, and answers each with how it ended. It makes
ready once and forks for each attempt, so that an attempt has little to do before it comes to its requests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Engine

from app import FOLLOW_UPS, create_app
from app.directory import follow_ups as following_up
from app.settings import Settings


@dataclass(frozen=True)
class Request:
    """A request to the application."""

    method: str
    path: str
    token: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attempt:
    """What to do in a process of its own, and at which commit boundary to kill it, should it come so far.

    ``batch``: of how many people the batches of follow-ups are.
    """

    environment: dict[str, str]
    requests: Sequence[Request]
    follow_up: bool = False
    kill_at: int | None = None
    batch: int = following_up.MOST_AT_ONCE


class Attempts:
    """Where attempts are carried out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def carry_out(self, attempt: Attempt) -> bool:
        """Carry an attempt out; return whether it came to its end, and was not killed before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asdict(attempt)), file=self._process.stdin, flush=True)
        ended_with = int(self._process.stdout.readline())
        assert ended_with in (0, -signal.SIGKILL), f"the process ended with {ended_with}"
        return ended_with == 0


@contextmanager
def attempting() -> Iterator[Attempts]:
    """Start the program, and end it in the end."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    with process:
        yield Attempts(process)
        assert process.stdin is not None
        process.stdin.close()


def _kill_at(engine: Engine, boundary: int) -> None:
    """Kill this process at a commit boundary of an engine, counted from 0."""
    passed = 0
    commit = engine.dialect.do_commit

    def reach() -> None:
        nonlocal passed
        if passed == boundary:
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    def do_commit(connection: Any) -> None:
        reach()
        commit(connection)
        reach()

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]


def _carry_out(attempt: dict[str, Any]) -> None:
    following_up.MOST_AT_ONCE = attempt["batch"]
    application = create_app(Settings.from_environment(attempt["environment"]))
    follow_ups = application.extensions[FOLLOW_UPS]
    if attempt["kill_at"] is not None:
        _kill_at(follow_ups.store.engine, attempt["kill_at"])
    for each in attempt["requests"]:
        answer = application.test_client().open(
            each["path"],
            method=each["method"],
            json=each["body"],
            headers={"Authorization": f"Bearer {each['token']}", **each["headers"]},
        )
        assert answer.status_code in (200, 201), answer.text
    if attempt["follow_up"]:
        follow_ups.do_all()


def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        create_app(Settings.from_environment({"KEYSTEWARD_DATA_DIR": folder}))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = 0
            try:
                _carry_out(json.loads(line))
            except BaseException:
                traceback.print_exc()
                status = 1
            os._exit(status)
        _, how = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(how), flush=True)


if __name__ == "__main__":
    _main()
