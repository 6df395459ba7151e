"""The gate's look-up: one statement says all that is known of a key."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from app.access.credentials import credential_statement
from app.gate.decision import Holding, Person, Right
from app.keys.digests import DigestMove
from app.keys.lifecycle import PURPOSE
from app.rights.consumers import SUSPEND
from app.rights.continuity import Interval
from app.rights.paths import paths
from app.store.peppers import Held, Peppers
from app.store.secrets import Secret
from app.store.tables import (
    activity,
    consumer,
    entitlement,
    key,
    key_entitlement,
    resource,
    secret,
    tenant,
)
from app.store.unit_of_work import Store, moment_after

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# 0 where the directory has never had the sponsor; none where there is no sponsor to have.
_SPONSOR_UNTIL: Final = (
    sa.select(
        sa.case(
            (consumer.c.sponsor_id.is_not(None), sa.func.coalesce(sa.func.max(activity.c.until), 0)),
            else_=None,
        )
    )
    .where(activity.c.consumer_id == consumer.c.sponsor_id)
    .scalar_subquery()
)

KNOWN: Final = (
    secret.c.id.label("secret_id"),
    secret.c.ends_at,
    secret.c.replaced_at,
    secret.c.reuse_reported_at,
    secret.c.status_index,
    key.c.id.label("key_id"),
    key.c.tenant_id,
    key.c.consumer_id,
    key.c.issued_at,
    key.c.expires_at,
    key.c.revoked_at,
    key.c.revoked_reason,
    consumer.c.user_name,
    consumer.c.active,
    consumer.c.deleted_at,
    consumer.c.access_starts_at,
    consumer.c.access_ends_at,
    tenant.c.recovery_window,
    sa.case((tenant.c.sponsor_policy == SUSPEND, _SPONSOR_UNTIL), else_=None).label("sponsor_until"),
    key.c.issued_at.label("horizon"),
)
"""What is known of a key by itself, whichever way it was found."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a tenant knows of the key that a secret opens, at the moment of the look-up.

    ``move``: the secret's digest under the newest pepper, when it is still under an older one.
    """

    holding: Holding
    last_write_at: int
    move: DigestMove | None


@dataclass(frozen=True, slots=True)
class Found:
    """The same, with the moment to judge it at."""

    holding: Holding
    now: int
    move: DigestMove | None


def look_up(store: Store, peppers: Peppers, tenant_id: str, presented: Secret) -> Found | None:
    """Return what a tenant knows of the key that a secret opens.

    One statement on a snapshot of its own: a look-up that starts after a commit sees it (P1). None when no
    key of this tenant has the secret; as much work is done then as when the secret is only nearly right.

    :raises PepperMissing: when the key's digest is under a pepper that is not at hand.
    :raises ClockAbsurd: when the clock is far behind the tenant's last write.
    :raises sqlalchemy.exc.SQLAlchemyError: when the store does not answer.
    """
    with store.engine.connect() as connection:
        rows = connection.execute(key_statement(), {"secret_id": presented.id, "tenant_id": tenant_id}).all()
    known = opened_key(rows, peppers.held(), presented)
    if known is None:
        return None
    return Found(known.holding, moment_after(known.last_write_at), known.move)


def opened_key(rows: Sequence[Any], held: Held, presented: Secret) -> Known | None:
    """Return what rows of :func:`key_statement` say of a key, if a secret opens it.

    :raises PepperMissing: when the key's digest is under a pepper that is not at hand.
    """
    first = rows[0] if rows else None
    version = first.pepper if first is not None else held.current
    digest = held.digest(PURPOSE, presented.text, version)
    if not hmac.compare_digest(digest, first.digest if first is not None else bytes(len(digest))):
        return None
    assert first is not None
    move, current = None, held.current
    if version < current:
        move = DigestMove(presented.id, digest, held.digest(PURPOSE, presented.text, current), current)
    return Known(holding_of(first, rows), first.last_write_at, move)


def same_key(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Say whether rows of :func:`key_statement` say the same of a key, whenever its tenant was written to."""
    place = _last_write_place()
    return len(one) == len(other) > 0 and all(
        each[:place] == another[:place] and each[place + 1 :] == another[place + 1 :]
        for each, another in zip(one, other, strict=True)
    )


@cache
def _last_write_place() -> int:
    return list(key_statement().exported_columns.keys()).index(tenant.c.last_write_at.name)


