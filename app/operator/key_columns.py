"""Where the attributes of a key stand in the tables, so that filters and sorting of SCIM can be SQL.

The state of a key, and the reason of a state, stand nowhere: they follow from the directory. A filter that
tells of them is compiled for a key of each state there is; which of these counts is said by where it stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import InvalidFilterException
from scim2_models.path import AttributeBinding

from app.directory.columns import Columns
from app.directory.elements import Elements
from app.rights.standing import KeyState
from app.store.expressions import greatest
from app.store.tables import consumer, entitlement, key, key_entitlement, key_usage, secret
from app.store.unit_of_work import Unit

LAST_USED: Final[sa.ColumnElement[Any]] = (
    sa.select(key_usage.c.last_at).where(key_usage.c.key_id == key.c.id).scalar_subquery()
)
"""When a use of a key was last allowed, as far as uses are folded."""

LAST_CHANGED: Final[sa.ColumnElement[Any]] = greatest(
    key.c.issued_at,
    sa.func.coalesce(key.c.claimed_at, 0),
    sa.func.coalesce(key.c.revoked_at, 0),
    sa.func.coalesce(
        sa.select(sa.func.max(secret.c.created_at)).where(secret.c.key_id == key.c.id).scalar_subquery(), 0
    ),
)
"""When a key was last issued, claimed, rotated or revoked; what the directory does to it has no moment."""

KEYS: Final = key.join(consumer, consumer.c.id == key.c.consumer_id)
"""The rows that a search of keys is about."""

DERIVED: Final = frozenset({"state", "reason"})

_COLUMNS: Final[dict[tuple[str, str | None], sa.ColumnElement[Any]]] = {
    ("id", None): key.c.id,
    ("consumer", "value"): key.c.consumer_id,
    ("consumer", "user_name"): consumer.c.user_name,
    ("created_at", None): key.c.issued_at,
    ("claimed_at", None): key.c.claimed_at,
    ("expires_at", None): key.c.expires_at,
    ("last_used_at", None): LAST_USED,
    ("revoked_at", None): key.c.revoked_at,
    ("external_id", None): sa.cast(sa.null(), sa.Text),
    ("meta", "created"): key.c.issued_at,
    ("meta", "last_modified"): LAST_CHANGED,
    ("meta", "resource_type"): sa.literal("Key", sa.Text),
}


class KeyColumns(Columns):
    """The attributes of keys that are, or would be, in one state.

    :ivar told: whether anything was asked that depends on the state.
    """

    def __init__(self, unit: Unit, state: KeyState) -> None:
        super().__init__(unit, "Key")
        self.state = state
        self.told = False

    def is_indexed(self, binding: AttributeBinding) -> bool:
        return False

    def single(self, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        """Return the value of a single-valued attribute; null where there is none.

        :raises InvalidFilterException: when the attribute is not searched by.
        """
        if binding.field_name in DERIVED:
            self.told = True
            return sa.literal(str(self.state), sa.Text) if binding.field_name == "state" else self._reason()
        found = _COLUMNS.get((binding.field_name, binding.sub_field_name))
        if found is None:
            raise InvalidFilterException(detail=f"{binding.urn} cannot be searched by")
        return found

    def assigned(self, binding: AttributeBinding) -> sa.ColumnElement[bool]:
        return sa.true()

    def elements(self, binding: AttributeBinding) -> Elements | None:
        if binding.field_name == "entitlements":
            return EntitlementElements()
        raise InvalidFilterException(detail=f"{binding.urn} cannot be searched by")

    def _reason(self) -> sa.ColumnElement[Any]:
        match self.state:
            case KeyState.revoked:
                return sa.case((key.c.revoked_at.is_not(None), key.c.revoked_reason), else_="right_lapsed")
            case KeyState.expired:
                return sa.literal("expired", sa.Text)
        return sa.cast(sa.null(), sa.Text)


class EntitlementElements:
    """The entitlements that a key was issued for."""

    def __init__(self) -> None:
        self.pair, self.named = key_entitlement.alias(), entitlement.alias()
        self.rows = self.pair.outerjoin(self.named, self.named.c.id == self.pair.c.entitlement_id)

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return (
            sa.select(sa.literal(1))
            .select_from(self.rows)
            .where(self.pair.c.key_id == key.c.id, condition)
            .correlate(key, consumer)
            .exists()
        )

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        match member:
            case "value":
                return self.pair.c.entitlement_id
            case "display":
                return self.named.c.value
        raise InvalidFilterException(detail="entitlements can be filtered by value and display")

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()


def may_stand_in(unit: Unit, state: KeyState) -> sa.ColumnElement[bool]:
    """Return what the columns of a key must say so that it can be in a state; it may be in another still."""
    alive = key.c.revoked_at.is_(None)
    expired = sa.func.coalesce(key.c.expires_at <= unit.now, sa.false())
    match state:
        case KeyState.issued:
            return alive & key.c.claimed_at.is_(None) & sa.not_(expired)
        case KeyState.active:
            return alive & key.c.claimed_at.is_not(None) & sa.not_(expired)
        case KeyState.dormant:
            return alive & sa.not_(expired)
        case KeyState.expired:
            return alive & expired
    # One whose rights have all lapsed is revoked, and nothing of that is in its row.
    return sa.true()
