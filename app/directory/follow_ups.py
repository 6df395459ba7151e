"""What a change does to the keys of very many people, done after it and in batches.

What must be true at once is true at once: whether a key counts follows from the directory. What is left is
to write down what became of each key, to revoke for good what can never work again, and to issue keys that
are due. For more people than :data:`MOST_AT_ONCE` the change itself stores what is left to do as a row, in
its own transaction, and a worker does it: each batch commits together with how far it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.directory.effects import issue_due, revoke_orphans, settle
from app.directory.withdrawals import count_followed, finish_counting
from app.ledger.events import Event, record
from app.rights.grants import consumers_below, grants
from app.rights.standing import standings
from app.store.batches import batches
from app.store.tables import consumer, entitlement, event, follow_up, key, key_entitlement
from app.store.unit_of_work import Unit

MOST_AT_ONCE = 200
"""How many people's keys a change itself sees to, and how many a batch does: some hundred milliseconds."""

_IDS = 1_000


@dataclass(frozen=True)
class FollowUp:
    """What is left to do after a change. Times in microseconds; ``done`` and ``total`` count people."""

    id: int
    tenant_id: str
    kind: str
    ids: tuple[str, ...]
    moment: int
    actor: str
    txn: str
    reached: str
    done: int
    total: int | None
    finished_at: int | None


def follow_members(unit: Unit, ids: Sequence[str]) -> None:
    """Leave for later what a change does to the keys of the people among and below some members."""
    _leave(unit, "members", ids)


def follow_entitlement(unit: Unit, entitlement_id: str) -> None:
    """Leave for later what a change of an entitlement does to the keys for it, and to those who hold it."""
    _leave(unit, "entitlement", [entitlement_id])


def next_follow_ups(engine: Engine) -> list[FollowUp]:
    """Return the oldest unfinished follow-up of each tenant."""
    oldest = (
        sa.select(sa.func.min(follow_up.c.id))
        .where(follow_up.c.finished_at.is_(None))
        .group_by(follow_up.c.tenant_id)
    )
    with engine.begin() as connection:
        rows = connection.execute(
            sa.select(follow_up).where(follow_up.c.id.in_(oldest)).order_by(follow_up.c.id)
        )
        return [_follow_up(row) for row in rows]


def list_follow_ups(unit: Unit, *, limit: int = 100) -> list[FollowUp]:
    """Return the tenant's follow-ups: unfinished ones first, the newest first among the finished."""
    statement = (
        sa.select(follow_up)
        .where(follow_up.c.tenant_id == unit.tenant_id)
        .order_by(
            follow_up.c.finished_at.is_not(None),
            sa.case((follow_up.c.finished_at.is_(None), follow_up.c.id), else_=-follow_up.c.id),
        )
        .limit(limit)
    )
    return [_follow_up(row) for row in unit.execute(statement)]


def people_of(unit: Unit, wanted: FollowUp) -> list[str]:
    """Return the consumers that a follow-up has not come to yet, in the order of their ids."""
    if wanted.kind == "members":
        found = consumers_below(unit, wanted.ids, at=wanted.moment)
    else:
        found = sorted({*_key_holders(unit, wanted.ids), *_due_holders(unit, wanted.ids)})
    return [each for each in found if each > wanted.reached]


def carry_on(
    unit: Unit, wanted: FollowUp, people: Sequence[str], *, most: int | None = None
) -> FollowUp | None:
    """Do the next batch of a follow-up; return it as it then is, or None when somebody else came first.

    :param people: what :func:`people_of` returned for it.
    :param most: how many of them the batch has at the most, if not :data:`MOST_AT_ONCE`.
    """
    row = unit.execute(sa.select(follow_up).where(follow_up.c.id == wanted.id)).one()
    if row.finished_at is not None or row.reached != wanted.reached:
        return None
    batch = people[: MOST_AT_ONCE if most is None else most]
    if batch:
        count_followed(unit, wanted.moment, batch)
        _settle(unit, wanted, batch)
        issue_due(unit, lambda: batch, of=wanted.ids if wanted.kind == "entitlement" else None)
    is_last = len(batch) == len(people)
    values: dict[str, Any] = {
        "reached": batch[-1] if batch else wanted.reached,
        "done": wanted.done + len(batch),
        "total": wanted.done + len(people),
        "finished_at": unit.now if is_last else None,
    }
    unit.execute(sa.update(follow_up).where(follow_up.c.id == wanted.id).values(values))
    if is_last:
        others = sa.select(follow_up.c.id).where(
            follow_up.c.tenant_id == unit.tenant_id,
            follow_up.c.txn == wanted.txn,
            follow_up.c.finished_at.is_(None),
        )
        if unit.execute(others.limit(1)).first() is None:
            finish_counting(unit, wanted.moment)
        data = {"kind": wanted.kind, "of": wanted.txn, "people": values["done"]}
        record(unit, [Event("follow_up.finished", f"follow_up/{wanted.id}", data)])
    return _follow_up(unit.execute(sa.select(follow_up).where(follow_up.c.id == wanted.id)).one())


