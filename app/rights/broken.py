"""The first broken link between a key and a right, found in the order in which a reader would follow them.

Everything here is pure: what is known goes in, a :class:`Broken` or None comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.rights.chains import GroupLink
from app.rights.conditions import Conditions
from app.rights.consumers import ConsumerStanding, SponsorStanding
from app.rights.continuity import Continuity, Dormant, Lapsed
from app.rights.standing import KeyState, Standing
from app.rights.stretches import Stretch
from app.rights.words import at, because, duration, listed
from app.store.tables import FOREVER


@dataclass(frozen=True)
class Broken:
    """A broken link: a stable code, the words for people, and since when (microseconds), where that is known.

    The gate uses the same codes for the same things. All codes: ``key_revoked`` ``key_expired``
    ``key_unclaimed`` ``access_not_started`` ``access_ended`` ``consumer_deleted`` ``consumer_inactive``
    ``sponsor_absent`` ``entitlement_deleted`` ``no_grant`` ``right_lapsed`` ``right_ended``
    ``right_not_started`` ``condition_unknown``.
    """

    code: str
    detail: str
    since: int | None = None


@dataclass(frozen=True)
class Mapped:
    """What an entitlement is mapped to now: any one of these grants it."""

    values: tuple[str, ...]
    roles: tuple[str, ...]
    groups: tuple[GroupLink, ...]


def of_key(
    standing: Standing, holder: ConsumerStanding, *, revoked_at: int | None, expires_at: int | None
) -> Broken | None:
    """Return what ended the key itself, if anything did; a right that lapsed is told with the right."""
    if revoked_at is not None:
        return Broken(
            "key_revoked", f"it was revoked at {at(revoked_at)}: {because(standing.reason)}", revoked_at
        )
    if holder.deleted_at is not None:
        return of_consumer(holder)
    if standing.state is KeyState.expired and expires_at is not None:
        return Broken("key_expired", f"it expired at {at(expires_at)}", expires_at)
    return None


def of_use(standing: Standing, holder: ConsumerStanding, now: int) -> Broken | None:
    """Return what keeps a key that has rights from being used, if anything does."""
    starts_at = holder.access_starts_at
    if starts_at is not None and starts_at > now:
        detail = f"the access of the user {holder.user_name!r} starts only at {at(starts_at)}"
        return Broken("access_not_started", detail)
    if standing.state is KeyState.issued:
        return Broken("key_unclaimed", "it was not claimed yet, so it has no secret")
    return None


def of_consumer(holder: ConsumerStanding) -> Broken | None:
    """Return why a consumer can hold no right at all now, if that is so."""
    name = f"the user {holder.user_name!r}"
    if holder.deleted_at is not None:
        return Broken("consumer_deleted", f"{name} was deleted at {at(holder.deleted_at)}", holder.deleted_at)
    if holder.present_since is not None:
        return _of_sponsor(name, holder.sponsor)
    since = holder.away_since
    if holder.active and holder.access_ends_at is not None:
        ended = holder.access_ends_at
        return Broken("access_ended", f"the access of {name} ended at {at(ended)}", since or ended)
    if since is None:
        return Broken("consumer_inactive", f"{name} is inactive, and never was active")
    return Broken("consumer_inactive", f"{name} has been inactive since {at(since)}", since)


def _of_sponsor(name: str, sponsor: SponsorStanding | None) -> Broken | None:
    if sponsor is None or sponsor.is_present:
        return None
    if sponsor.user_name is None:
        return Broken("sponsor_absent", f"no user has the id {sponsor.id[:100]!r} of the sponsor of {name}")
    named = f"{sponsor.user_name!r}, the sponsor of {name},"
    if sponsor.deleted_at is not None:
        detail = f"{named} was deleted at {at(sponsor.deleted_at)}"
        return Broken("sponsor_absent", detail, sponsor.away_since or sponsor.deleted_at)
    if sponsor.away_since is None:
        return Broken("sponsor_absent", f"{named} is inactive, and never was active")
    detail = f"{named} has been inactive since {at(sponsor.away_since)}"
    return Broken("sponsor_absent", detail, sponsor.away_since)


def of_right(
    holder: ConsumerStanding,
    mapped: Mapped | None,
    judged: Continuity,
    unbroken: Sequence[Stretch],
    *,
    issued_at: int,
    now: int,
    recovery_window: int,
) -> Broken | None:
    """Return the first broken link between a consumer's key and one entitlement of it.

    :param mapped: what the entitlement is mapped to; None when there is no such entitlement any more.
    :param unbroken: the unbroken times of the right.
    """
    if mapped is None:
        return Broken("entitlement_deleted", "there is no such entitlement any more")
    held = bool(unbroken) and unbroken[-1].until > now
    if held:
        return _late(unbroken, issued_at) if isinstance(judged, Lapsed) else None
    found = of_consumer(holder) or _not_granted(holder, mapped, unbroken)
    if found.code == "consumer_deleted":
        return found
    return replace(
        found,
        code="right_lapsed" if isinstance(judged, Lapsed) else found.code,
        detail=f"{found.detail}; {_outlook(judged, found.since, now, recovery_window)}",
    )


def of_conditions(conditions: Conditions, now: int) -> Broken | None:
    """Return what in an entitlement's conditions keeps every call out now, whatever it is like."""
    if conditions.unknown:
        return Broken("condition_unknown", "it has a condition that cannot be judged")
    begin, end = conditions.not_before, conditions.not_after
    if end is not None and end < now:
        return Broken("right_ended", f"it could be used until {at(end)} (notAfter)", end)
    if begin is not None and begin > now:
        return Broken("right_not_started", f"it can be used only from {at(begin)} on (notBefore)")
    return None


