"""What a verification leaves to be written, done beside it: its answer waits for none of it.

Nothing depends on it: what is lost, because the process ends or the store does not answer, is left again by
the next use of the same secret.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Final

from app.access.credentials import Credential
from app.access.last_use import note_use, use_is_due
from app.gate.decision import Deny
from app.gate.reasons import DEAD
from app.keys.digests import DigestMove, move_digests
from app.keys.reuse import INTERVAL, report_reuse
from app.store.unit_of_work import Store

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
_BATCH: Final = 200


@dataclass(frozen=True)
class Reuse:
    """A dead secret was used; ``reason`` is the gate's code, ``actor`` the gateway that was asked."""

    tenant_id: str
    secret_id: str
    reason: str
    actor: str


@dataclass(frozen=True)
class GatewayUse:
    """A gateway used its token, which is to be noted."""

    credential: Credential

    @property
    def secret_id(self) -> str:
        return self.credential.id


Left = Reuse | DigestMove | GatewayUse


class Afterwards:
    """The things that one process has still to write, each at most once, on a thread of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: Queue[Left] = Queue(MOST_WAITING)
        self._known: set[str] = set()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def note_denial(self, denial: Deny, now: int, actor: str) -> None:
        """Leave it to be reported when the denial is a dead secret's, unless it was within the hour."""
        holding = denial.holding
        if holding is None or denial.reason not in DEAD:
            return
        reported = holding.reuse_reported_at
        if reported is None or reported <= now - INTERVAL:
            self._leave(Reuse(holding.tenant_id, holding.secret_id, denial.reason.code, actor))

    def note_move(self, move: DigestMove) -> None:
        """Leave a digest to be put under a newer pepper."""
        self._leave(move)

    def note_gateway(self, gateway: Credential, now: int) -> None:
        """Leave it to be noted that a gateway used its token, unless that was done within the minute."""
        if use_is_due(gateway, now):
            self._leave(GatewayUse(gateway))

    def settle(self) -> None:
        """Wait until all that was left so far is written, or has failed."""
        self._waiting.join()

    def _leave(self, left: Left) -> None:
        try:
            if left.secret_id in self._known:
                return
            self._known.add(left.secret_id)
            try:
                self._waiting.put_nowait(left)
            except Full:
                self._known.discard(left.secret_id)
                return
            if self._thread is None or not self._thread.is_alive():
                self._start()
        except Exception:
            log.exception("something was not left for after a verification")

    def _start(self) -> None:
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="after verifications", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            some = [self._waiting.get()]
            while len(some) < _BATCH:
                try:
                    some.append(self._waiting.get_nowait())
                except Empty:
                    break
            self._write(some)
            for each in some:
                self._known.discard(each.secret_id)
                self._waiting.task_done()

    def _write(self, some: Sequence[Left]) -> None:
        moves = [each for each in some if isinstance(each, DigestMove)]
        try:
            if moves:
                with self._store.engine.execution_options(writing=True).begin() as connection:
                    move_digests(connection, moves)
        except Exception:
            log.exception("digests were not put under the newer pepper")
        for each in some:
            if isinstance(each, Reuse):
                self._report(each)
            elif isinstance(each, GatewayUse):
                note_use(self._store, each.credential)

    def _report(self, reuse: Reuse) -> None:
        try:
            with self._store.writing(reuse.tenant_id, actor=reuse.actor) as unit:
                report_reuse(unit, reuse.secret_id, reuse.reason)
        except Exception:
            log.exception("the reuse of a dead secret was not reported")
