"""Folding: what the spool holds goes into the store, each decision once, whatever ends in between.

How far a segment is folded commits in the same transaction as what was folded of it, so it is the store that
decides what is still to be folded. On each node one process folds for all; another takes over when it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.gate.spool import Chunk, Spool, read_chunk
from app.gate.tally import Record, RecordUnreadable, Tally, tally
from app.gate.usage_rows import add_counts, add_decisions, add_usage, batch_of
from app.store.tables import spool_progress, tenant
from app.store.unit_of_work import Store

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""How often, in seconds, a node folds."""

MANY: Final = 1_000
"""After so many decisions at once, a node folds only when :data:`PAUSE` is over."""

PAUSE: Final = 5.0
"""In seconds. Each time costs SQLite's readers all that they keep, so much traffic is folded less often."""

MOST_BYTES: Final = 32 * 1024 * 1024
"""How much of the spool one round folds."""

ALL: Final = ""
"""In the place of a tenant: how far a segment is folded for all of them."""

Progress = dict[str, dict[str, int]]
"""How far each segment is folded, in bytes, for all tenants and for those that are ahead of the others."""


class FoldedElsewhere(Exception):
    """Somebody else has folded what was about to be folded; nothing was done."""


class Folding:
    """Folds the spool of a node, beside the requests that its processes serve."""

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._stopping = threading.Event()

    def start(self) -> threading.Thread:
        """Do :meth:`run` in a thread that ends with the process, and return it."""
        thread = threading.Thread(target=self.run, name="folding", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Tell :meth:`run` to end."""
        self._stopping.set()

    def run(self) -> None:
        """Fold what there is and what comes, whenever it is for this process to do so, until told to stop."""
        due_at = 0.0
        while not self._stopping.wait(INTERVAL):
            try:
                self._spool.tend()
                if time.monotonic() >= due_at and self._spool.claim_folding() and self.fold_all() >= MANY:
                    due_at = time.monotonic() + PAUSE
            except Exception:
                log.exception("decisions were not folded; it is tried again")
        self._spool.give_up_folding()

    def fold_all(self) -> int:
        """Fold all that is there, in rounds; return how many decisions it was.

        :raises FoldedElsewhere: when another process of the node is at it; what is folded is folded.
        :raises sqlalchemy.exc.SQLAlchemyError: when the store does not answer; what is folded is folded.
        """
        total = 0
        while not self._stopping.is_set():
            folded, more = self._fold_round()
            total += folded
            if not more:
                break
        return total

    def _fold_round(self) -> tuple[int, bool]:
        """Fold so much at once; return how many decisions it was, and whether there is more."""
        progress = self._progress()
        chunks: list[Chunk] = []
        room, more = MOST_BYTES, False
        for path, _ in self._spool.sizes():
            if room <= 0:
                more = True
                break
            try:
                chunk = read_chunk(path, progress.get(path.name, {}).get(ALL, 0), room)
            except FileNotFoundError:
                continue
            chunks.append(chunk)
            room -= chunk.end - chunk.begin
            more = more or chunk.is_cut
        advancing = [each for each in chunks if each.end > each.begin]
        folded = self._fold(advancing, progress) if advancing else 0
        for each in chunks:
            if each.is_last:
                self._spool.remove(each.path)
        return folded, more and bool(advancing)

    def _progress(self) -> Progress:
        found: Progress = {}
        with self._store.engine.connect() as connection:
            for row in connection.execute(
                sa.select(spool_progress).where(spool_progress.c.node == self._spool.node())
            ):
                found.setdefault(row.segment, {})[row.tenant_id] = row.folded
        return found

    def _fold(self, chunks: Sequence[Chunk], progress: Progress) -> int:
        tallies = tally(_unfolded(chunks, progress))
        known = self._known(tallies)
        for unknown in sorted(tallies.keys() - known):
            log.error(
                "%d decisions are of a tenant that the store does not have: %s",
                len(tallies.pop(unknown).texts),
                unknown,
            )
        batches = {each: batch_of(counted) for each, counted in tallies.items()}
        groups = self._groups(sorted(tallies))
        for number, group in enumerate(groups, 1):
            with self._store.writing_each(group, actor="system") as (connection, units):
                for unit in units:
                    add_decisions(unit, batches[unit.tenant_id])
                    add_usage(unit, tallies[unit.tenant_id])
                add_counts(connection, self._spool.node(), [tallies[each] for each in group])
                if number < len(groups):
                    self._advance(connection, group, chunks, progress)
                else:
                    self._advance(connection, [ALL], chunks, progress)
                    self._forget(connection, chunks, progress)
        return sum(len(each.texts) for each in tallies.values())

    def _known(self, tallies: dict[str, Tally]) -> set[str]:
        with self._store.engine.connect() as connection:
            return set(
                connection.execute(sa.select(tenant.c.id).where(tenant.c.id.in_(sorted(tallies)))).scalars()
            )

    def _groups(self, tenants: list[str]) -> list[list[str]]:
        """Return which tenants are folded together; the last of the groups ends the round.

        SQLite has one lock for all of them, and each commit costs. Elsewhere each is folded by itself, so
        that none of them waits because another one is being written to (P10).
        """
        if self._store.engine.dialect.name == "sqlite" or not tenants:
            return [tenants]
        return [[each] for each in tenants]

    def _advance(
        self, connection: Connection, whose: Sequence[str], chunks: Sequence[Chunk], progress: Progress
    ) -> None:
        """Write down how far the segments are folded, if nobody else did so since it was read."""
        for chunk in chunks:
            for each in whose:
                segment, before = chunk.path.name, progress.get(chunk.path.name, {}).get(each)
                if before is None:
                    row = {"segment": segment, "tenant_id": each, "node": self._spool.node()}
                    connection.execute(sa.insert(spool_progress), {**row, "folded": chunk.end})
                    continue
                advanced = connection.execute(
                    sa.update(spool_progress)
                    .where(
                        spool_progress.c.segment == segment,
                        spool_progress.c.tenant_id == each,
                        spool_progress.c.folded == before,
                    )
                    .values(folded=chunk.end)
                ).rowcount
                if advanced != 1:
                    raise FoldedElsewhere(segment)

    def _forget(self, connection: Connection, chunks: Sequence[Chunk], progress: Progress) -> None:
        """Forget who was ahead, for none is any more, and segments that are gone."""
        there = {each.name for each, _ in self._spool.sizes()}
        gone = sorted(progress.keys() - there)
        ahead = [each.path.name for each in chunks]
        connection.execute(
            sa.delete(spool_progress).where(
                spool_progress.c.node == self._spool.node(),
                sa.or_(
                    spool_progress.c.segment.in_(gone),
                    sa.and_(spool_progress.c.segment.in_(ahead), spool_progress.c.tenant_id != ALL),
                ),
            )
        )


def _unfolded(chunks: Sequence[Chunk], progress: Progress) -> list[tuple[bytes, Record]]:
    """Return the records of chunks with their texts, but for those whose tenant is ahead of the others."""
    found = []
    for chunk in chunks:
        ahead = progress.get(chunk.path.name, {})
        unreadable = chunk.torn
        for place, text in chunk.texts:
            try:
                record = Record.read(text)
            except RecordUnreadable:
                unreadable += 1
                continue
            if place >= ahead.get(record.tenant_id, 0):
                found.append((text, record))
        if unreadable:
            log.error("%d records of %s broke off when they were written", unreadable, chunk.path)
    return found
