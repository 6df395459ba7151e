"""The gate's decisions as they were written down, in batches that the ledger commits to."""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

from app.store.tables import decision_batch
from app.store.unit_of_work import Unit

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_BATCHES: Final = 10_000
"""How many batches one search looks at, by what they say they are about."""

MOST_READ: Final = 50_000
"""How many decisions it reads in them, about, before it lets the caller ask again."""

_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
"""What a frame begins with (RFC 8878 §3.1.1)."""

_PLACE: Final = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})", re.ASCII)


class PlaceInvalid(ValueError):
    """A place among the decisions has not the form that a search gave out."""


class BatchUnknown(Exception):
    """The tenant has no such batch."""


class BatchChanged(Exception):
    """What a batch holds is not what its digest says: somebody changed it."""


@dataclass(frozen=True)
class Decision:
    """A decision as it was written down, and the batch that holds it."""

    record: dict[str, Any]
    batch_id: str


@dataclass(frozen=True)
class Decisions:
    """Some decisions in the order in which they were recorded; ``after``: where to go on, None at the end."""

    found: tuple[Decision, ...]
    after: str | None


@dataclass(frozen=True)
class DecisionFilter:
    """Which decisions: of a key, of a consumer, from a time on, before a time. Times in microseconds."""

    key_id: str | None = None
    consumer_id: str | None = None
    since: int | None = None
    until: int | None = None

    def accepts(self, record: dict[str, Any]) -> bool:
        """Whether a record meets it."""
        return (
            (self.key_id is None or record["key"] == self.key_id)
            and (self.consumer_id is None or record["consumer"] == self.consumer_id)
            and (self.since is None or record["at"] >= self.since)
            and (self.until is None or record["at"] < self.until)
        )


def find_decisions(unit: Unit, wanted: DecisionFilter, *, after: str | None = None, limit: int) -> Decisions:
    """Return the tenant's decisions that meet a filter, not more than some.

    A search looks at a bounded number of batches, so it may find fewer than there are, and none at all, and
    still say where to go on.

    :param after: where an earlier search ended.
    :raises PlaceInvalid: when that is no such place.
    :raises BatchChanged: when a batch does not hold what its digest says.
    """
    sequence, number = _place(after)
    found: list[Decision] = []
    read = looked_at = 0
    for row in unit.execute(_batches(unit, wanted, sequence)):
        looked_at += 1
        if row.sequence != sequence:
            sequence, number = row.sequence, 0
        if wanted.key_id is not None and not _may_be_about(row.key_marks, wanted.key_id):
            continue
        if read >= MOST_READ:
            return Decisions(tuple(found), f"{sequence}.{number}")
        read += row.decisions
        for record in _records(unit, row.sequence)[number:]:
            if len(found) == limit:
                return Decisions(tuple(found), f"{sequence}.{number}")
            number += 1
            if wanted.accepts(record):
                found.append(Decision(record, row.id))
    return Decisions(tuple(found), f"{sequence + 1}.0" if looked_at == MOST_BATCHES else None)


def read_batch(unit: Unit, batch_id: str) -> bytes:
    """Return the lines of a batch, whose SHA-256 the event ``gate.decisions_recorded`` tells.

    :raises BatchUnknown: when the tenant has no such batch.
    """
    records: bytes | None = unit.execute(
        sa.select(decision_batch.c.records).where(
            decision_batch.c.tenant_id == unit.tenant_id, decision_batch.c.id == batch_id
        )
    ).scalar_one_or_none()
    if records is None:
        raise BatchUnknown(batch_id)
    return unpacked(records)


def packed(lines: bytes) -> bytes:
    """Return the lines of a batch as it keeps them: compressed (RFC 8878)."""
    return zstd.compress(lines)


def unpacked(records: bytes) -> bytes:
    """Return the lines that a batch keeps; the oldest batches have them in another form (RFC 1950)."""
    return zstd.decompress(records) if records.startswith(_ZSTANDARD) else zlib.decompress(records)


def key_marks(key_ids: Iterable[str]) -> bytes:
    """Return what a batch says of the keys that it is about: enough to tell most of the others."""
    return b"".join(sorted(_mark(each) for each in key_ids))


def _mark(key_id: str) -> bytes:
    return zlib.crc32(key_id.encode()).to_bytes(4, "big")


def _may_be_about(marks: bytes, key_id: str) -> bool:
    mark = _mark(key_id)
    place = marks.find(mark)
    while place % 4 and place != -1:
        place = marks.find(mark, place + 1)
    return place != -1


def _batches(unit: Unit, wanted: DecisionFilter, sequence: int) -> sa.Select[Any]:
    statement = (
        sa.select(
            decision_batch.c.sequence,
            decision_batch.c.id,
            decision_batch.c.decisions,
            decision_batch.c.key_marks,
        )
        .where(decision_batch.c.tenant_id == unit.tenant_id, decision_batch.c.sequence >= sequence)
        .order_by(decision_batch.c.sequence)
        .limit(MOST_BATCHES)
    )
    if wanted.since is not None:
        statement = statement.where(decision_batch.c.last_at >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(decision_batch.c.first_at < wanted.until)
    return statement


def _records(unit: Unit, sequence: int) -> list[dict[str, Any]]:
    row = unit.execute(
        sa.select(decision_batch.c.id, decision_batch.c.records, decision_batch.c.sha256).where(
            decision_batch.c.sequence == sequence
        )
    ).one()
    lines = unpacked(row.records)
    if sha256(lines).digest() != row.sha256:
        raise BatchChanged(f"the batch {row.id} does not hold what its digest says")
    return [json.loads(line) for line in lines.splitlines()]


def _place(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 0
    match = _PLACE.fullmatch(text)
    if match is None:
        raise PlaceInvalid(f"{text[:50]!r} is no place that a search gave out")
    return int(match[1]), int(match[2])
