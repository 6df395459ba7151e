"""What a consumer sees of itself: who it is by its claims, and its own keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

import sqlalchemy as sa

from app.directory.comparable import match_key
from app.rights.standing import KeyState, standings
from app.store.tables import attribute_value, consumer, entitlement, key, key_entitlement
from app.store.unit_of_work import Unit

MOST: Final = 200
"""How many keys are shown, the newest first."""

UserNameKey = Callable[[str], str]
"""Returns what a userName compares by; raises ValueError for what can be none."""

_USER: Final = "urn:ietf:params:scim:schemas:core:2.0:user"
_ATTRIBUTES: Final = {
    "userName": f"{_USER}:username",
    "externalId": f"{_USER}:externalid",
    "emails": f"{_USER}:emails.value",
}

_MEANINGS: Final = {
    KeyState.issued: "not shown yet",
    KeyState.active: "in use",
    KeyState.dormant: "asleep: you do not hold what it is for now",
    KeyState.revoked: "ended for good",
    KeyState.expired: "its time is over",
}


@dataclass(frozen=True)
class OwnKey:
    """A key as its consumer sees it. Times in microseconds; ``entitlements``: values of those that exist."""

    id: str
    state: KeyState
    entitlements: tuple[str, ...]
    issued_at: int
    claimed_at: int | None
    expires_at: int | None

    @property
    def meaning(self) -> str:
        """What its state means, for people."""
        return _MEANINGS[self.state]

    @property
    def is_claimable(self) -> bool:
        """Whether its secret can be shown, once."""
        return self.state is KeyState.issued and self.claimed_at is None


def own_keys(unit: Unit, consumer_id: str) -> list[OwnKey]:
    """Return the keys of a consumer of the tenant, the newest first."""
    rows = unit.execute(
        sa.select(key)
        .where(key.c.tenant_id == unit.tenant_id, key.c.consumer_id == consumer_id)
        .order_by(key.c.issued_at.desc(), key.c.id)
        .limit(MOST)
    ).all()
    shown = key.c.id.in_([row.id for row in rows])
    standing = standings(unit, shown)
    values: dict[str, list[str]] = defaultdict(list)
    named = (
        sa.select(key_entitlement.c.key_id, entitlement.c.value)
        .join(key, key.c.id == key_entitlement.c.key_id)
        .join(entitlement, entitlement.c.id == key_entitlement.c.entitlement_id)
        .where(shown)
        .order_by(entitlement.c.value)
    )
    for each in unit.execute(named):
        values[each.key_id].append(each.value)
    return [
        OwnKey(
            row.id,
            standing[row.id].state,
            tuple(values[row.id]),
            row.issued_at,
            row.claimed_at,
            row.expires_at,
        )
        for row in rows
        if row.id in standing
    ]


def is_own(unit: Unit, consumer_id: str, key_id: str) -> bool:
    """Return whether a key is one of a consumer of the tenant."""
    statement = sa.select(key.c.id).where(
        key.c.tenant_id == unit.tenant_id, key.c.consumer_id == consumer_id, key.c.id == key_id
    )
    return unit.execute(statement).first() is not None


def consumers_named(unit: Unit, attribute: str, value: str, user_name_key: UserNameKey) -> list[str]:
    """Return the users of the tenant who have a value in an attribute, as the directory compares it.

    :param attribute: ``userName``, ``externalId`` or ``emails``.
    """
    try:
        prepared = _prepared(attribute, value, user_name_key)
    except ValueError:
        return []
    statement = (
        sa.select(attribute_value.c.resource_id)
        .join(consumer, consumer.c.id == attribute_value.c.resource_id)
        .where(
            attribute_value.c.tenant_id == unit.tenant_id,
            attribute_value.c.attribute == _ATTRIBUTES[attribute],
            attribute_value.c.value == match_key(prepared),
        )
        .distinct()
    )
    return sorted(unit.execute(statement).scalars())


def _prepared(attribute: str, value: str, user_name_key: UserNameKey) -> str:
    if "\0" in value:
        raise ValueError("no attribute holds this")
    if attribute == "userName":
        return user_name_key(value)
    composed = normalize("NFC", value)
    return composed if attribute == "externalId" else normalize("NFC", composed.lower())
