"""Rotation: a new secret beside the old one, which works until its deadline; never more than two live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from app.keys.lifecycle import Minting, insert_secret, require_key
from app.ledger.events import Event, record
from app.store.secrets import Secret
from app.store.tables import secret
from app.store.unit_of_work import Unit

DEFAULT_OVERLAP: Final = 24 * 3600 * 1_000_000
"""For how long the old secret still works unless something else is asked, in microseconds."""


class KeyNotRotatable(Exception):
    """The key has no secret yet, or is dormant, revoked or expired; the message says what to do."""


@dataclass(frozen=True)
class Rotation:
    """A key's new secret, and the old one's public identifier and deadline (microseconds)."""

    secret: Secret
    replaced: str
    ends_at: int


def rotate(unit: Unit, key_id: str, minting: Minting, *, overlap: int = DEFAULT_OVERLAP) -> Rotation:
    """Make a new secret beside a key's present one and hand it out, this once.

    The present one works until the overlap (microseconds) is over; with an overlap of 0, not at all from the
    commit on. A third secret, left of an earlier rotation, ends at once: no more than two ever live.

    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotRotatable: when it was not claimed yet, or is revoked or expired.
    """
    row = require_key(unit, key_id)
    if row.revoked_at is not None:
        raise KeyNotRotatable("the key is revoked: issue a new one")
    if row.expires_at is not None and row.expires_at <= unit.now:
        raise KeyNotRotatable("the key is expired: issue a new one")
    if row.claimed_at is None:
        raise KeyNotRotatable("the key has no secret yet: claim it, or revoke it and issue another")
    overlapping = sa.and_(secret.c.key_id == key_id, secret.c.ends_at > unit.now)
    cut_short = unit.execute(
        sa.update(secret).where(overlapping).values(ends_at=unit.now).returning(secret.c.id)
    ).scalars()
    ended = sorted(cut_short)
    ends_at = unit.now + overlap
    replaced = unit.execute(
        sa.update(secret)
        .where(secret.c.key_id == key_id, secret.c.ends_at.is_(None))
        .values(ends_at=ends_at, replaced_at=unit.now)
        .returning(secret.c.id)
    ).scalar_one()
    made = insert_secret(unit, key_id, minting)
    data = {
        "consumer": row.consumer_id,
        "secret": made.id,
        "replaces": replaced,
        "replacedEndsAt": ends_at,
        "endedAtOnce": ended,
    }
    record(unit, [Event("key.rotated", f"key/{key_id}", data)])
    return Rotation(made, replaced, ends_at)
