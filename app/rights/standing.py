"""Where a key stands: its state, and the rights it has at this moment.

Dormant is not stored anywhere: it follows from the directory, so it cannot drift from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.rights.continuity import Held, Interval, Lapsed, continuity
from app.rights.paths import paths_of_consumers
from app.store.batches import batches
from app.store.tables import entitlement, key, key_entitlement
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
    """A key's state now. ``rights``: the entitlements that it counts for; ``reason``: why it is dead.

    ``lapsed``: the entitlements that it can never count for again; none are told of a dead key.
    """

    key_id: str
    consumer_id: str
    state: KeyState
    rights: frozenset[str]
    lapsed: frozenset[str]
    entitlements: frozenset[str]
    reason: str | None


def standings(
    unit: Unit,
    keys: sa.ColumnElement[bool],
    *,
    at: int | None = None,
    deleted_since: Collection[str] = (),
) -> dict[str, Standing]:
    """Return where some keys of the tenant stand at ``unit.now``, or stood at an earlier moment.

    :param keys: a condition on the table ``key``.
    :param at: the moment, in microseconds; keys that were issued later are left out.
    :param deleted_since: entitlements that were there at that moment and are gone now.
    """
    at = unit.now if at is None else at
    rows = unit.execute(
        sa.select(key)
        .where(key.c.tenant_id == unit.tenant_id, key.c.issued_at <= at, keys)
        .order_by(key.c.id)
    ).all()
    return {
        standing.key_id: standing
        for some in batches(rows)
        for standing in _standings(unit, some, at, deleted_since)
    }


def _standings(
    unit: Unit, rows: Sequence[sa.Row[Any]], at: int, deleted_since: Collection[str]
) -> Iterator[Standing]:
    entitlements: dict[str, set[str]] = defaultdict(set)
    deleted: set[str] = set()
    of_keys = (
        sa.select(key_entitlement, entitlement.c.id.label("present"))
        .outerjoin(entitlement, entitlement.c.id == key_entitlement.c.entitlement_id)
        .where(key_entitlement.c.key_id.in_([row.id for row in rows]))
    )
    for pair in unit.execute(of_keys):
        entitlements[pair.key_id].add(pair.entitlement_id)
        if pair.present is None and pair.entitlement_id not in deleted_since:
            deleted.add(pair.entitlement_id)
    carried: dict[tuple[str, str], list[Interval]] = defaultdict(list)
    alive = [row for row in rows if row.revoked_at is None or row.revoked_at > at]
    if alive:
        asked = {
            "tenant_id": unit.tenant_id,
            "consumer_ids": list({row.consumer_id for row in alive}),
            "horizon": min(row.issued_at for row in alive),
        }
        for each in unit.execute(_times(), asked):
            carried[each.consumer_id, each.entitlement_id].append(
                Interval(each.since, each.until, each.tolerance, each.held_until)
            )
    for row in rows:
        yield _standing(unit, row, frozenset(entitlements[row.id]), deleted, carried, at)


@cache
def _times() -> sa.Select[Any]:
    path = paths_of_consumers().c
    return sa.select(
        path.consumer_id, path.entitlement_id, path.since, path.until, path.tolerance, path.held_until
    )


def _standing(
    unit: Unit,
    row: sa.Row[Any],
    entitlements: frozenset[str],
    deleted: Collection[str],
    carried: dict[tuple[str, str], list[Interval]],
    at: int,
) -> Standing:
    lapsed: frozenset[str] = frozenset()

    def in_state(
        state: KeyState, rights: frozenset[str] = frozenset(), reason: str | None = None
    ) -> Standing:
        return Standing(row.id, row.consumer_id, state, rights, lapsed, entitlements, reason)

    if row.revoked_at is not None and row.revoked_at <= at:
        return in_state(KeyState.revoked, reason=row.revoked_reason)
    # What ends a key for good is what came first: a right that lapsed before the expiry is no expiry.
    judged_at = at if row.expires_at is None else min(at, row.expires_at)
    judged = {
        each: continuity(
            carried[row.consumer_id, each],
            issued_at=row.issued_at,
            now=judged_at,
            recovery_window=unit.recovery_window,
        )
        for each in entitlements
    }
    # What is deleted and not held does not come back, however short it has been away.
    lapsed = frozenset(
        each
        for each, right in judged.items()
        if isinstance(right, Lapsed) or (each in deleted and not isinstance(right, Held))
    )
    if row.expires_at is not None and row.expires_at <= at and lapsed != entitlements:
        lapsed = frozenset()
        return in_state(KeyState.expired, reason="expired")
    rights = frozenset(each for each, right in judged.items() if isinstance(right, Held))
    if rights:
        claimed = row.claimed_at is not None and row.claimed_at <= at
        return in_state(KeyState.active if claimed else KeyState.issued, rights)
    if lapsed == entitlements:
        return in_state(KeyState.revoked, reason="right_lapsed")
    return in_state(KeyState.dormant)
