"""Erases what was kept for a short time only, also where nobody asks for anything any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

from app.keys.idempotency import sweep
from app.store.unit_of_work import Store

log = logging.getLogger(__name__)

INTERVAL: Final = 60.0
"""How often a process looks, in seconds."""


class Erasing:
    """A thread that erases the secrets and requests whose time is over.

    :param others: what erases by itself whatever else was kept.
    """

    def __init__(self, store: Store, *others: Callable[[], None], interval: float = INTERVAL) -> None:
        self._all: tuple[Callable[[], object], ...] = (partial(sweep, store.engine), *others)
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="erasing", daemon=True)

    def start(self) -> None:
        """Begin; to be called once, in the process that is to do it."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            for erase in self._all:
                try:
                    erase()
                except Exception:
                    log.exception("nothing was erased")
