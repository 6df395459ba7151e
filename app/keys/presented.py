"""Which key a secret opens that somebody hands over, outside of a verification."""

from __future__ import annotations

import hmac

import sqlalchemy as sa

from app.keys.lifecycle import PURPOSE
from app.store.peppers import Peppers
from app.store.secrets import SecretMalformed, parse
from app.store.tables import secret
from app.store.unit_of_work import Unit


def key_of(unit: Unit, peppers: Peppers, text: str) -> str | None:
    """Return the id of the tenant's key that a text is a secret of; None when there is none.

    A secret that was rotated out and has ended is a secret of no key any more.

    :raises PepperMissing: when that cannot be said, because the pepper of the secret's digest is not at hand.
    """
    try:
        presented = parse(text.removeprefix("secret-token:"))
    except SecretMalformed:
        return None
    row = unit.execute(
        sa.select(secret).where(secret.c.tenant_id == unit.tenant_id, secret.c.id == presented.id)
    ).one_or_none()
    if row is None or (row.ends_at is not None and row.ends_at <= unit.now):
        return None
    digest = peppers.digest(PURPOSE, presented.text, row.pepper)
    return str(row.key_id) if hmac.compare_digest(digest, row.digest) else None
