"""Logs what operators are warned of, for those who read logs rather than the operator's API."""

from __future__ import annotations

import logging
import threading
from typing import Final

from app.access.tenants import list_tenants
from app.access.warnings import find_warnings
from app.store.moments import rfc3339
from app.store.unit_of_work import Store, StoreError, wall_clock

log = logging.getLogger(__name__)

INTERVAL: Final = 600.0
"""How often a process looks, in seconds."""

AGAIN: Final = 24 * 3600 * 1_000_000
"""After how long a warning that still holds is logged again, in microseconds."""


class Watch:
    """A thread that logs each warning when it begins to hold, and daily as long as it does.

    :param silent_after: after how many usual cycles without a call a connection is silent.
    """

    def __init__(self, store: Store, *, silent_after: int, interval: float = INTERVAL) -> None:
        self._store = store
        self._silent_after = silent_after
        self._interval = interval
        self._logged: dict[tuple[str, ...], int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin; to be called once, in the process that is to do it."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """Log what holds now and was not logged for a day."""
        now = wall_clock()
        holding: dict[tuple[str, ...], int] = {}
        for tenant in list_tenants(self._store):
            try:
                with self._store.reading(tenant.id) as unit:
                    found = find_warnings(unit, self._silent_after)
            except StoreError:
                log.exception("nobody looked for warnings of %s", tenant.name)
                continue
            for each in found:
                known = (tenant.id, each.kind, each.connection_id or each.text, str(each.at))
                holding[known] = self._logged.get(known, now - AGAIN)
                if now - holding[known] >= AGAIN:
                    holding[known] = now
                    whose = "/".join(filter(None, (tenant.name, each.connection_name)))
                    log.warning("%s: %s: %s (%s)", each.kind, whose, each.text, rfc3339(each.at))
        self._logged = holding

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                log.exception("nobody looked for warnings")
            if self._stopping.wait(self._interval):
                return
