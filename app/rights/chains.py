"""By which groups, one inside the other, a consumer is below a group now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import sqlalchemy as sa

from app.store.tables import membership, resource
from app.store.unit_of_work import Unit

MOST_CHAINS: Final = 20
"""How many chains to one group are told at the most: nested groups can make very many."""


@dataclass(frozen=True)
class GroupLink:
    """A group in a chain; ``display`` is its displayName, None where it has none."""

    id: str
    display: str | None


@dataclass(frozen=True)
class Chain:
    """The groups from the one that the consumer is a member of up to the one asked for.

    ``since``: the moment (microseconds) from which every membership of the chain has held.
    """

    groups: tuple[GroupLink, ...]
    since: int


def chains(unit: Unit, consumer_id: str, group_ids: Iterable[str]) -> dict[str, tuple[Chain, ...]]:
    """Return how a consumer is below some groups at ``unit.now``, the shortest chains first.

    A group that the consumer is not below is left out.
    """
    members: dict[str, dict[str, int]] = defaultdict(dict)
    for row in unit.execute(sa.select(_memberships_above(unit, consumer_id))):
        members[row.group_id][row.member_id] = row.since
    displays = displays_of(unit, members)
    found: dict[str, tuple[Chain, ...]] = {}
    for group_id in group_ids:
        ways = list(islice(_down(members, consumer_id, group_id), MOST_CHAINS))
        told = [
            Chain(
                tuple(GroupLink(each, displays.get(each)) for each in way),
                max(members[group][member] for group, member in zip(way, (consumer_id, *way), strict=False)),
            )
            for way in sorted(ways, key=lambda way: (len(way), way))
        ]
        if told:
            found[group_id] = tuple(told)
    return found


def displays_of(unit: Unit, group_ids: Iterable[str]) -> dict[str, str | None]:
    """Return the displayName of each of some groups of the tenant that exists."""
    statement = sa.select(
        resource.c.id, resource.c.document["displayName"].as_string().label("display")
    ).where(
        resource.c.tenant_id == unit.tenant_id, resource.c.type == "Group", resource.c.id.in_(list(group_ids))
    )
    return {row.id: row.display for row in unit.execute(statement)}


def _memberships_above(unit: Unit, consumer_id: str) -> sa.CTE:
    """The memberships that hold now, of the consumer and of every group above it."""
    holding = sa.and_(
        membership.c.tenant_id == unit.tenant_id,
        membership.c.since <= unit.now,
        membership.c.until > unit.now,
    )
    columns = (membership.c.member_id, membership.c.group_id, membership.c.since)
    above = (
        sa.select(*columns).where(holding, membership.c.member_id == consumer_id).cte("above", recursive=True)
    )
    return above.union(
        sa.select(*columns).join(above, membership.c.member_id == above.c.group_id).where(holding)
    )


def _down(members: dict[str, dict[str, int]], consumer_id: str, group_id: str) -> Iterator[tuple[str, ...]]:
    """Every chain of groups from one of the consumer's up to a group."""
    waiting: list[tuple[str, ...]] = [(group_id,)]
    while waiting:
        chain = waiting.pop()
        below = members.get(chain[0], {})
        if consumer_id in below:
            yield chain
        # Cycles are refused when they are made; should one be in the data, it ends here.
        waiting.extend((each, *chain) for each in sorted(below, reverse=True) if each not in chain)
