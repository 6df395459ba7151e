"""Receipts: since when a key is dead or dormant, by what cause, for which of its secrets."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.keys.lifecycle import KeyUnknown
from app.ledger.events import RecordedEvent, event_of
from app.operator.consumers import ConsumerView, find_consumer
from app.operator.keys import KeyView, get_key
from app.rights.explain import explain
from app.rights.standing import KeyState
from app.rights.words import because
from app.store.tables import event, key, secret
from app.store.unit_of_work import Unit


@dataclass(frozen=True)
class SecretVersion:
    """One of the secrets that a key has had. Times in microseconds.

    ``ended_at``: since when it opens nothing for good; None while the key may still be used with it, or may
    be again. ``ends_at``: when an overlap ends that is not over. ``denied_since``: since when it is denied,
    with the key, dormant or dead, or because it was replaced; None while neither is so.
    """

    id: str
    created_at: int
    ends_at: int | None
    ended_at: int | None
    denied_since: int | None


@dataclass(frozen=True)
class Cause:
    """What withdrew a key: the code of it, in words, and since when (microseconds).

    ``event`` is the entry in the ledger; None where nothing happened but time went by, as at the end of an
    access.
    """

    code: str
    detail: str
    since: int | None
    event: RecordedEvent | None


@dataclass(frozen=True)
class Receipt:
    """Where a key stands at a moment (microseconds), why, and which secrets that is true of.

    ``cause`` is None while the key works, or could be claimed.
    """

    key: KeyView
    at: int
    cause: Cause | None
    secrets: tuple[SecretVersion, ...]


@dataclass(frozen=True)
class ConsumerReceipt:
    """The receipts of all keys that a consumer ever had, oldest first."""

    consumer: ConsumerView
    at: int
    keys: tuple[Receipt, ...]


def key_receipt(unit: Unit, key_id: str) -> Receipt:
    """Return the receipt of a key of the tenant, as it stands at ``unit.now``.

    :raises KeyUnknown: when the tenant has no such key.
    """
    found = get_key(unit, key_id)
    cause = _cause(unit, found)
    return Receipt(found, unit.now, cause, _secrets(unit, found, cause))


def consumer_receipt(unit: Unit, id_or_user_name: str) -> ConsumerReceipt:
    """Return the receipt of a consumer of the tenant: those of all of its keys.

    :raises ConsumerUnknown: when the tenant has no such consumer.
    """
    holder = find_consumer(unit, id_or_user_name)
    keys = (
        sa.select(key.c.id)
        .where(key.c.tenant_id == unit.tenant_id, key.c.consumer_id == holder.id)
        .order_by(key.c.issued_at, key.c.id)
    )
    ids = unit.execute(keys).scalars().all()
    return ConsumerReceipt(holder, unit.now, tuple(key_receipt(unit, each) for each in ids))


def _cause(unit: Unit, found: KeyView) -> Cause | None:
    if found.state in (KeyState.active, KeyState.issued):
        return None
    if found.revoked_at is not None:
        happened = _event(unit, found, found.revoked_at)
        detail = f"the key was revoked: {because(found.reason)}"
        return Cause(found.reason or "key_revoked", detail, found.revoked_at, happened)
    if found.state is KeyState.expired:
        return Cause("key_expired", "the key has come to the end of its life", found.expires_at, None)
    broken = explain(unit, found.id).broken
    if broken is None:  # pragma: no cover - a key that is withdrawn has a broken link
        raise KeyUnknown(found.id)
    happened = None if broken.since is None else _event(unit, found, broken.since)
    return Cause(broken.code, broken.detail, broken.since, happened)


def _event(unit: Unit, found: KeyView, moment: int) -> RecordedEvent | None:
    """The entry of what happened at a moment.

    The moments of one tenant's writes all differ, so what ended something then is one transaction: of its
    events the one that is nearest to the key is taken.
    """
    nearest = sa.case(
        (event.c.subject == f"key/{found.id}", 0),
        (event.c.subject == f"User/{found.consumer_id}", 1),
        else_=2,
    )
    row = unit.execute(
        sa.select(event)
        .where(event.c.tenant_id == unit.tenant_id, event.c.time == moment)
        .order_by(nearest, event.c.sequence)
        .limit(1)
    ).one_or_none()
    return None if row is None else event_of(row)


def _secrets(unit: Unit, found: KeyView, cause: Cause | None) -> tuple[SecretVersion, ...]:
    final = None
    if cause is not None and found.state in (KeyState.revoked, KeyState.expired):
        final = cause.since if cause.since is not None else unit.now
    rows = unit.execute(
        sa.select(secret)
        .where(secret.c.tenant_id == unit.tenant_id, secret.c.key_id == found.id)
        .order_by(secret.c.created_at, secret.c.id)
    )
    versions = []
    for row in rows:
        ends = [each for each in (row.ends_at, final) if each is not None and each <= unit.now]
        ended = min(ends, default=None)
        denied = ended
        if cause is not None:
            withdrawn = unit.now if cause.since is None else cause.since
            denied = withdrawn if ended is None else min(ended, withdrawn)
        versions.append(
            SecretVersion(row.id, row.created_at, row.ends_at if ended is None else None, ended, denied)
        )
    return tuple(versions)
