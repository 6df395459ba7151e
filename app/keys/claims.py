"""Claim links: a token that hands out the secret of one key, once, to whoever follows it first.

Only the token's digest is kept. A link never leaves the table, so that a second use is told from a wrong
token.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.keys.lifecycle import require_key
from app.ledger.events import Event, record
from app.store.peppers import Peppers
from app.store.secrets import Secret, SecretMalformed, mint, parse
from app.store.tables import claim_link
from app.store.unit_of_work import Store, Unit

BRAND: Final = "kst"
KIND: Final = "claim"
PURPOSE: Final = "claim link"
"""What the digest of a link's token is made for: no other digest can stand in for it."""

DEFAULT_LIFETIME: Final = 24 * 3600 * 1_000_000
LONGEST_LIFETIME: Final = 7 * 24 * 3600 * 1_000_000
"""How long a link lives unless something else is asked, and at most, in microseconds."""

_NOBODY: Final = "0" * 16


class LinkEnded(Exception):
    """The link opens nothing any more; the message says why, and what to do."""


@dataclass(frozen=True)
class ClaimLink:
    """What is known of a link: which key it is for, never its token. Times in microseconds.

    ``id`` is the public part of the token. ``replaced_at``: when a newer link for the key ended this one.
    """

    id: str
    tenant_id: str
    key_id: str
    created_at: int
    expires_at: int
    used_at: int | None
    replaced_at: int | None


def make_link(
    unit: Unit, peppers: Peppers, key_id: str, *, lifetime: int = DEFAULT_LIFETIME
) -> tuple[ClaimLink, str]:
    """Make a link for a key; return it and its token, which is not known afterwards. It ends older ones.

    Whether the key can be claimed is judged when the link is used.

    :param lifetime: in microseconds, up to :data:`LONGEST_LIFETIME`.
    :raises KeyUnknown: when the tenant has no such key.
    :raises ValueError: when the lifetime is not positive or too long.
    """
    if not 0 < lifetime <= LONGEST_LIFETIME:
        raise ValueError("a claim link lives for up to 7 days")
    holder = require_key(unit, key_id).consumer_id
    unit.execute(
        sa.update(claim_link)
        .where(
            claim_link.c.key_id == key_id, claim_link.c.used_at.is_(None), claim_link.c.replaced_at.is_(None)
        )
        .values(replaced_at=unit.now)
    )
    made, version = mint(BRAND, KIND), peppers.current
    unit.execute(
        sa.insert(claim_link).values(
            id=made.id,
            tenant_id=unit.tenant_id,
            key_id=key_id,
            digest=peppers.digest(PURPOSE, made.text, version),
            pepper=version,
            created_at=unit.now,
            expires_at=unit.now + lifetime,
        )
    )
    data = {"consumer": holder, "link": made.id, "expiresAt": unit.now + lifetime}
    record(unit, [Event("key.claim_link_made", f"key/{key_id}", data)])
    return _get(unit, made.id), made.text


def find_link(store: Store, peppers: Peppers, token: str) -> ClaimLink | None:
    """Return the link that a token is of, whatever became of it; None for a token of no link.

    Each token costs the same: one look-up by its public part, digests, and a comparison in constant time.
    """
    try:
        presented = parse(token)
    except SecretMalformed:
        presented = Secret(_NOBODY, "")
    held = peppers.held()
    digests = {version: held.digest(PURPOSE, presented.text, version) for version in held.by_version}
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(claim_link).where(claim_link.c.id == presented.id)).one_or_none()
    expected = b"\0" * 32 if row is None else row.digest
    made = digests.get(held.current if row is None else row.pepper, b"")
    return _link(row) if hmac.compare_digest(made, expected) and row is not None else None


def use_link(unit: Unit, link_id: str) -> str:
    """Use a link up, in the transaction that hands the secret out; return the id of its key.

    :raises LinkEnded: when it was used before, has expired, or was replaced by a newer one.
    """
    link = _get(unit, link_id)
    if link.used_at is not None:
        raise LinkEnded(
            "This link was used already, and the key was shown, once. If it was not shown to you, tell "
            "whoever sent you the link at once: somebody else has the key, and it must be revoked."
        )
    if link.replaced_at is not None:
        raise LinkEnded("There is a newer link for this key, so this one has ended. Use the newer one.")
    if link.expires_at <= unit.now:
        raise LinkEnded("This link has expired. Ask whoever sent it to you for a new one.")
    unit.execute(sa.update(claim_link).where(claim_link.c.id == link.id).values(used_at=unit.now))
    return link.key_id


def _get(unit: Unit, link_id: str) -> ClaimLink:
    statement = sa.select(claim_link).where(
        claim_link.c.tenant_id == unit.tenant_id, claim_link.c.id == link_id
    )
    return _link(unit.execute(statement).one())


def _link(row: sa.Row[Any]) -> ClaimLink:
    return ClaimLink(
        id=row.id,
        tenant_id=row.tenant_id,
        key_id=row.key_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
        replaced_at=row.replaced_at,
    )