def holding_of(first: Any, rows: Sequence[Any]) -> Holding:
    """Return what rows of :func:`with_rights` say of one key; ``first`` is the first of them."""
    rights: dict[str, Any] = {}
    intervals: dict[str, list[Interval]] = {}
    person: Person | None = None
    for row in rows:
        if row.entitlement_id is None:
            continue
        if row.has_policy:
            person = Person(row.user_type, row.department)
        rights[row.entitlement_id] = row
        carried = intervals.setdefault(row.entitlement_id, [])
        if row.since is not None:
            carried.append(Interval(row.since, row.until, row.tolerance, row.held_until))
    return Holding(
        key_id=first.key_id,
        tenant_id=first.tenant_id,
        consumer_id=first.consumer_id,
        user_name=first.user_name,
        issued_at=first.issued_at,
        expires_at=first.expires_at,
        revoked_at=first.revoked_at,
        revoked_reason=first.revoked_reason,
        secret_id=first.secret_id,
        secret_ends_at=first.ends_at,
        secret_replaced_at=first.replaced_at,
        reuse_reported_at=first.reuse_reported_at,
        active=first.active,
        deleted=first.deleted_at is not None,
        access_starts_at=first.access_starts_at,
        access_ends_at=first.access_ends_at,
        recovery_window=first.recovery_window,
        sponsor_until=first.sponsor_until,
        rights=tuple(
            Right(
                entitlement_id,
                row.value,
                row.audience,
                tuple(row.scopes),
                row.conditions,
                tuple(intervals[entitlement_id]),
            )
            for entitlement_id, row in sorted(rights.items(), key=lambda pair: pair[1].value)
        ),
        status_index=first.status_index,
        person=person,
    )


@cache
def key_statement() -> sa.Select[Any]:
    """Return the statement that says all about the key with the secret ``secret_id`` of ``tenant_id``."""
    return _key_of(sa.bindparam("tenant_id"))


@cache
def gateway_and_key_statement() -> sa.Select[Any]:
    """Return one statement for both: the credential ``credential_id``, and the key of its tenant.

    Its rows are those of :func:`key_statement`, or a row without a key; before each is what
    :func:`credential_statement` says.
    """
    gateway = credential_statement().cte("gateway")
    known = _key_of(sa.select(gateway.c.tenant_id).scalar_subquery()).subquery("known")
    before = [each.label(f"gateway_{each.name}") for each in gateway.c]
    return sa.select(*before, known).select_from(gateway.outerjoin(known, sa.true()))


def _key_of(tenant_id: sa.ColumnElement[Any]) -> sa.Select[Any]:
    found = (
        sa.select(*KNOWN, secret.c.digest, secret.c.pepper, tenant.c.last_write_at)
        .select_from(secret)
        .join(key, key.c.id == secret.c.key_id)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .join(tenant, tenant.c.id == key.c.tenant_id)
        .where(
            secret.c.id == sa.bindparam("secret_id"),
            secret.c.tenant_id == tenant_id,
            # By no index: without statistics, PostgreSQL would go through all keys of the tenant.
            sa.func.coalesce(key.c.tenant_id, "") == tenant_id,
        )
        .cte("found")
    )
    return with_rights(found)


def with_rights(found: sa.CTE) -> sa.Select[Any]:
    """Return the statement that adds to keys what they were issued for, and the times that carried it.

    :param found: keys as ``key_id``, ``consumer_id`` and ``horizon``, with whatever else is wanted of them.
    """
    path = paths(found)
    has_policy = entitlement.c.conditions["cedar"].as_string().is_not(None)
    return (
        sa.select(
            found,
            entitlement.c.id.label("entitlement_id"),
            entitlement.c.value,
            entitlement.c.audience,
            entitlement.c.scopes,
            entitlement.c.conditions,
            has_policy.label("has_policy"),
            _said_of_user(found.c.consumer_id, has_policy, "userType").label("user_type"),
            _said_of_user(found.c.consumer_id, has_policy, ENTERPRISE, "department").label("department"),
            path.c.since,
            path.c.until,
            path.c.tolerance,
            path.c.held_until,
        )
        .select_from(found)
        .outerjoin(key_entitlement, key_entitlement.c.key_id == found.c.key_id)
        .outerjoin(entitlement, entitlement.c.id == key_entitlement.c.entitlement_id)
        .outerjoin(
            path,
            sa.and_(path.c.entitlement_id == entitlement.c.id, path.c.consumer_id == found.c.consumer_id),
        )
    )


def _said_of_user(
    consumer_id: sa.ColumnElement[str], wanted: sa.ColumnElement[bool], *path: str
) -> sa.ColumnElement[str | None]:
    """Return what the user's document says at a path; it is read only where that is wanted."""
    said = (
        sa.select(resource.c.document[path].as_string())
        .where(resource.c.id == consumer_id, resource.c.type == "User")
        .scalar_subquery()
    )
    return sa.case((wanted, said), else_=None)
