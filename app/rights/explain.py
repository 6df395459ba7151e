"""Why a key can do what it can, or the first link that is broken between it and a right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from app.rights.broken import Broken, Mapped, of_conditions, of_consumer, of_key, of_right, of_use
from app.rights.chains import Chain, GroupLink, chains, displays_of
from app.rights.conditions import NONE, Conditions, conditions_of
from app.rights.consumers import ConsumerStanding, consumer_standing
from app.rights.continuity import Interval, continuity
from app.rights.paths import paths_of_consumers
from app.rights.standing import Standing, standings
from app.rights.stretches import stretches
from app.rights.unmatched import UnmatchedValue, unmatched_values
from app.store.tables import entitlement, key, mapping
from app.store.unit_of_work import Unit


class NothingToExplain(LookupError):
    """The tenant has no key, or no consumer, of this id."""


@dataclass(frozen=True)
class Way:
    """One way by which a right is held now, since a moment (microseconds).

    ``reason``: ``direct``, ``role`` or ``group``. ``via``: the value, or the id of the mapped group; then
    ``groups`` is the chain from the user's own group up to that one.
    """

    reason: str
    via: str
    since: int
    groups: tuple[GroupLink, ...] = ()


@dataclass(frozen=True)
class EntitlementNamed:
    """What an entitlement is called and is for; without a ``value`` there is none of this id any more."""

    id: str
    value: str | None
    audience: str | None = None
    scopes: tuple[str, ...] = ()
    conditions: Conditions = NONE
    # The same as the entitlement says it.
    conditions_said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GrantExplained:
    """A grant that is there now: since when, counting bridged gaps in, and each way that leads to it."""

    entitlement: EntitlementNamed
    since: int
    ways: tuple[Way, ...]


@dataclass(frozen=True)
class RightExplained:
    """An entitlement of a key: its grant now, or None; whether the key counts for it; what is broken.

    ``broken`` is about the right alone: a key that is dead as a whole counts for nothing.
    """

    entitlement: EntitlementNamed
    grant: GrantExplained | None
    counts: bool
    broken: Broken | None

    @property
    def works(self) -> bool:
        """Whether some call can pass by it now, if the key itself is good."""
        return self.counts and self.broken is None


@dataclass(frozen=True)
class Explanation:
    """The whole chain from a key to its rights. Times in microseconds.

    ``broken`` is the first link that keeps the key from being good for anything; None when it works.
    """

    key: Standing
    issued_at: int
    claimed_at: int | None
    expires_at: int | None
    revoked_at: int | None
    consumer: ConsumerStanding
    rights: tuple[RightExplained, ...]
    broken: Broken | None

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        if self.broken is not None:
            return f"The key does not work: {self.broken.detail}."
        working = [repr(right.entitlement.value) for right in self.rights if right.works]
        return f"The key works, for {', '.join(working)}."


@dataclass(frozen=True)
class ConsumerExplanation:
    """What a consumer holds, what it carries in vain, and its keys, newest first.

    ``broken``: why it can hold nothing at all, when that is so.
    """

    consumer: ConsumerStanding
    grants: tuple[GrantExplained, ...]
    unmatched: tuple[UnmatchedValue, ...]
    keys: tuple[Standing, ...]
    broken: Broken | None


def explain(unit: Unit, key_id: str) -> Explanation:
    """Return why a key of the tenant can do what it can at ``unit.now``.

    :raises NothingToExplain: when the tenant has no such key.
    """
    row = unit.execute(
        sa.select(key).where(key.c.tenant_id == unit.tenant_id, key.c.id == key_id)
    ).one_or_none()
    holder = None if row is None else consumer_standing(unit, row.consumer_id)
    if row is None or holder is None:
        raise NothingToExplain(f"no key {key_id!r}")
    standing = standings(unit, key.c.id == key_id)[key_id]
    rights = _rights(unit, holder, standing, row.issued_at)
    broken = of_key(standing, holder, revoked_at=row.revoked_at, expires_at=row.expires_at)
    if broken is None and not standing.rights:
        nothing = Broken("no_grant", "it is for no entitlement")
        broken = next((right.broken for right in rights if right.broken is not None), nothing)
    if broken is None:
        broken = of_use(standing, holder, unit.now)
    if broken is None and not any(right.works for right in rights):
        broken = next(right.broken for right in rights if right.counts)
    return Explanation(
        key=standing,
        issued_at=row.issued_at,
        claimed_at=row.claimed_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        consumer=holder,
        rights=rights,
        broken=broken,
    )


def explain_consumer(unit: Unit, consumer_id: str) -> ConsumerExplanation:
    """Return what a consumer of the tenant holds at ``unit.now`` and why.

    :raises NothingToExplain: when the tenant has no such consumer.
    """
    holder = consumer_standing(unit, consumer_id)
    if holder is None:
        raise NothingToExplain(f"no consumer {consumer_id!r}")
    keys = standings(unit, key.c.consumer_id == consumer_id)
    newest = (
        sa.select(key.c.id)
        .where(key.c.tenant_id == unit.tenant_id, key.c.consumer_id == consumer_id)
        .order_by(key.c.issued_at.desc(), key.c.id)
    )
    carried = _carried(unit, consumer_id)
    grants = _grants(unit, consumer_id, carried, _named(unit, carried))
    return ConsumerExplanation(
        consumer=holder,
        grants=tuple(
            sorted(grants.values(), key=lambda each: (each.entitlement.value or "", each.entitlement.id))
        ),
        unmatched=tuple(unmatched_values(unit, consumer_id)),
        keys=tuple(keys[key_id] for key_id in unit.execute(newest).scalars()),
        broken=of_consumer(holder),
    )


Carried = dict[str, list[sa.Row[Any]]]
"""The paths of one consumer, ended ones too, by entitlement."""


def _rights(
    unit: Unit, holder: ConsumerStanding, standing: Standing, issued_at: int
) -> tuple[RightExplained, ...]:
    """Explain each entitlement of a key, in the order of their values."""
    carried = _carried(unit, holder.id)
    named = _named(unit, standing.entitlements)
    mapped = _mapped(unit, named)
    grants = _grants(unit, holder.id, carried, named)
    explained = []
    for entitlement_id in standing.entitlements:
        intervals = _intervals(carried.get(entitlement_id, ()))
        broken = of_right(
            holder,
            mapped.get(entitlement_id),
            continuity(intervals, issued_at=issued_at, now=unit.now, recovery_window=unit.recovery_window),
            stretches(intervals, now=unit.now),
            issued_at=issued_at,
            now=unit.now,
            recovery_window=unit.recovery_window,
        )
        entitlement = named.get(entitlement_id, EntitlementNamed(entitlement_id, None))
        explained.append(
            RightExplained(
                entitlement=entitlement,
                grant=grants.get(entitlement_id),
                counts=entitlement_id in standing.rights,
                broken=broken or of_conditions(entitlement.conditions, unit.now),
            )
        )
    return tuple(sorted(explained, key=lambda each: (each.entitlement.value or "", each.entitlement.id)))


def _grants(
    unit: Unit, consumer_id: str, carried: Carried, named: dict[str, EntitlementNamed]
) -> dict[str, GrantExplained]:
    """Explain the grants of a consumer among its paths, by the id of the entitlement."""
    holding = {
        entitlement_id: [row for row in carried[entitlement_id] if row.since <= unit.now < row.until]
        for entitlement_id in carried.keys() & named.keys()
    }
    groups = {row.via for rows in holding.values() for row in rows if row.reason == "group"}
    above = chains(unit, consumer_id, sorted(groups))
    found = {}
    for entitlement_id, rows in holding.items():
        if not rows:
            continue
        unbroken = stretches(_intervals(carried[entitlement_id]), now=unit.now)
        found[entitlement_id] = GrantExplained(
            named[entitlement_id], unbroken[-1].since, tuple(_ways(rows, above))
        )
    return found


def _ways(rows: list[sa.Row[Any]], above: dict[str, tuple[Chain, ...]]) -> Iterator[Way]:
    """Each way that some paths, all of one consumer and one entitlement, stand for."""
    began: dict[tuple[str, str], int] = {}
    for row in rows:
        here = (row.reason, row.via)
        began[here] = min(row.since, began.get(here, row.since))
    for (reason, via), since in sorted(began.items()):
        if reason != "group":
            yield Way(reason, via, since)
        for chain in above.get(via, ()) if reason == "group" else ():
            # The path is as old as its youngest part, and the earliest path to the group says how old the
            # parts are that all chains share: the mapping, and the consumer's activity.
            yield Way(reason, via, max(since, chain.since), chain.groups)


def _carried(unit: Unit, consumer_id: str) -> Carried:
    carried: Carried = defaultdict(list)
    asked = {"tenant_id": unit.tenant_id, "consumer_ids": [consumer_id], "horizon": 0}
    for row in unit.execute(sa.select(paths_of_consumers()), asked):
        carried[row.entitlement_id].append(row)
    return dict(carried)


def _intervals(paths_of_it: Iterable[sa.Row[Any]]) -> list[Interval]:
    return [Interval(each.since, each.until, each.tolerance, each.held_until) for each in paths_of_it]


def _named(unit: Unit, entitlement_ids: Collection[str]) -> dict[str, EntitlementNamed]:
    statement = sa.select(entitlement).where(
        entitlement.c.tenant_id == unit.tenant_id, entitlement.c.id.in_(list(entitlement_ids))
    )
    return {
        row.id: EntitlementNamed(
            id=row.id,
            value=row.value,
            audience=row.audience,
            scopes=tuple(row.scopes),
            conditions=conditions_of(row.conditions),
            conditions_said=row.conditions or {},
        )
        for row in unit.execute(statement)
    }


def _mapped(unit: Unit, entitlement_ids: Collection[str]) -> dict[str, Mapped]:
    """What some entitlements, which exist, are mapped to now."""
    values: dict[tuple[str, str], list[str]] = defaultdict(list)
    statement = (
        sa.select(mapping.c.entitlement_id, mapping.c.kind, mapping.c.value)
        .where(
            mapping.c.tenant_id == unit.tenant_id,
            mapping.c.entitlement_id.in_(list(entitlement_ids)),
            mapping.c.until > unit.now,
        )
        .order_by(mapping.c.value)
    )
    for row in unit.execute(statement):
        values[row.entitlement_id, row.kind].append(row.value)
    displays = displays_of(
        unit, [each for (_, kind), some in values.items() if kind == "group" for each in some]
    )
    return {
        each: Mapped(
            values=tuple(values[each, "direct"]),
            roles=tuple(values[each, "role"]),
            groups=tuple(GroupLink(group, displays.get(group)) for group in values[each, "group"]),
        )
        for each in entitlement_ids
    }
