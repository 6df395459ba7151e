"""Carries out the requests that were answered before: in the order of their arrival, each exactly once.

A request and what follows from it commit in one unit of work with the note that it is done, and the writes of
a tenant follow one another. So it does not matter who carries it out, or how often somebody tried: any worker
process does, and a process that ends in the middle leaves the request as it was.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

import sqlalchemy as sa
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse

from app.scim.asynchronous_requests import (
    AsynchronousRequest,
    Waiting,
    accept,
    finish,
    sweep,
    take,
    tenants_to_sweep,
    waiting,
)
from app.store.unit_of_work import Store, StoreError, Unit, new_id, wall_clock

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""How often, in seconds, a process looks for requests that another one accepted and left."""

SWEEP_INTERVAL: Final = 60 * 1_000_000
"""How often it looks for results that nobody need keep any longer, in microseconds."""

MOST_FAILURES: Final = 5
"""How often carrying out a request may fail because of the store before it is given up."""

UNANSWERED: Final = (StoreError, sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""What says that the store did not answer, so that the request is tried again."""


@dataclass(frozen=True)
class CarriedOut:
    """A request that was carried out: what it would have been answered, and the document that says so."""

    answer: ScimResponse
    document: dict[str, Any]


class Backlog:
    """The requests that wait to be carried out.

    :param carry_out: carries a request out in an open unit of work. The flag says that the store failed it
        so often that it is to be refused instead. What it raises undoes the unit.
    :param kept_for: for how many microseconds a result is kept.
    """

    def __init__(
        self,
        store: Store,
        carry_out: Callable[[Unit, AsynchronousRequest, bool], CarriedOut],
        *,
        kept_for: int,
    ) -> None:
        self.kept_for = kept_for
        self._store = store
        self._carry_out = carry_out
        self._failures: Counter[str] = Counter()
        self._listeners: dict[str, SimpleQueue[ScimResponse]] = {}
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._swept_at = 0

    def put(
        self, tenant_id: str, connection_id: str, request: ScimRequest, *, wait: int
    ) -> tuple[str, ScimResponse | None]:
        """Store a request for good; return its transaction and, if it is carried out in time, its answer.

        :param wait: for how many seconds to wait for that.
        :raises TooManyPending: when the connection has too many waiting already.
        """
        txn = new_id()
        listener = self._listeners[txn] = SimpleQueue()
        try:
            with self._store.writing(tenant_id, actor=f"connection:{connection_id}", txn=txn) as unit:
                accept(unit, connection_id, request)
            self._news.set()
            with suppress(Empty):
                return txn, listener.get(timeout=wait) if wait else listener.get_nowait()
            return txn, None
        finally:
            del self._listeners[txn]

    def run(self) -> None:
        """Carry out what waits and what comes, and remove old results, until told to stop."""
        while not self._stopping.is_set():
            self._news.clear()
            try:
                self.carry_out_all()
                self._sweep_if_due()
            except Exception:
                log.exception("asynchronous requests were not looked for")
            self._news.wait(INTERVAL)

    def start(self) -> threading.Thread:
        """Do :meth:`run` in a thread that ends with the process, and return it."""
        self._stopping.clear()
        thread = threading.Thread(target=self.run, name="asynchronous-requests", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Tell :meth:`run` to end."""
        self._stopping.set()
        self._news.set()

    def carry_out_all(self) -> None:
        """Carry out every request that waits, one of each tenant in turn.

        A tenant whose request the store does not let pass is left alone for now, and so are its later ones.
        """
        failed: set[str] = set()
        while found := [each for each in waiting(self._store.engine) if each.tenant_id not in failed]:
            for each in found:
                try:
                    self._carry_out_one(each)
                except Exception:
                    log.exception("the asynchronous request %s was not carried out", each.txn)
                    failed.add(each.tenant_id)

    def sweep(self) -> None:
        """Remove the results that need not be kept any longer."""
        for tenant_id in tenants_to_sweep(self._store.engine, wall_clock() - self.kept_for):
            with self._store.writing(tenant_id, actor="system") as unit:
                sweep(unit, unit.now - self.kept_for)

    def _carry_out_one(self, next_one: Waiting) -> None:
        txn = next_one.txn
        actor = f"connection:{next_one.connection_id}"
        with self._store.writing(next_one.tenant_id, actor=actor, txn=txn) as unit:
            asked = take(unit, txn)
            if asked is None:
                return
            try:
                done = self._carry_out(unit, asked, self._failures[txn] >= MOST_FAILURES)
            except UNANSWERED:
                self._failures[txn] += 1
                raise
            finish(unit, txn, done.document)
        self._failures.pop(txn, None)
        if (listener := self._listeners.get(txn)) is not None:
            listener.put(done.answer)

    def _sweep_if_due(self) -> None:
        now = wall_clock()
        if now >= self._swept_at + SWEEP_INTERVAL:
            self._swept_at = now
            self.sweep()
