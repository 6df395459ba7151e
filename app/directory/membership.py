"""Who is in which group: deltas of any size, nested groups, no cycles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app.directory.carriers import begin, end, holding
from app.directory.effects import key_effects
from app.directory.errors import MembershipCycle, MemberUnknown
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


def assert_members(unit: Unit, group_id: str, wanted: Iterable[Member], *, refuse_unknown: bool) -> bool:
    """Make the group's members be the wanted ones; return whether anything changed.

    An id that is no user or group of the tenant is left out and reported by an event, or refused.

    :raises MemberUnknown: when an id is unknown and unknown ones are refused.
    :raises MembershipCycle: when a group would come to be, nested or not, a member of itself.
    """
    by_id = {member.id: member for member in wanted}
    present = set(
        unit.execute(
            sa.select(membership.c.member_id).where(
                holding(unit, membership), membership.c.group_id == group_id
            )
        ).scalars()
    )
    removed = sorted(present - by_id.keys())
    known = _known(unit, [member for each, member in by_id.items() if each not in present])
    added = list(known.values())
    unknown = sorted(by_id.keys() - present - known.keys())
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
        consumers = [each for some in batches(touched) for each in consumers_below(unit, some)]
        with key_effects(unit, _keys_of(consumers), lambda: consumers):
            write()
    else:
        write()


def forget_group(unit: Unit, group_id: str) -> None:
    """End the memberships of a deleted group, its place in other groups, and its mappings."""
    consumers = consumers_below(unit, [group_id])
    with key_effects(unit, _keys_of(consumers), lambda: consumers):
        end(unit, membership, (membership.c.group_id == group_id) | (membership.c.member_id == group_id))
        end(unit, mapping, (mapping.c.kind == "group") & (mapping.c.value == group_id))


def _keys_of(consumers: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    return [key.c.consumer_id.in_(some) for some in batches(consumers)]


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
