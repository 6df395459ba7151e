"""Who is in which group: deltas of any size, nested groups, no cycles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from app.directory import follow_ups
from app.directory.carriers import begin, end, holding
from app.directory.effects import key_effects
from app.directory.errors import MembershipCycle, MemberUnknown
from app.directory.follow_ups import follow_members
from app.directory.withdrawals import estimate
from app.ledger.events import Event, record
from app.rights.grants import consumers_below
from app.store.batches import batches
from app.store.tables import key, mapping, membership, resource
from app.store.unit_of_work import Unit

EVENT_MEMBERS = 500
"""How many members one event names at the most."""


@dataclass(frozen=True)
class Member:
    """A member of a group. ``type`` is "User" or "Group"; ``display`` is what the client called it."""

    id: str
    type: str = ""
    display: str | None = None


@dataclass(frozen=True)
class GroupOf:
    """A group that a user is in; ``type`` is "direct" or "indirect" (RFC 7643 §4.1.2)."""

    id: str
    display: str | None
    type: str


@dataclass
class MemberMoves:
    """What becomes of a group's members, said step by step and without knowing who they are.

    Either some come and others go, or, once the list was replaced, those that are then listed are all.
    """

    coming: dict[str, Member] = field(default_factory=dict)
    going: set[str] = field(default_factory=set)
    whole: bool = False

    @classmethod
    def all_of(cls, members: Iterable[Member]) -> MemberMoves:
        """Return the moves after which these are all the members."""
        moves = cls()
        moves.replace(members)
        return moves

    def add(self, members: Iterable[Member]) -> None:
        """Let members be there; what is said of one that is there already changes nothing."""
        for member in members:
            self.coming.setdefault(member.id, member)
            self.going.discard(member.id)

    def remove(self, ids: Iterable[str]) -> None:
        """Let members not be there."""
        for each in ids:
            self.coming.pop(each, None)
            if not self.whole:
                self.going.add(each)

    def replace(self, members: Iterable[Member]) -> None:
        """Let these be all the members."""
        self.whole = True
        self.going.clear()
        self.coming = {}
        self.add(members)


def members_of(unit: Unit, group_ids: Collection[str]) -> dict[str, list[Member]]:
    """Return the members of some groups, in the order in which they joined."""
    found: dict[str, list[Member]] = defaultdict(list)
    statement = (
        sa.select(membership)
        .where(holding(unit, membership), membership.c.group_id.in_(group_ids))
        .order_by(membership.c.id)
    )
    for row in unit.execute(statement):
        found[row.group_id].append(Member(row.member_id, row.member_type, row.display))
    return found


def groups_of(unit: Unit, user_ids: Collection[str]) -> dict[str, list[GroupOf]]:
    """Return the groups above some users, direct ones first."""
    up = (
        sa.select(
            membership.c.member_id.label("user_id"), membership.c.group_id, sa.literal(0).label("nested")
        )
        .where(holding(unit, membership), membership.c.member_id.in_(user_ids))
        .cte("up", recursive=True)
    )
    up = up.union(
        sa.select(up.c.user_id, membership.c.group_id, sa.literal(1))
        .join(membership, membership.c.member_id == up.c.group_id)
        .where(holding(unit, membership))
    )
    nearest = (
        sa.select(up.c.user_id, up.c.group_id, sa.func.min(up.c.nested).label("nested"))
        .group_by(up.c.user_id, up.c.group_id)
        .subquery()
    )
    statement = (
        sa.select(nearest, resource.c.document["displayName"].as_string().label("display"))
        .join(resource, resource.c.id == nearest.c.group_id)
        .order_by(nearest.c.nested, resource.c.created_at, resource.c.id)
    )
    found: dict[str, list[GroupOf]] = defaultdict(list)
    for row in unit.execute(statement):
        kind = "indirect" if row.nested else "direct"
        found[row.user_id].append(GroupOf(row.group_id, row.display, kind))
    return found


def assert_members(unit: Unit, group_id: str, moves: MemberMoves, *, refuse_unknown: bool) -> bool:
    """Make the members of a group be what was said of them; return whether anything changed.

    It costs what was named, not what the group holds. An id that is no user or group of the tenant is left
    out and reported by an event, or refused.

    :raises MemberUnknown: when an id is unknown and unknown ones are refused.
    :raises MembershipCycle: when a group would come to be, nested or not, a member of itself.
    """
    present = _present(unit, group_id, None if moves.whole else [*moves.coming, *moves.going])
    removed = sorted(present - moves.coming.keys() if moves.whole else present & moves.going)
    known = _known(unit, [member for each, member in moves.coming.items() if each not in present])
    added = list(known.values())
    unknown = sorted(moves.coming.keys() - present - known.keys())
    if unknown and refuse_unknown:
        raise MemberUnknown(f"no user or group has the id {unknown[0][:100]!r}")
    record(
        unit,
        [
            Event("member.unknown", f"Group/{group_id}", {"ids": list(some)})
            for some in batches(unknown, EVENT_MEMBERS)
        ],
    )
    if not added and not removed:
        return False
    _refuse_cycles(unit, group_id, [member.id for member in added if member.type == "Group"])
    change(unit, group_id, added, removed)
    return True


def member_count(unit: Unit, group_id: str, *, limit: int) -> int:
    """Return how many members a group has, and not more than a limit."""
    some = (
        sa.select(membership.c.id)
        .where(holding(unit, membership), membership.c.group_id == group_id)
        .limit(limit)
    )
    return int(unit.execute(sa.select(sa.func.count()).select_from(some.subquery())).scalar_one())


def _present(unit: Unit, group_id: str, ids: Sequence[str] | None) -> set[str]:
    """Which of some ids, or of all, are members now."""
    statement = sa.select(membership.c.member_id).where(
        holding(unit, membership), membership.c.group_id == group_id
    )
    if ids is None:
        return set(unit.execute(statement).scalars())
    return {
        member_id
        for some in batches(ids)
        for member_id in unit.execute(statement.where(membership.c.member_id.in_(some))).scalars()
    }


def change(unit: Unit, group_id: str, added: Sequence[Member], removed: Sequence[str]) -> None:
    """Add and remove known members, and let the keys below follow."""
    record(
        unit,
        [
            Event("group.members_changed", f"Group/{group_id}", {what: list(some)})
            for what, ids in (("added", [each.id for each in added]), ("removed", list(removed)))
            for some in batches(ids, EVENT_MEMBERS)
        ],
    )
    touched = [member.id for member in added] + list(removed)

    def write() -> None:
        for some in batches(removed):
            end(unit, membership, (membership.c.group_id == group_id) & membership.c.member_id.in_(some))
        rows = [
            {"group_id": group_id, "member_id": each.id, "member_type": each.type, "display": each.display}
            for each in added
        ]
        for part in batches(rows):
            begin(unit, membership, part)

    if _carries_rights(unit, group_id):
        with _following(unit, touched):
            write()
    else:
        write()


def forget_group(unit: Unit, group_id: str) -> None:
    """End the memberships of a deleted group, its place in other groups, and its mappings."""
    with _following(unit, [group_id]):
        end(unit, membership, (membership.c.group_id == group_id) | (membership.c.member_id == group_id))
        end(unit, mapping, (mapping.c.kind == "group") & (mapping.c.value == group_id))


@contextmanager
def _following(unit: Unit, ids: Sequence[str]) -> Iterator[None]:
    """Enclose a change that gives or takes something to the people among and below some members."""
    people = [each for some in batches(ids) for each in consumers_below(unit, some)]
    if len(people) > follow_ups.MOST_AT_ONCE:
        yield
        estimate(unit, len(people))
        follow_members(unit, ids)
        return
    with key_effects(unit, [key.c.consumer_id.in_(people)], lambda: people):
        yield


def _known(unit: Unit, members: Sequence[Member]) -> dict[str, Member]:
    """The members that exist, with the type and a display name from their resource."""
    known: dict[str, Member] = {}
    displayed = sa.func.coalesce(
        resource.c.document["displayName"].as_string(), resource.c.document["userName"].as_string()
    )
    for some in batches(members):
        asked = {member.id: member for member in some}
        statement = sa.select(resource.c.id, resource.c.type, displayed.label("display")).where(
            resource.c.tenant_id == unit.tenant_id,
            resource.c.type.in_(("User", "Group")),
            resource.c.id.in_(asked),
        )
        for row in unit.execute(statement):
            known[row.id] = Member(row.id, row.type, asked[row.id].display or row.display)
    return known


def _above(unit: Unit, group_id: str) -> sa.CTE:
    """The group and every group above it."""
    itself = sa.select(resource.c.id.label("group_id")).where(resource.c.id == group_id)
    above = itself.cte("above", recursive=True)
    return above.union(
        sa.select(membership.c.group_id)
        .join(above, membership.c.member_id == above.c.group_id)
        .where(holding(unit, membership))
    )


def _carries_rights(unit: Unit, group_id: str) -> bool:
    """Whether the group or one above it is mapped to an entitlement."""
    above = _above(unit, group_id)
    statement = (
        sa.select(mapping.c.id)
        .where(
            holding(unit, mapping),
            mapping.c.kind == "group",
            mapping.c.value.in_(sa.select(above.c.group_id)),
        )
        .limit(1)
    )
    return unit.execute(statement).first() is not None


def _refuse_cycles(unit: Unit, group_id: str, added_groups: Sequence[str]) -> None:
    if not added_groups:
        return
    above = _above(unit, group_id)
    for some in batches(added_groups):
        found = unit.execute(sa.select(above.c.group_id).where(above.c.group_id.in_(some))).scalars().first()
        if found is not None:
            raise MembershipCycle(f"group {found!r} contains this group already, so it cannot be its member")
