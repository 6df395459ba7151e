"""Does follow-ups, batch by batch, beside the requests that a process serves."""

from __future__ import annotations

import logging
import threading
from typing import Final

from app.directory.follow_ups import FollowUp, carry_on, next_follow_ups, people_of
from app.store.unit_of_work import Store

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""How often, in seconds, a process looks for follow-ups."""

PAUSE: Final = 0.02
"""How long, in seconds, it leaves the tenant to others between two batches."""


class FollowUpWorker:
    """Does what changes left to do, the oldest of each tenant first.

    Several processes may be at it: each batch commits with how far it came, so none is done twice, and one
    that ends in the middle leaves the rest to others.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._stopping = threading.Event()

    def start(self) -> threading.Thread:
        """Do :meth:`run` in a thread that ends with the process, and return it."""
        thread = threading.Thread(target=self.run, name="follow-ups", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Tell :meth:`run` to end."""
        self._stopping.set()

    def run(self) -> None:
        """Do what there is and what comes, until told to stop."""
        while not self._stopping.wait(INTERVAL):
            try:
                self.do_all()
            except Exception:
                log.exception("follow-ups were not done; they are tried again")

    def do_all(self) -> None:
        """Do every follow-up that is there.

        :raises sqlalchemy.exc.SQLAlchemyError: when the store does not answer; what is done is done.
        """
        while found := next_follow_ups(self.store.engine):
            advanced = [self._do(each) for each in found]
            if not any(advanced) or self._stopping.is_set():
                return

    def _do(self, wanted: FollowUp) -> bool:
        """Do a follow-up to its end; return False when another process is at it."""
        with self.store.reading(wanted.tenant_id) as unit:
            people = people_of(unit, wanted)
        current: FollowUp | None = wanted
        while current is not None and current.finished_at is None and not self._stopping.is_set():
            with self.store.writing(wanted.tenant_id, actor=wanted.actor, txn=wanted.txn) as unit:
                current = carry_on(unit, current, people)
            if current is not None:
                people = [each for each in people if each > current.reached]
                self._stopping.wait(PAUSE)
        return current is not None