def finish_own(unit: Unit, *, most: int) -> Iterator[FollowUp]:
    """Do now what this very unit of work left for later, as a worker would; yield after each batch.

    :param most: how many people a batch has at the most.
    """
    left = sa.select(follow_up).where(
        follow_up.c.tenant_id == unit.tenant_id,
        follow_up.c.txn == unit.txn,
        follow_up.c.finished_at.is_(None),
    )
    for row in unit.execute(left.order_by(follow_up.c.id)).all():
        current: FollowUp | None = _follow_up(row)
        people = people_of(unit, _follow_up(row))
        while current is not None and current.finished_at is None:
            current = carry_on(unit, current, people, most=most)
            people = people[most:]
            if current is not None:
                yield current


def _leave(unit: Unit, kind: str, ids: Sequence[str]) -> None:
    unit.connection.execute(
        sa.insert(follow_up),
        [
            {
                "tenant_id": unit.tenant_id,
                "kind": kind,
                "ids": list(some),
                "moment": unit.now,
                "actor": unit.actor,
                "txn": unit.txn,
            }
            for some in batches(ids, _IDS)
        ],
    )


def _settle(unit: Unit, wanted: FollowUp, people: Sequence[str]) -> None:
    """Record what the change did to the keys of some people, as they stood just before it and with it."""
    keys: sa.ColumnElement[bool] = key.c.consumer_id.in_(people)
    if wanted.kind == "entitlement":
        keys &= key.c.id.in_(
            sa.select(key_entitlement.c.key_id).where(key_entitlement.c.entitlement_id.in_(wanted.ids))
        )
        revoke_orphans(unit, keys)
    before = standings(unit, keys, at=wanted.moment - 1)
    told = _told(unit, wanted.txn, [f"key/{key_id}" for key_id in before])
    after = standings(unit, keys & key.c.revoked_at.is_(None), at=wanted.moment)
    after = {key_id: each for key_id, each in after.items() if key_id in before and key_id not in told}
    settle(unit, {key_id: each.state for key_id, each in before.items()}, after)


def _told(unit: Unit, txn: str, subjects: Sequence[str]) -> set[str]:
    """Which of some keys the same transaction has said something of already."""
    statement = sa.select(event.c.subject).where(
        event.c.tenant_id == unit.tenant_id, event.c.subject.in_(subjects), event.c.txn == txn
    )
    return {subject.removeprefix("key/") for subject in unit.execute(statement).scalars()}


def _key_holders(unit: Unit, entitlement_ids: Sequence[str]) -> list[str]:
    statement = (
        sa.select(key.c.consumer_id)
        .join(key_entitlement, key_entitlement.c.key_id == key.c.id)
        .where(
            key.c.tenant_id == unit.tenant_id,
            key_entitlement.c.entitlement_id.in_(entitlement_ids),
            key.c.revoked_at.is_(None),
        )
        .distinct()
    )
    return list(unit.execute(statement).scalars())


def _due_holders(unit: Unit, entitlement_ids: Sequence[str]) -> list[str]:
    """Who holds one of some entitlements now, where it issues keys by itself."""
    automatic = set(
        unit.execute(
            sa.select(entitlement.c.id).where(
                entitlement.c.tenant_id == unit.tenant_id,
                entitlement.c.id.in_(entitlement_ids),
                entitlement.c.issuance == "automatic",
            )
        ).scalars()
    )
    if not automatic:
        return []
    everyone = unit.execute(sa.select(consumer.c.id).where(consumer.c.tenant_id == unit.tenant_id))
    return [
        grant.consumer_id
        for some in batches(everyone.scalars().all())
        for grant in grants(unit, some)
        if grant.entitlement_id in automatic
    ]


def _follow_up(row: sa.Row[Any]) -> FollowUp:
    return FollowUp(
        id=row.id,
        tenant_id=row.tenant_id,
        kind=row.kind,
        ids=tuple(row.ids),
        moment=row.moment,
        actor=row.actor,
        txn=row.txn,
        reached=row.reached,
        done=row.done,
        total=row.total,
        finished_at=row.finished_at,
    )
