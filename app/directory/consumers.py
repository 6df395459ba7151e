"""Users as consumers: when they are active, and the values that an identity provider put on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from app.directory import follow_ups
from app.directory.carriers import begin, end, holding
from app.directory.errors import MomentInvalid, ValueUnmatched
from app.directory.sponsors import check_sponsor, following, is_service, sponsored_by, suspends
from app.directory.withdrawals import count
from app.keys.lifecycle import revoke_all
from app.ledger.events import Event, record
from app.store.batches import batches
from app.store.tables import FOREVER, activity, consumer, direct_value, mapping, membership
from app.store.unit_of_work import Unit

CONSUMER_SCHEMA = "urn:keysteward:scim:schemas:extension:1.0:Consumer"


@dataclass(frozen=True)
class ConsumerState:
    """What of a user decides about keys. Times in microseconds; ``values``: (kind, value) pairs."""

    user_name: str
    active: bool
    access_starts_at: int | None
    access_ends_at: int | None
    values: frozenset[tuple[str, str]]
    sponsor_id: str | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> ConsumerState:
        """Read the state from a User document. A user whose ``active`` is unassigned is not active.

        :raises MomentInvalid: when an access date is no date and time.
        """
        extension = document.get(CONSUMER_SCHEMA) or {}
        return cls(
            user_name=document.get("userName") or "",
            active=document.get("active") is True,
            access_starts_at=_moment("accessStartsAt", extension.get("accessStartsAt")),
            access_ends_at=_moment("accessEndsAt", extension.get("accessEndsAt")),
            values=frozenset(
                (kind, item["value"])
                for kind, attribute in (("direct", "entitlements"), ("role", "roles"))
                for item in document.get(attribute) or []
                if item.get("value")
            ),
            sponsor_id=(extension.get("sponsor") or {}).get("value") or None
            if is_service(document.get("userType"))
            else None,
        )


def _moment(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or "T" not in value.upper():
        raise MomentInvalid(f"{name} is no date and time, such as 2026-11-30T17:00:00Z")
    if moment.tzinfo is None:
        # HR systems leave the zone out; a time without one is UTC.
        moment = moment.replace(tzinfo=UTC)
    # Before 1970 is long ago, whenever it was.
    return max((moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1), 0)


def assert_consumer(
    unit: Unit, consumer_id: str, state: ConsumerState, *, refuse_unknown_sponsor: bool = False
) -> None:
    """Make the tables say what the user's document says, whatever they said before (P6).

    A sponsor whom the directory does not have is reported by an event, or refused; the keys are dormant then.

    :raises SponsorInvalid: when a new sponsor cannot be one.
    :raises ValueUnmatched: when a new value names no entitlement and the tenant refuses such values.
    """
    fields = {
        "user_name": state.user_name,
        "active": state.active,
        "access_starts_at": state.access_starts_at,
        "access_ends_at": state.access_ends_at,
        "sponsor_id": state.sponsor_id,
    }
    if state.sponsor_id is not None:
        named = sa.select(consumer.c.sponsor_id).where(
            consumer.c.tenant_id == unit.tenant_id, consumer.c.id == consumer_id
        )
        if unit.execute(named).scalar() != state.sponsor_id:
            check_sponsor(unit, consumer_id, state.sponsor_id, refuse_unknown=refuse_unknown_sponsor)
    changed = unit.execute(
        sa.update(consumer)
        .where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id == consumer_id)
        .values(fields)
    )
    if not changed.rowcount:
        unit.execute(sa.insert(consumer).values(id=consumer_id, tenant_id=unit.tenant_id, **fields))
    services = sponsored_by(unit, consumer_id)
    # Counted together, unless the services are left to a follow-up: a brake that they engage holds both.
    few = len(services) < follow_ups.MOST_AT_ONCE
    with (
        following(unit, [consumer_id, *services] if few else [consumer_id]),
        following(unit, [] if few else services),
    ):
        _assert_activity(unit, consumer_id, state)
        _assert_values(unit, consumer_id, state.values)


def forget_consumer(unit: Unit, consumer_id: str) -> None:
    """End everything that a deleted user carried, and revoke all keys for good (P8)."""
    with following(unit, sponsored_by(unit, consumer_id)):
        end(unit, activity, activity.c.consumer_id == consumer_id)
        end(unit, direct_value, direct_value.c.consumer_id == consumer_id)
        end(unit, membership, membership.c.member_id == consumer_id)
        unit.execute(
            sa.update(consumer)
            .where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id == consumer_id)
            .values(active=False, deleted_at=unit.now)
        )
        count(unit, [consumer_id])
        revoke_all(unit, consumer_id, "consumer_deleted")


def _assert_activity(unit: Unit, consumer_id: str, state: ConsumerState) -> None:
    """Bring the activity to what is wanted: none, or one that holds now, until the access ends.

    The start of the access is judged at the gate alone, so that a joiner's key can be issued and claimed
    before the first day.
    """
    until = FOREVER if state.access_ends_at is None else state.access_ends_at
    if not state.active or until <= unit.now:
        end(unit, activity, activity.c.consumer_id == consumer_id)
        return
    sponsor_id = state.sponsor_id if state.sponsor_id is not None and suspends(unit) else None
    of_it = activity.c.consumer_id == consumer_id
    as_wanted = activity.c.sponsor_id.is_not_distinct_from(sponsor_id)
    extended = unit.execute(
        sa.update(activity).where(holding(unit, activity), of_it, as_wanted).values(until=until)
    )
    if not extended.rowcount:
        end(unit, activity, of_it)
        begin(unit, activity, [{"consumer_id": consumer_id, "sponsor_id": sponsor_id, "until": until}])


def _assert_values(unit: Unit, consumer_id: str, wanted: frozenset[tuple[str, str]]) -> None:
    present = {
        (row.kind, row.value)
        for row in unit.execute(
            sa.select(direct_value.c.kind, direct_value.c.value).where(
                holding(unit, direct_value), direct_value.c.consumer_id == consumer_id
            )
        )
    }
    for kind, values in _by_kind(present - wanted):
        end(
            unit,
            direct_value,
            sa.and_(
                direct_value.c.consumer_id == consumer_id,
                direct_value.c.kind == kind,
                direct_value.c.value.in_(values),
            ),
        )
    added = sorted(wanted - present)
    begin(
        unit,
        direct_value,
        [{"consumer_id": consumer_id, "kind": kind, "value": value} for kind, value in added],
    )
    _report_unmatched(unit, consumer_id, added)


def _report_unmatched(unit: Unit, consumer_id: str, values: list[tuple[str, str]]) -> None:
    matched = {
        (kind, value)
        for kind, some in _by_kind(values)
        for value in unit.execute(
            sa.select(mapping.c.value).where(
                holding(unit, mapping), mapping.c.kind == kind, mapping.c.value.in_(some)
            )
        ).scalars()
    }
    unmatched = [each for each in values if each not in matched]
    if unmatched and unit.unmatched_values == "refuse":
        kind, value = unmatched[0]
        attribute = "entitlements" if kind == "direct" else "roles"
        raise ValueUnmatched(f"{attribute} value {value[:200]!r} names no entitlement of this tenant")
    record(
        unit,
        [
            Event("value.unmatched", f"User/{consumer_id}", {"kind": kind, "value": value[:1000]})
            for kind, value in unmatched
        ],
    )


def _by_kind(values: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield values by their kind, no more at once than a statement takes."""
    kinds: dict[str, list[str]] = {}
    for kind, value in sorted(values):
        kinds.setdefault(kind, []).append(value)
    for kind, of_kind in kinds.items():
        for some in batches(of_kind):
            yield kind, some
