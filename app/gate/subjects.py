"""Who may do something, named by an id that is no secret: a key, or a user without any key."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from app.gate.decision import Allow, Call, Deny, Holding, Right, decide
from app.gate.lookup import KNOWN, holding_of, with_rights
from app.gate.reasons import Reason
from app.rights.continuity import Interval
from app.rights.grants import grants
from app.store.tables import FOREVER, consumer, entitlement, key, secret, tenant
from app.store.unit_of_work import Unit

API_KEY: Final = "api_key"
USER: Final = "user"

UsersNamed = Callable[[Unit, str], Sequence[str]]
"""Returns the ids of the users who have a userName, as the directory compares it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody about whom is asked, and everything that is known of the rights.

    ``name``: how the subject is called in answers. ``usable``: whether anybody has a secret of the key.
    """

    type: str
    name: str
    holding: Holding
    usable: bool = True


def find_subject(unit: Unit, type_: str, identifier: str, users_named: UsersNamed) -> Subject | None:
    """Return the subject of the tenant that an id names: the id of a key, or a user's id or userName.

    None when there is none, or one user's id is another's userName.
    """
    if "\0" in identifier:
        return None
    if type_ == API_KEY:
        found = subjects_of_keys(unit, [identifier])
    elif type_ == USER:
        found = subjects_of_users(unit, {identifier, *users_named(unit, identifier)})
    else:
        return None
    return found[0] if len(found) == 1 else None


def judge_subject(subject: Subject, call: Call, now: int) -> Allow | Deny:
    """Decide what a subject may do; as :func:`app.gate.decision.decide`, whose decision it is."""
    decision = decide(subject.holding, call, now)
    if isinstance(decision, Allow) and not subject.usable:
        return Deny(Reason.KEY_UNCLAIMED, subject.holding)
    if subject.type == USER and isinstance(decision, Deny) and decision.reason is Reason.RIGHT_LAPSED:
        return Deny(_no_right(subject.holding, now), subject.holding)
    return decision


def _no_right(holding: Holding, now: int) -> Reason:
    """Why a user has no right at all. Only a key can have had one too long ago."""
    if not holding.active:
        return Reason.CONSUMER_INACTIVE
    if holding.access_starts_at is not None and now < holding.access_starts_at:
        return Reason.ACCESS_NOT_STARTED
    if holding.access_ends_at is not None and holding.access_ends_at <= now:
        return Reason.ACCESS_ENDED
    return Reason.NO_GRANT


def subjects_of_users(unit: Unit, consumer_ids: Collection[str]) -> list[Subject]:
    """Return the users of the tenant who have these ids, in the order of the ids, each with its grants now.

    They stand as if a key for all that is granted had been issued at this moment.
    """
    rows = unit.execute(
        sa.select(consumer)
        .where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id.in_(consumer_ids))
        .order_by(consumer.c.id)
    ).all()
    granted: dict[str, list[str]] = defaultdict(list)
    for grant in grants(unit, [row.id for row in rows]):
        granted[grant.consumer_id].append(grant.entitlement_id)
    rights = rights_of_entitlements(unit, {each for held in granted.values() for each in held})
    return [
        Subject(
            USER,
            row.user_name,
            _holding(unit, row, [rights[each] for each in granted[row.id] if each in rights]),
        )
        for row in rows
    ]


def subjects_of_keys(unit: Unit, key_ids: Sequence[str]) -> list[Subject]:
    """Return the keys of the tenant with these ids, by their current secrets, in the order of the ids."""
    by_key: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    for row in unit.execute(_of_keys(unit, key_ids)):
        by_key[row.key_id].append(row)
    return [
        Subject(API_KEY, key_id, holding_of(rows[0], rows), usable=rows[0].secret_id is not None)
        for key_id, rows in by_key.items()
    ]


def rights_of_entitlements(unit: Unit, entitlement_ids: Collection[str] | None = None) -> dict[str, Right]:
    """Return some entitlements of the tenant, or all, by id, as rights that hold from this moment on."""
    statement = sa.select(entitlement).where(entitlement.c.tenant_id == unit.tenant_id)
    if entitlement_ids is not None:
        statement = statement.where(entitlement.c.id.in_(entitlement_ids))
    from_now = (Interval(unit.now, FOREVER, 0),)
    return {
        row.id: Right(row.id, row.value, row.audience, tuple(row.scopes), row.conditions, from_now)
        for row in unit.execute(statement)
    }


def anybody(unit: Unit, rights: Iterable[Right]) -> Holding:
    """Return what a user would hold who has some rights, and nothing against using them."""
    return Holding(
        key_id="",
        tenant_id=unit.tenant_id,
        consumer_id="",
        user_name="",
        issued_at=unit.now,
        expires_at=None,
        revoked_at=None,
        revoked_reason=None,
        secret_id="",
        secret_ends_at=None,
        secret_replaced_at=None,
        reuse_reported_at=None,
        active=True,
        deleted=False,
        access_starts_at=None,
        access_ends_at=None,
        recovery_window=unit.recovery_window,
        rights=tuple(rights),
    )


def _holding(unit: Unit, row: sa.Row[Any], rights: Iterable[Right]) -> Holding:
    return replace(
        anybody(unit, rights),
        consumer_id=row.id,
        user_name=row.user_name,
        active=row.active,
        deleted=row.deleted_at is not None,
        access_starts_at=row.access_starts_at,
        access_ends_at=row.access_ends_at,
    )


def _of_keys(unit: Unit, key_ids: Sequence[str]) -> sa.Select[Any]:
    """The gate's look-up from the other side: from the ids of keys to their current secrets."""
    found = (
        sa.select(*KNOWN)
        .select_from(key)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .join(tenant, tenant.c.id == key.c.tenant_id)
        .outerjoin(secret, sa.and_(secret.c.key_id == key.c.id, secret.c.ends_at.is_(None)))
        .where(key.c.tenant_id == unit.tenant_id, key.c.id.in_(key_ids))
        .cte("found")
    )
    return with_rights(found).order_by(found.c.key_id)