def _late(unbroken: Sequence[Stretch], issued_at: int) -> Broken:
    """The right is there, and the key is older than it."""
    began = unbroken[-1].since
    before = [stretch for stretch in unbroken[:-1] if stretch.since <= issued_at < stretch.until]
    if not before:
        detail = f"the right is there since {at(began)}, after the key was issued at {at(issued_at)}"
        return Broken("right_lapsed", detail, began)
    went = before[-1].until
    came = min(stretch.since for stretch in unbroken if stretch.since >= went)
    away = f"the right was away from {at(went)} until {at(came)}"
    return Broken("right_lapsed", f"{away}, longer than the recovery window of that time allowed", went)


def _not_granted(holder: ConsumerStanding, mapped: Mapped, unbroken: Sequence[Stretch]) -> Broken:
    lacks = []
    if mapped.values:
        lacks.append(f"does not carry the value {listed([repr(value) for value in mapped.values])}")
    if mapped.roles:
        lacks.append(f"has no role {' or '.join(repr(role) for role in mapped.roles[:5])}")
    if mapped.groups:
        named = [f"{group.display or 'without a name'!r} ({group.id})" for group in mapped.groups]
        lacks.append(f"is in no group mapped to it: {listed(named)}")
    lacking = ", ".join(lacks) or "cannot have it in any way: it is mapped to nothing"
    detail = f"the user {holder.user_name!r} {lacking}"
    since = unbroken[-1].until if unbroken else None
    if since is not None:
        detail += f"; the right ended at {at(since)}"
    return Broken("no_grant", detail, since)


def _outlook(judged: Continuity, since: int | None, now: int, recovery_window: int) -> str:
    if isinstance(judged, Dormant):
        if judged.held_until == FOREVER:
            return "the key works again if that changes: its end waits for an operator, as a brake is engaged"
        ends_at = max(judged.since + recovery_window, judged.held_until)
        return f"the key works again if that changes before {at(ends_at)}"
    if since is not None and now - since >= recovery_window:
        window = duration(recovery_window)
        return f"that is longer than the recovery window ({window}), so this key stays dead for it"
    return "and this key stays dead for it: it was issued without it, or it was away for too long before"
