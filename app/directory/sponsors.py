"""Sponsors: who answers for a service user, and what their absence does to its keys.

The directory says who it is; the tenant says what it means. Where it suspends, the activity of a service user
asks for its sponsor's, so that the keys are dormant as long as that is not there: nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from app.directory import follow_ups
from app.directory.carriers import end, holding
from app.directory.effects import key_effects
from app.directory.errors import SponsorInvalid
from app.directory.follow_ups import follow_members
from app.directory.withdrawals import estimate
from app.ledger.events import Event, record
from app.rights.consumers import SUSPEND
from app.store.batches import batches
from app.store.tables import activity, consumer, key, resource, tenant
from app.store.unit_of_work import Unit

SERVICE = "service"


def is_service(user_type: object) -> bool:
    """Return whether a userType is that of a service user."""
    return isinstance(user_type, str) and user_type.casefold() == SERVICE


def suspends(unit: Unit) -> bool:
    """Return whether the keys of a service user are dormant while its sponsor is away."""
    policy = sa.select(tenant.c.sponsor_policy).where(tenant.c.id == unit.tenant_id)
    return bool(unit.execute(policy).scalar_one() == SUSPEND)


def check_sponsor(unit: Unit, consumer_id: str, sponsor_id: str, *, refuse_unknown: bool) -> None:
    """Check a sponsor that is newly named. One that nobody is, is reported unless it is refused.

    :raises SponsorInvalid: when it is the user itself or a service user, or unknown and such are refused.
    """
    if sponsor_id == consumer_id:
        raise SponsorInvalid("a service user cannot be its own sponsor")
    found = unit.execute(
        sa.select(resource.c.document["userType"].as_string().label("user_type")).where(
            resource.c.tenant_id == unit.tenant_id, resource.c.type == "User", resource.c.id == sponsor_id
        )
    ).one_or_none()
    if found is not None and is_service(found.user_type):
        raise SponsorInvalid(f"the user {sponsor_id!r} is a service user, so it cannot be a sponsor")
    if found is None and refuse_unknown:
        raise SponsorInvalid(f"no user has the id {sponsor_id[:100]!r} of the sponsor")
    if found is None:
        record(unit, [Event("sponsor.unknown", f"User/{consumer_id}", {"id": sponsor_id[:1000]})])


def sponsored_by(unit: Unit, consumer_id: str) -> list[str]:
    """Return the service users that a user answers for."""
    statement = sa.select(consumer.c.id).where(
        consumer.c.tenant_id == unit.tenant_id,
        consumer.c.sponsor_id == consumer_id,
        consumer.c.deleted_at.is_(None),
    )
    return list(unit.execute(statement.order_by(consumer.c.id)).scalars())


@contextmanager
def following(unit: Unit, people: Sequence[str]) -> Iterator[None]:
    """Enclose a change to some consumers: their keys' transitions are recorded, and due keys issued."""
    if len(people) > follow_ups.MOST_AT_ONCE:
        yield
        estimate(unit, len(people))
        follow_members(unit, people)
        return
    if not people:
        yield
        return
    with key_effects(unit, [key.c.consumer_id.in_(people)], lambda: people):
        yield


def apply_policy(unit: Unit) -> None:
    """Let every service user with a sponsor be judged from now on as the tenant's setting says.

    What lapsed under the other one stays so (P8): what they ask for is kept with the time in which they did.
    """
    wanted = consumer.c.sponsor_id if suspends(unit) else sa.null()
    with_sponsor = sa.and_(
        consumer.c.tenant_id == unit.tenant_id,
        consumer.c.sponsor_id.is_not(None),
        consumer.c.deleted_at.is_(None),
    )
    services = list(
        unit.execute(sa.select(consumer.c.id).where(with_sponsor).order_by(consumer.c.id)).scalars()
    )
    with following(unit, services):
        for some in batches(services):
            here = activity.c.consumer_id.in_(some)
            begun = (
                sa.select(
                    activity.c.tenant_id,
                    activity.c.consumer_id,
                    wanted.label("sponsor_id"),
                    sa.literal(unit.now, sa.BigInteger),
                    activity.c.until,
                    sa.literal(unit.recovery_window, sa.BigInteger),
                )
                .join(consumer, consumer.c.id == activity.c.consumer_id)
                .where(holding(unit, activity), here, activity.c.sponsor_id.is_distinct_from(wanted))
            )
            rows = [tuple(row) for row in unit.execute(begun)]
            if rows:
                end(unit, activity, activity.c.consumer_id.in_([row[1] for row in rows]))
                names = ("tenant_id", "consumer_id", "sponsor_id", "since", "until", "tolerance")
                unit.connection.execute(
                    sa.insert(activity), [dict(zip(names, row, strict=True)) for row in rows]
                )
