"""Keys as an operator sees and handles them. Only a claim and a rotation are answered with a secret."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.claiming.handover import hand_over
from app.keys import lifecycle
from app.keys.lifecycle import KeyUnknown, Minting
from app.keys.rotation import DEFAULT_OVERLAP, KeyNotRotatable, Rotation, rotate
from app.operator.consumers import find_consumer
from app.operator.errors import ConsumerUnknown, GrantMissing, RequestInvalid
from app.operator.pages import Page, Window
from app.rights.grants import grants
from app.rights.standing import KeyState, Standing, standings
from app.store.batches import batches
from app.store.secrets import Secret
from app.store.tables import consumer, entitlement, key, key_entitlement, key_usage
from app.store.unit_of_work import Unit

REVOKED_BY_OPERATOR: Final = "operator"
"""The reason of a revocation for which none was given."""

_BATCH: Final = 1000


@dataclass(frozen=True)
class EntitlementRef:
    """An entitlement that a key was issued for; ``value`` is None when it was deleted since."""

    id: str
    value: str | None


@dataclass(frozen=True)
class KeyView:
    """A key as a list shows it. Times in microseconds; ``reason``: why it is revoked or expired."""

    id: str
    state: KeyState
    consumer_id: str
    user_name: str
    entitlements: tuple[EntitlementRef, ...]
    issued_at: int
    claimed_at: int | None
    expires_at: int | None
    revoked_at: int | None
    last_used_at: int | None
    reason: str | None


@dataclass(frozen=True)
class KeyFilter:
    """Which keys: of a consumer (id or userName), in a state, for an entitlement (id or value)."""

    consumer: str | None = None
    state: KeyState | None = None
    entitlement: str | None = None


def find_keys(unit: Unit, window: Window, wanted: KeyFilter = KeyFilter()) -> Page[KeyView]:
    """Return a page of the tenant's keys, oldest first."""
    condition = _condition(unit, wanted)
    if condition is None:
        return Page(0, window.start, ())
    ordered = sa.select(key.c.id).where(condition).order_by(key.c.issued_at, key.c.id)
    if wanted.state is None:
        total = unit.execute(sa.select(sa.func.count()).select_from(key).where(condition)).scalar_one()
        ids = unit.execute(ordered.limit(window.count).offset(window.offset)).scalars().all()
    else:
        # A state is derived from the directory, so no index knows it: each key is looked at.
        in_state = _in_state(unit, unit.execute(ordered).scalars().all(), wanted.state)
        total, ids = len(in_state), in_state[window.offset : window.offset + window.count]
    return Page(total, window.start, tuple(_views(unit, ids)))


def get_key(unit: Unit, key_id: str) -> KeyView:
    """Return one key of the tenant.

    :raises KeyUnknown: when the tenant has no such key.
    """
    found = _views(unit, [key_id])
    if not found:
        raise KeyUnknown(key_id)
    return found[0]


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


def _condition(unit: Unit, wanted: KeyFilter) -> sa.ColumnElement[bool] | None:
    """What the columns can say of a filter; None when nothing can meet it."""
    condition = key.c.tenant_id == unit.tenant_id
    if wanted.consumer is not None:
        try:
            condition &= key.c.consumer_id == find_consumer(unit, wanted.consumer).id
        except ConsumerUnknown:
            return None
    if wanted.entitlement is not None:
        called = sa.select(entitlement.c.id).where(
            entitlement.c.tenant_id == unit.tenant_id, entitlement.c.value == wanted.entitlement
        )
        issued_for = sa.select(key_entitlement.c.key_id).where(
            sa.or_(
                key_entitlement.c.entitlement_id == wanted.entitlement,
                key_entitlement.c.entitlement_id.in_(called),
            )
        )
        condition &= key.c.id.in_(issued_for)
    match wanted.state:
        case KeyState.issued:
            condition &= key.c.claimed_at.is_(None) & key.c.revoked_at.is_(None)
        case KeyState.active:
            condition &= key.c.claimed_at.is_not(None) & key.c.revoked_at.is_(None)
        case KeyState.dormant:
            condition &= key.c.revoked_at.is_(None)
        case KeyState.expired:
            condition &= key.c.revoked_at.is_(None) & (key.c.expires_at <= unit.now)
    return condition


def _in_state(unit: Unit, ids: Sequence[str], state: KeyState) -> list[str]:
    found: list[str] = []
    for some in batches(ids, _BATCH):
        standing = standings(unit, key.c.id.in_(some))
        found.extend(each for each in some if standing[each].state is state)
    return found


def _views(unit: Unit, ids: Sequence[str]) -> list[KeyView]:
    """The keys of some ids, in their order."""
    standing = standings(unit, key.c.id.in_(ids))
    refs = _entitlements(unit, ids)
    rows = unit.execute(
        sa.select(key, consumer.c.user_name, key_usage.c.last_at)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .outerjoin(key_usage, key_usage.c.key_id == key.c.id)
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
        last_used_at=row.last_at,
        reason=standing.reason,
    )
