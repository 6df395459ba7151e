"""What a change to the directory does to keys.

Dormancy follows from the directory by itself; what happens here is the rest: each transition becomes an
event, a key that can never work again is revoked for good, and a grant whose policy says so gets its key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from app.directory.withdrawals import count
from app.keys.lifecycle import issue, revoke
from app.ledger.events import Event, record
from app.rights.grants import grants
from app.rights.standing import KeyState, Standing, standings
from app.store.batches import batches
from app.store.tables import entitlement, key, key_entitlement
from app.store.unit_of_work import Unit

_OVER = frozenset({KeyState.revoked, KeyState.expired})


@contextmanager
def key_effects(
    unit: Unit, keys: Sequence[sa.ColumnElement[bool]], holders: Callable[[], Sequence[str]]
) -> Iterator[None]:
    """Enclose a change that may move some keys.

    :param keys: conditions on the table ``key``; one of them is true of every key that the change may move.
    :param holders: the consumers whose grants the change may have brought, asked after the change.
    """
    standing = {
        key_id: each
        for some_keys in keys
        for key_id, each in standings(unit, some_keys & key.c.revoked_at.is_(None)).items()
    }
    before = {key_id: each.state for key_id, each in standing.items()}
    yield
    # A brake that engages now decides whether what is dormant is final.
    held = {each.consumer_id for each in standing.values() if each.state not in _OVER}
    count(unit, sorted({*holders(), *held}))
    for some in batches(list(before)):
        settle(unit, before, standings(unit, key.c.id.in_(some)))
    issue_due(unit, holders)


def settle(unit: Unit, before: Mapping[str, KeyState], after: Mapping[str, Standing]) -> None:
    """Record what became of some keys, and revoke for good those that can never work again.

    :param before: where each stood before the change.
    :param after: where each stands after it.
    """
    events: list[Event] = []
    for key_id, standing in after.items():
        if standing.state is KeyState.revoked and standing.reason == "right_lapsed":
            revoke(unit, key_id, "right_lapsed")
        elif standing.state is not before[key_id] and standing.state is not KeyState.revoked:
            slept = before[key_id] is KeyState.dormant
            kind = (
                "key.restored"
                if slept and standing.state is not KeyState.expired
                else f"key.{standing.state}"
            )
            events.append(Event(kind, f"key/{key_id}", {"consumer": standing.consumer_id}))
    record(unit, events)


def issue_due(unit: Unit, holders: Callable[[], Sequence[str]], *, of: Collection[str] | None = None) -> None:
    """Issue a key for each grant of an automatic entitlement that no living key of its holder counts for.

    :param holders: the consumers whose grants are looked at, asked if there is any such entitlement.
    :param of: the entitlements to look at, instead of all.
    """
    wanted = (entitlement.c.tenant_id == unit.tenant_id) & (entitlement.c.issuance == "automatic")
    if of is not None:
        wanted &= entitlement.c.id.in_(of)
    automatic = frozenset(unit.execute(sa.select(entitlement.c.id).where(wanted)).scalars())
    if automatic:
        for holding in batches(list(holders())):
            _issue_due(unit, holding, automatic)


def revoke_orphans(unit: Unit, keys: sa.ColumnElement[bool]) -> None:
    """Revoke those of some keys whose entitlements were all deleted: they can never work again.

    An entitlement of the same value that is made later is another one.
    """
    left = sa.select(key_entitlement.c.key_id).join(
        entitlement, entitlement.c.id == key_entitlement.c.entitlement_id
    )
    statement = sa.select(key.c.id).where(keys, key.c.revoked_at.is_(None), key.c.id.not_in(left))
    for key_id in unit.execute(statement.order_by(key.c.id)).scalars().all():
        revoke(unit, key_id, "entitlement_deleted")


def _issue_due(unit: Unit, consumer_ids: Sequence[str], automatic: frozenset[str]) -> None:
    due = [
        (grant.consumer_id, grant.entitlement_id)
        for grant in grants(unit, consumer_ids)
        if grant.entitlement_id in automatic
    ]
    if not due:
        return
    alive = standings(
        unit, key.c.consumer_id.in_({consumer_id for consumer_id, _ in due}) & key.c.revoked_at.is_(None)
    )
    served = {(each.consumer_id, right) for each in alive.values() for right in each.rights}
    for consumer_id, entitlement_id in due:
        if (consumer_id, entitlement_id) not in served:
            issue(unit, consumer_id, [entitlement_id])
