"""``keysteward serve`` in a process that is forked from one which has imported already what it needs.

To import it is nine tenths of what a start takes. What runs afterwards is the command, in a process of its
own with workers of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from app.cli import main

KEYSTEWARD: Final = [sys.executable, "-m", "app.cli"]
"""The command as a program."""

_FORKING: Final = multiprocessing.get_context("forkserver")
# pytest among them, because each process that is forked imports the main module of its parent.
_FORKING.set_forkserver_preload(
    ["pytest", __name__, "app.cli.serving", "tests.processes.imported_before_forking"]
)


def serving(environment: Mapping[str, str], log: Path, *, as_program: bool = False) -> BaseProcess:
    """Start a server with these variables of the environment and no others; what it says goes to a file.

    It leads a process group of its own.

    :param as_program: whether the process becomes the program, for whoever looks at it from without.
    """
    process = _FORKING.Process(target=_serve, args=(dict(environment), log, as_program))
    process.start()
    return process


def _serve(environment: dict[str, str], log: Path, as_program: bool) -> None:
    os.setsid()
    with log.open("ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    if as_program:
        os.execve(KEYSTEWARD[0], [*KEYSTEWARD, "serve"], environment)
    os.environ.clear()
    os.environ.update(environment)
    main(["serve"], prog_name="keysteward")
