"""What happens to a key: issue, claim, revoke. Each writes its event in the same transaction."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.keys.status_index import draw_status_index
from app.ledger.events import Event, record
from app.store.peppers import Peppers
from app.store.secrets import Secret, mint, redacted
from app.store.tables import entitlement, key, key_entitlement, secret
from app.store.unit_of_work import Unit, new_id

PURPOSE = "key"
"""What the digest of a key's secret is made for: no other digest can stand in for it."""

BY_OPERATOR = "operator"
BY_LINK = "link"
BY_CONSUMER = "consumer"
"""The ways in which a secret is handed out."""


class KeyUnknown(Exception):
    """The tenant has no such key."""


class KeyNotClaimable(Exception):
    """The key was claimed already, or is revoked or expired."""


class KeyClaimed(KeyNotClaimable):
    """The key was claimed already, by whichever way."""


@dataclass(frozen=True)
class Minting:
    """What a secret is made with: the peppers, and the brand and environment in its text."""

    peppers: Peppers
    brand: str = "ks"
    environment: str = "live"


def issue(unit: Unit, consumer_id: str, entitlement_ids: Collection[str]) -> str:
    """Issue a key to a consumer for some entitlements of the tenant; return its id.

    The key has no secret until it is claimed. It expires when the shortest ``key_lifetime`` among its
    entitlements is over.
    """
    lifetime = unit.execute(
        sa.select(sa.func.min(entitlement.c.key_lifetime)).where(
            entitlement.c.tenant_id == unit.tenant_id, entitlement.c.id.in_(entitlement_ids)
        )
    ).scalar_one()
    key_id = f"key_{new_id()}"
    unit.execute(
        sa.insert(key).values(
            id=key_id,
            tenant_id=unit.tenant_id,
            consumer_id=consumer_id,
            issued_at=unit.now,
            expires_at=None if lifetime is None else unit.now + lifetime,
        )
    )
    ordered = sorted(entitlement_ids)
    unit.connection.execute(
        sa.insert(key_entitlement), [{"key_id": key_id, "entitlement_id": each} for each in ordered]
    )
    record(unit, [Event("key.issued", f"key/{key_id}", {"consumer": consumer_id, "entitlements": ordered})])
    return key_id


def claim(
    unit: Unit, key_id: str, minting: Minting, *, by: str = BY_OPERATOR, recipient: str | None = None
) -> Secret:
    """Make the key's secret and hand it out, this once; afterwards only its digest is known.

    :param by: the way in which it is handed out, for the event.
    :param recipient: the thumbprint of the public key that it will be encrypted to, if it will.
    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotClaimable: when it was claimed before, or is revoked or expired.
    """
    row = require_key(unit, key_id)
    if row.claimed_at is not None:
        raise KeyClaimed("the key was claimed already; its secret is shown only once")
    if row.revoked_at is not None:
        raise KeyNotClaimable("the key is revoked")
    if row.expires_at is not None and row.expires_at <= unit.now:
        raise KeyNotClaimable("the key is expired")
    made = insert_secret(unit, key_id, minting)
    unit.execute(sa.update(key).where(key.c.id == key_id).values(claimed_at=unit.now))
    data = {"consumer": row.consumer_id, "secret": made.id, "by": by}
    if recipient is not None:
        data["recipient"] = recipient
    record(unit, [Event("key.claimed", f"key/{key_id}", data)])
    return made


def revoke(unit: Unit, key_id: str, reason: str) -> bool:
    """Revoke a key for good; return whether it was alive before. Saying it again changes nothing (P6).

    A secret in the reason is not kept: whoever tells of a leak may well paste what leaked. The digests
    of the key's secrets stay as tombstones, so that a reuse is recognised.

    :raises KeyUnknown: when the tenant has no such key.
    """
    row = require_key(unit, key_id)
    if row.revoked_at is not None:
        return False
    reason = redacted(reason)
    unit.execute(sa.update(key).where(key.c.id == key_id).values(revoked_at=unit.now, revoked_reason=reason))
    record(unit, [Event("key.revoked", f"key/{key_id}", {"consumer": row.consumer_id, "reason": reason})])
    return True


def revoke_all(unit: Unit, consumer_id: str, reason: str) -> list[str]:
    """Revoke every key of a consumer of the tenant for good, claimed or not; return those that were alive."""
    alive = sa.select(key.c.id).where(
        key.c.tenant_id == unit.tenant_id, key.c.consumer_id == consumer_id, key.c.revoked_at.is_(None)
    )
    ended = list(unit.execute(alive.order_by(key.c.id)).scalars())
    for key_id in ended:
        revoke(unit, key_id, reason)
    return ended


def forget_rights(unit: Unit, key_id: str, entitlement_ids: Collection[str]) -> None:
    """Take entitlements from a key for good: it can never count for them again.

    :raises KeyUnknown: when the tenant has no such key.
    """
    row = require_key(unit, key_id)
    ordered = sorted(entitlement_ids)
    unit.execute(
        sa.delete(key_entitlement).where(
            key_entitlement.c.key_id == key_id, key_entitlement.c.entitlement_id.in_(ordered)
        )
    )
    data = {"consumer": row.consumer_id, "entitlements": ordered}
    record(unit, [Event("key.rights_lapsed", f"key/{key_id}", data)])


def insert_secret(unit: Unit, key_id: str, minting: Minting) -> Secret:
    """Make a new secret of a key, under the newest pepper, and return it; only its digest is kept."""
    made = mint(minting.brand, minting.environment)
    version = minting.peppers.current
    unit.execute(
        sa.insert(secret).values(
            id=made.id,
            tenant_id=unit.tenant_id,
            key_id=key_id,
            digest=minting.peppers.digest(PURPOSE, made.text, version),
            pepper=version,
            created_at=unit.now,
            status_index=draw_status_index(unit),
        )
    )
    return made


def require_key(unit: Unit, key_id: str) -> sa.Row[Any]:
    """Return the row of a key of the tenant.

    :raises KeyUnknown: when the tenant has no such key.
    """
    row = unit.execute(
        sa.select(key).where(key.c.tenant_id == unit.tenant_id, key.c.id == key_id)
    ).one_or_none()
    if row is None:
        raise KeyUnknown(key_id)
    return row
