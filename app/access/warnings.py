"""What an operator should see to before it hurts: brakes that wait, silent connections, tokens that end."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from app.access.clients import Purpose
from app.access.connections import Connection, list_connections
from app.access.credentials import Credential, list_credentials
from app.access.silence import CYCLES, silent_since
from app.store.tables import brake, oauth_client, withdrawal
from app.store.unit_of_work import Unit

_DAY: Final = 24 * 3600 * 1_000_000

EXPIRES_SOON: Final = 30 * _DAY
"""From when on the end of a token is worth a warning, in microseconds before it."""

NEVER_CALLED: Final = _DAY
"""How old a connection without any call is when that is worth a warning, in microseconds."""

KINDS: Final = (
    "brake_engaged",
    "connection_silent",
    "connection_never_called",
    "connection_without_token",
    "token_expiring",
)
"""What a warning can be of."""


@dataclass(frozen=True)
class Warned:
    """Something that an operator should see to. ``kind`` is one of :data:`KINDS`; ``text`` is for people.

    ``at`` is since when, or of an expiring token until when, in microseconds.
    """

    kind: str
    connection_id: str | None
    connection_name: str | None
    text: str
    at: int

    @property
    def is_ahead(self) -> bool:
        """Whether ``at`` is until when, rather than since when."""
        return self.kind == "token_expiring"


def find_warnings(unit: Unit, cycles: int = CYCLES) -> list[Warned]:
    """Return what the tenant's operators should see to now, by connection.

    The tokens of OAuth clients end every hour; nobody is warned of that.

    :param cycles: after how many usual cycles without a call a connection is silent.
    """
    tokens = list_credentials(unit)
    served = set(
        unit.execute(
            sa.select(oauth_client.c.connection_id).where(
                oauth_client.c.tenant_id == unit.tenant_id,
                oauth_client.c.purpose == Purpose.tokens,
                oauth_client.c.removed_at.is_(None),
            )
        ).scalars()
    )
    waiting = _brakes(unit)
    found: list[Warned] = []
    for one in list_connections(unit):
        if one.id in waiting:
            found.append(_of_brake(one, *waiting[one.id]))
        if one.disabled_at is None:
            found += _of_calls(one, unit.now, cycles)
            of_it = [each for each in tokens if each.connection_id == one.id]
            found += _of_tokens(one, of_it, unit.now, has_client=one.id in served)
    for each in tokens:
        is_other = each.connection_id is None and each.ended(unit.now) is None
        if is_other and each.expires_at - unit.now < EXPIRES_SOON:
            text = f"The token {each.label!r} ({' '.join(each.scopes)}) ends soon"
            found.append(Warned("token_expiring", None, None, text, each.expires_at))
    return found


def _brakes(unit: Unit) -> dict[str, tuple[int, int]]:
    """Return since when the brake of a connection waits, and how many people for, where one does."""
    people = sa.func.coalesce(sa.func.sum(withdrawal.c.people + withdrawal.c.uncounted), 0)
    statement = (
        sa.select(brake.c.connection_id, brake.c.engaged_at, people.label("people"))
        .outerjoin(withdrawal, withdrawal.c.brake_id == brake.c.id)
        .where(brake.c.tenant_id == unit.tenant_id, brake.c.decision.is_(None))
        .group_by(brake.c.connection_id, brake.c.engaged_at)
    )
    return {row.connection_id: (row.engaged_at, int(row.people)) for row in unit.execute(statement)}


def _of_brake(one: Connection, engaged_at: int, people: int) -> Warned:
    text = (
        f"It withdrew {people} people: they are denied, and nothing of it is final before an operator decides"
    )
    return Warned("brake_engaged", one.id, one.name, text, engaged_at)


def _of_calls(one: Connection, now: int, cycles: int) -> Iterator[Warned]:
    if (since := silent_since(one, now, cycles)) is not None:
        text = "It has not called for long: who left since keeps his keys"
        yield Warned("connection_silent", one.id, one.name, text, since)
    elif one.last_call_at is None and now - one.created_at > NEVER_CALLED:
        yield Warned("connection_never_called", one.id, one.name, "It has never called", one.created_at)


def _of_tokens(
    one: Connection, tokens: Collection[Credential], now: int, *, has_client: bool
) -> Iterator[Warned]:
    living = [each.expires_at for each in tokens if each.ended(now) is None]
    if living and max(living) - now < EXPIRES_SOON:
        text = "Its token ends soon: rotate it"
        yield Warned("token_expiring", one.id, one.name, text, max(living))
    elif not living and not has_client:
        ends = [min(each.expires_at, each.revoked_at or each.expires_at) for each in tokens]
        text = "None of its tokens works any more, and it has no OAuth client"
        yield Warned("connection_without_token", one.id, one.name, text, max(ends, default=one.created_at))
