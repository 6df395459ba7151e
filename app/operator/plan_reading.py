"""Reading, at the end of a rehearsal, what it did to grants and keys, and what it wrote down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Final

import sqlalchemy as sa

from app.operator.errors import PlanTooLong
from app.operator.plan import Named, Plan, Planned, PlannedEvent, PlannedGrant, PlannedKey, Totals, Why
from app.rights.chains import displays_of
from app.rights.grants import Grant, grants
from app.rights.moves import KeyChange, KeyMove, grant_moves, key_moves
from app.rights.standing import standings
from app.rights.touched import touched_consumers
from app.store.batches import batches
from app.store.tables import consumer, entitlement, event, key
from app.store.unit_of_work import Unit

_PEOPLE: Final = 2_000


class Deadline:
    """The end of a span of seconds that begins now."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._end = monotonic() + span

    def check(self) -> None:
        """Go on if it is not over.

        :raises PlanTooLong: when it is.
        """
        if monotonic() > self._end:
            raise PlanTooLong(
                f"the plan takes longer than the {self._span:g} seconds for which others may be kept from "
                "writing: ask for less, or have more patience"
            )


class Scene:
    """What things are called, those included that the plan makes or takes away."""

    def __init__(self, unit: Unit) -> None:
        self._entitlements = _values(unit)
        self._last_event = unit.execute(
            sa.select(sa.func.coalesce(sa.func.max(event.c.sequence), 0)).where(
                event.c.tenant_id == unit.tenant_id
            )
        ).scalar_one()
        self.made: set[str] = set()
        self.deleted: set[str] = set()
        self._people: dict[str, str] = {}
        self._groups: dict[str, str | None] = {}

    def events(self, unit: Unit) -> sa.ColumnElement[bool]:
        """Return the condition "an event of the plan"."""
        return sa.and_(event.c.tenant_id == unit.tenant_id, event.c.sequence > self._last_event)

    def close(self, unit: Unit) -> None:
        """Learn the names of what is there at the end, and of what is gone by then."""
        present = _values(unit)
        self.deleted.update(self._entitlements.keys() - present.keys())
        self._entitlements |= present
        told = sa.select(event.c.type, event.c.subject, event.c.data).where(
            self.events(unit), event.c.type.like("%.created") | (event.c.type == "group.deleted")
        )
        for row in unit.execute(told):
            thing = row.subject.partition("/")[2]
            if row.type == "group.deleted":
                self._groups[thing] = row.data.get("displayName")
            else:
                self.made.add(thing)

    def meet(self, unit: Unit, people: Sequence[str], moved: Iterable[Grant]) -> None:
        """Learn the names of some people and of the groups that some grants come from."""
        for some in batches(people):
            named = sa.select(consumer.c.id, consumer.c.user_name).where(consumer.c.id.in_(some))
            self._people |= {row.id: row.user_name for row in unit.execute(named)}
        groups = {each.via for grant in moved for each in grant.reasons if each.reason == "group"}
        for some in batches(sorted(groups - self._groups.keys())):
            self._groups |= displays_of(unit, some)

    def person(self, consumer_id: str) -> Named:
        return self._named(consumer_id, self._people.get(consumer_id))

    def entitlement(self, entitlement_id: str) -> Named:
        return self._named(entitlement_id, self._entitlements.get(entitlement_id))

    def why(self, grant: Grant) -> tuple[Why, ...]:
        return tuple(
            Why(
                each.reason,
                self._named(each.via, self._groups.get(each.via))
                if each.reason == "group"
                else Named(None, each.via),
            )
            for each in grant.reasons
        )

    def _named(self, thing: str, name: str | None) -> Named:
        return Named(None if thing in self.made else thing, name)


