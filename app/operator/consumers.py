"""Finding consumers: by id, by userName, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from unicodedata import normalize

import sqlalchemy as sa

from app.keys.lifecycle import revoke_all
from app.ledger.events import Event, record
from app.operator.errors import ConsumerUnknown
from app.operator.pages import Page, Window
from app.store.secrets import redacted
from app.store.tables import attribute_value, consumer
from app.store.unit_of_work import Unit

USER_NAME: Final = "urn:ietf:params:scim:schemas:core:2.0:user:username"


@dataclass(frozen=True)
class ConsumerView:
    """A consumer as a list shows it. Times in microseconds; a deleted user has a ``deleted_at``."""

    id: str
    user_name: str
    active: bool
    access_starts_at: int | None
    access_ends_at: int | None
    deleted_at: int | None


def find_consumers(unit: Unit, window: Window, *, user_name: str | None = None) -> Page[ConsumerView]:
    """Return a page of the tenant's consumers, the deleted last; of one userName only, if given."""
    wanted = consumer.c.tenant_id == unit.tenant_id
    if user_name is not None:
        wanted &= _called(unit, user_name)
    total = unit.execute(sa.select(sa.func.count()).select_from(consumer).where(wanted)).scalar_one()
    statement = (
        sa.select(consumer)
        .where(wanted)
        .order_by(consumer.c.deleted_at.is_not(None), consumer.c.user_name, consumer.c.id)
        .limit(window.count)
        .offset(window.offset)
    )
    return Page(total, window.start, tuple(_view(row) for row in unit.execute(statement)))


def find_consumer(unit: Unit, id_or_user_name: str) -> ConsumerView:
    """Return the tenant's consumer with this id or, where there is none, the one of this userName.

    Of several with one userName all but one were deleted: that one is returned where there is one.

    :raises ConsumerUnknown: when there is neither.
    """
    row = unit.execute(
        sa.select(consumer).where(consumer.c.tenant_id == unit.tenant_id, consumer.c.id == id_or_user_name)
    ).one_or_none()
    if row is not None:
        return _view(row)
    named = find_consumers(unit, Window(count=1), user_name=id_or_user_name).items
    if not named:
        raise ConsumerUnknown(f"no consumer {id_or_user_name[:200]!r}")
    return named[0]


def revoke_keys(unit: Unit, consumer_id: str, reason: str) -> ConsumerView:
    """Revoke every key of a consumer for good, claimed or not; the account stays.

    Saying it again is one more event and changes nothing (P6).

    :raises ConsumerUnknown: when the tenant has no such consumer.
    """
    found, reason = find_consumer(unit, consumer_id), redacted(reason)
    ended = revoke_all(unit, found.id, reason)
    record(unit, [Event("consumer.keys_revoked", f"User/{found.id}", {"reason": reason, "keys": ended})])
    return found


def _called(unit: Unit, user_name: str) -> sa.ColumnElement[bool]:
    """Whether a consumer has a userName; letter case does not count while the user is there."""
    lower = user_name.lower()
    prepared = {lower, normalize("NFC", lower), normalize("NFKC", lower)}
    living = sa.select(attribute_value.c.resource_id).where(
        attribute_value.c.tenant_id == unit.tenant_id,
        attribute_value.c.attribute == USER_NAME,
        attribute_value.c.value.in_(prepared),
    )
    return sa.or_(consumer.c.user_name == user_name, consumer.c.id.in_(living))


def _view(row: sa.Row[Any]) -> ConsumerView:
    return ConsumerView(
        id=row.id,
        user_name=row.user_name,
        active=row.active,
        access_starts_at=row.access_starts_at,
        access_ends_at=row.access_ends_at,
        deleted_at=row.deleted_at,
    )
