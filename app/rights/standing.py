"""Where a key stands: its state, and the rights it has at this moment.

Dormant is not stored anywhere: it follows from the directory, so it cannot drift from it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from app.rights.continuity import Held, Interval, Lapsed, continuity
from app.rights.paths import of_consumers, paths
from app.store.tables import consumer, key, key_entitlement
from app.store.unit_of_work import Unit


class KeyState(StrEnum):
    """The state of a key (the design's lifecycle). ``revoked`` and ``expired`` are final."""

    issued = "issued"
    active = "active"
    dormant = "dormant"
    revoked = "revoked"
    expired = "expired"


@dataclass(frozen=True)
class Standing:
    """A key's state now. ``rights``: the entitlements that it counts for; ``reason``: why it is dead."""

    key_id: str
    consumer_id: str
    state: KeyState
    rights: frozenset[str]
    entitlements: frozenset[str]
    reason: str | None


def standings(unit: Unit, keys: sa.ColumnElement[bool]) -> dict[str, Standing]:
    """Return where some keys of the tenant stand at ``unit.now``.

    :param keys: a condition on the table ``key``.
    """
    rows = unit.execute(
        sa.select(key).where(key.c.tenant_id == unit.tenant_id, keys).order_by(key.c.id)
    ).all()
    if not rows:
        return {}
    ids = [row.id for row in rows]
    entitlements: dict[str, set[str]] = defaultdict(set)
    held = sa.select(key_entitlement).where(key_entitlement.c.key_id.in_(ids))
    for pair in unit.execute(held):
        entitlements[pair.key_id].add(pair.entitlement_id)
    alive = [row for row in rows if row.revoked_at is None]
    carried: dict[tuple[str, str], list[Interval]] = defaultdict(list)
    if alive:
        path = paths(
            of_consumers(
                consumer.c.id.in_({row.consumer_id for row in alive}), min(row.issued_at for row in alive)
            )
        )
        for each in unit.execute(sa.select(path)):
            carried[each.consumer_id, each.entitlement_id].append(
                Interval(each.since, each.until, each.tolerance)
            )
    return {row.id: _standing(unit, row, frozenset(entitlements[row.id]), carried) for row in rows}


def _standing(
    unit: Unit,
    row: sa.Row[tuple[object, ...]],
    entitlements: frozenset[str],
    carried: dict[tuple[str, str], list[Interval]],
) -> Standing:
    def at(state: KeyState, rights: frozenset[str] = frozenset(), reason: str | None = None) -> Standing:
        return Standing(row.id, row.consumer_id, state, rights, entitlements, reason)

    if row.revoked_at is not None:
        return at(KeyState.revoked, reason=row.revoked_reason)
    if row.expires_at is not None and row.expires_at <= unit.now:
        return at(KeyState.expired, reason="expired")
    judged = {
        entitlement: continuity(
            carried[row.consumer_id, entitlement],
            issued_at=row.issued_at,
            now=unit.now,
            recovery_window=unit.recovery_window,
        )
        for entitlement in entitlements
    }
    rights = frozenset(entitlement for entitlement, right in judged.items() if isinstance(right, Held))
    if rights:
        return at(KeyState.issued if row.claimed_at is None else KeyState.active, rights)
    if all(isinstance(right, Lapsed) for right in judged.values()):
        return at(KeyState.revoked, reason="right_lapsed")
    return at(KeyState.dormant)
