"""Keys as an operator sees and handles them. Only a claim and a rotation are answered with a secret."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import PreconditionFailedException
from scim2_server.conditions import Conditions

from app.claiming.handover import hand_over
from app.keys import lifecycle
from app.keys.lifecycle import KeyUnknown, Minting
from app.keys.rotation import DEFAULT_OVERLAP, KeyNotRotatable, Rotation, rotate
from app.operator.consumers import find_consumer
from app.operator.errors import GrantMissing, RequestInvalid, VersionOutdated
from app.operator.key_columns import KEYS, LAST_CHANGED, LAST_USED
from app.rights.grants import grants
from app.rights.standing import KeyState, Standing, standings
from app.store.batches import batches
from app.store.secrets import Secret
from app.store.tables import consumer, entitlement, key, key_entitlement, secret
from app.store.unit_of_work import Unit

REVOKED_BY_OPERATOR: Final = "operator"
"""The reason of a revocation for which none was given."""

_SECRET: Final = (
    sa.select(secret.c.id).where(secret.c.key_id == key.c.id, secret.c.ends_at.is_(None)).scalar_subquery()
)


@dataclass(frozen=True)
class EntitlementRef:
    """An entitlement that a key was issued for; ``value`` is None when it was deleted since."""

    id: str
    value: str | None


@dataclass(frozen=True)
class KeyView:
    """A key as a list shows it. Times in microseconds; ``reason``: why it is revoked or expired.

    ``changed_at``: when it was last issued, claimed, rotated or revoked. ``secret``: the public identifier of
    its newest secret, if it has one.
    """

    id: str
    state: KeyState
    consumer_id: str
    user_name: str
    entitlements: tuple[EntitlementRef, ...]
    issued_at: int
    claimed_at: int | None
    expires_at: int | None
    revoked_at: int | None
    reason: str | None
    last_used_at: int | None
    changed_at: int
    secret: str | None

    @property
    def version(self) -> str:
        """A weak ETag (RFC 9110 §8.8.3): another one as soon as anything is different but the last use."""
        said = repr(astuple(replace(self, last_used_at=None)))
        return f'W/"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'


def get_key(unit: Unit, key_id: str) -> KeyView:
    """Return one key of the tenant.

    :raises KeyUnknown: when the tenant has no such key.
    """
    found = views_of(unit, [key_id])
    if not found:
        raise KeyUnknown(key_id)
    return found[0]


def is_wanted(found: KeyView, conditions: Conditions) -> bool:
    """Return whether a caller has not yet what it reads (``If-None-Match``).

    :raises VersionOutdated: when the key is not as the caller says that it is (``If-Match``).
    """
    return _checked(found, conditions, "GET")


def require_version(unit: Unit, key_id: str, conditions: Conditions) -> None:
    """Go on with what is asked of a key if it is still as the caller read it.

    :raises KeyUnknown: when the tenant has no such key.
    :raises VersionOutdated: when it is not.
    """
    if conditions != Conditions():
        _checked(get_key(unit, key_id), conditions, "POST")


def issue_key(unit: Unit, id_or_user_name: str, values: Iterable[str]) -> KeyView:
    """Issue a key to a consumer for entitlements, named by their values, that it holds now.

    :raises ConsumerUnknown: when the tenant has no such consumer.
    :raises RequestInvalid: when no entitlement is named.
    :raises GrantMissing: when the consumer does not hold one of them now, or there is none of that value.
    """
    asked = list(dict.fromkeys(values))
    if not asked:
        raise RequestInvalid("a key is for one entitlement at least")
    holder = find_consumer(unit, id_or_user_name)
    held = {grant.entitlement_id for grant in grants(unit, [holder.id])}
    ids = {
        row.value: row.id
        for some in batches(asked)
        for row in unit.execute(
            sa.select(entitlement.c.id, entitlement.c.value).where(
                entitlement.c.tenant_id == unit.tenant_id, entitlement.c.value.in_(some)
            )
        )
        if row.id in held
    }
    missing = [value for value in asked if value not in ids]
    if missing:
        raise GrantMissing(holder.user_name, missing)
    return get_key(unit, lifecycle.issue(unit, holder.id, sorted(ids.values())))


def claim_key(unit: Unit, key_id: str, minting: Minting, *, recipient: str | None = None) -> Secret:
    """Make a key's secret and hand it out, this once. A key without a right now gets none.

    :param recipient: the thumbprint of the public key that it will be encrypted to, if it will.
    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotClaimable: when it was claimed before, or is dormant, revoked or expired.
    """
    return hand_over(unit, key_id, minting, recipient=recipient)


def revoke_key(unit: Unit, key_id: str, reason: str | None = None) -> KeyView:
    """Revoke a key for good and return it. Saying it again changes nothing, not even the reason (P6).

    :raises KeyUnknown: when the tenant has no such key.
    """
    lifecycle.revoke(unit, key_id, reason or REVOKED_BY_OPERATOR)
    return get_key(unit, key_id)


def rotate_key(unit: Unit, key_id: str, minting: Minting, *, overlap: int = DEFAULT_OVERLAP) -> Rotation:
    """Make a new secret beside a key's present one and hand it out, this once.

    :param overlap: for how many microseconds the present one still works; 0: it ends with the commit.
    :raises KeyUnknown: when the tenant has no such key.
    :raises KeyNotRotatable: when it is not claimed yet, or is dormant, revoked or expired.
    """
    state = get_key(unit, key_id).state
    if state is KeyState.dormant:
        raise KeyNotRotatable("the key is dormant: its consumer does not hold what it is for now")
    if state is KeyState.revoked:
        raise KeyNotRotatable("the key is revoked: issue a new one")
    return rotate(unit, key_id, minting, overlap=overlap)


def _checked(found: KeyView, conditions: Conditions, method: str) -> bool:
    try:
        return conditions.check(found.version, method)
    except PreconditionFailedException:
        raise VersionOutdated(
            f"the key {found.id!r} was changed in the meantime: read it again, and decide again"
        ) from None


def views_of(unit: Unit, ids: Sequence[str]) -> list[KeyView]:
    """Return the tenant's keys of some ids, in their order."""
    standing = standings(unit, key.c.id.in_(ids))
    refs = _entitlements(unit, ids)
    rows = unit.execute(
        sa.select(
            key,
            consumer.c.user_name,
            LAST_USED.label("last_used_at"),
            LAST_CHANGED.label("changed_at"),
            _SECRET.label("secret"),
        )
        .select_from(KEYS)
        .where(key.c.tenant_id == unit.tenant_id, key.c.id.in_(ids))
    )
    views = {row.id: _view(row, standing[row.id], refs[row.id]) for row in rows}
    return [views[each] for each in ids if each in views]


def _entitlements(unit: Unit, key_ids: Sequence[str]) -> dict[str, list[EntitlementRef]]:
    refs: dict[str, list[EntitlementRef]] = defaultdict(list)
    statement = (
        sa.select(key_entitlement, entitlement.c.value)
        .outerjoin(entitlement, entitlement.c.id == key_entitlement.c.entitlement_id)
        .where(key_entitlement.c.key_id.in_(key_ids))
        .order_by(entitlement.c.value, key_entitlement.c.entitlement_id)
    )
    for row in unit.execute(statement):
        refs[row.key_id].append(EntitlementRef(row.entitlement_id, row.value))
    return refs


def _view(row: sa.Row[Any], standing: Standing, refs: Sequence[EntitlementRef]) -> KeyView:
    return KeyView(
        id=row.id,
        state=standing.state,
        consumer_id=row.consumer_id,
        user_name=row.user_name,
        entitlements=tuple(refs),
        issued_at=row.issued_at,
        claimed_at=row.claimed_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        reason=standing.reason,
        last_used_at=row.last_used_at,
        changed_at=row.changed_at,
        secret=row.secret,
    )