def read_plan(
    unit: Unit,
    scene: Scene,
    answered: Sequence[Planned],
    places: Mapping[str, int],
    *,
    since: int,
    shown: int,
    deadline: Deadline,
) -> Plan:
    """Read what became of grants and keys since the first unit of the plan began."""
    scene.close(unit)
    people = touched_consumers(unit, since)
    gained: list[Grant] = []
    lost: list[Grant] = []
    moved: list[KeyMove] = []
    for some in batches(people, _PEOPLE):
        deadline.check()
        moves = grant_moves(grants(unit, some, at=since - 1), grants(unit, some))
        gained += moves.gained
        lost += moves.lost
        moved += _keys_of(unit, some, since, scene.deleted)
    totals = Totals(
        refused=sum(each.answer.status >= 400 for each in answered),
        consumers=len(
            {each.consumer_id for each in (*gained, *lost)} | {each.after.consumer_id for each in moved}
        ),
        gained=len(gained),
        lost=len(lost),
        keys=Counter(each.change for each in moved),
        events=_event_totals(unit, scene),
    )
    moved.sort(key=lambda each: list(KeyChange).index(each.change))
    gained, lost, moved = gained[:shown], lost[:shown], moved[:shown]
    met = {each.consumer_id for each in (*gained, *lost)} | {each.after.consumer_id for each in moved}
    scene.meet(unit, sorted(met), (*gained, *lost))
    return Plan(
        moment=since,
        requests=tuple(answered),
        totals=totals,
        gained=tuple(_grants(scene, gained)),
        lost=tuple(_grants(scene, lost)),
        keys=tuple(_key(scene, each) for each in moved),
        events=tuple(_events(unit, scene, places, shown)),
    )


def _keys_of(unit: Unit, people: Sequence[str], since: int, deleted: Collection[str]) -> Iterator[KeyMove]:
    theirs = key.c.consumer_id.in_(people) & (key.c.revoked_at.is_(None) | (key.c.revoked_at >= since))
    before = standings(unit, theirs, at=since - 1, deleted_since=deleted)
    return key_moves(before, standings(unit, theirs))


def _grants(scene: Scene, moved: Iterable[Grant]) -> Iterator[PlannedGrant]:
    for grant in moved:
        yield PlannedGrant(
            scene.person(grant.consumer_id), scene.entitlement(grant.entitlement_id), scene.why(grant)
        )


def _key(scene: Scene, move: KeyMove) -> PlannedKey:
    before, after = move.before, move.after
    counted = before.rights if before is not None else frozenset()

    def named(ids: Iterable[str]) -> tuple[Named, ...]:
        found = [scene.entitlement(each) for each in sorted(ids)]
        return tuple(sorted(found, key=lambda each: each.name or ""))

    return PlannedKey(
        id=None if before is None else after.key_id,
        consumer=scene.person(after.consumer_id),
        change=move.change,
        before=None if before is None else str(before.state),
        after=str(after.state),
        reason=after.reason,
        entitlements=named(after.entitlements),
        lost=named(counted - after.rights),
        gained=named(after.rights - counted),
    )


def _event_totals(unit: Unit, scene: Scene) -> dict[str, int]:
    counted = (
        sa.select(event.c.type, sa.func.count().label("number"))
        .where(scene.events(unit))
        .group_by(event.c.type)
        .order_by(event.c.type)
    )
    return {row.type: row.number for row in unit.execute(counted)}


def _events(unit: Unit, scene: Scene, places: Mapping[str, int], shown: int) -> Iterator[PlannedEvent]:
    statement = sa.select(event).where(scene.events(unit)).order_by(event.c.sequence).limit(shown)
    for row in unit.execute(statement):
        yield PlannedEvent(places[row.txn], row.type, row.subject, row.data)


def _values(unit: Unit) -> dict[str, str | None]:
    of_tenant = sa.select(entitlement.c.id, entitlement.c.value).where(
        entitlement.c.tenant_id == unit.tenant_id
    )
    return {row.id: row.value for row in unit.execute(of_tenant)}
