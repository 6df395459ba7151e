"""The elements of a multi-valued attribute as rows, wherever they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from scim2_models import InvalidFilterException
from scim2_models.path import AttributeBinding

from app.directory.comparable import is_numeric
from app.store.json_access import JsonArray
from app.store.tables import membership, resource
from app.store.unit_of_work import Unit


class Elements(Protocol):
    """The elements of one multi-valued attribute of ``resource``."""

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """Return whether an element meets a condition."""
        ...

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        """Return a member of an element, or the element itself, as it is compared."""
        ...

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return whether one of some members of an element has a value."""
        ...


class JsonElements:
    """Elements in the comparable form of the resource."""

    def __init__(self, array: JsonArray) -> None:
        self.array = array

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.select(sa.literal(1)).select_from(self.array.rows).where(condition).exists()

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        return self.array.number(member) if is_numeric(binding) else self.array.text(member)

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.or_(
            sa.false(), *(sa.func.coalesce(self.array.text(each) != "", sa.false()) for each in members)
        )


class MemberElements:
    """The members of a group."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.rows = membership.alias("member_row")

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return (
            sa.select(sa.literal(1))
            .select_from(self.rows)
            .where(self.rows.c.group_id == resource.c.id, self.rows.c.until > self.unit.now, condition)
            .exists()
        )

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        match member:
            case "value":
                return self.rows.c.member_id
            case "type":
                return sa.func.lower(self.rows.c.member_type)
            case _:
                raise InvalidFilterException(detail="members can be filtered by value and type")

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()


class GroupElements:
    """The groups that a user is in directly."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.rows = membership.alias("group_row")

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return (
            sa.select(sa.literal(1))
            .select_from(self.rows)
            .where(self.rows.c.member_id == resource.c.id, self.rows.c.until > self.unit.now, condition)
            .exists()
        )

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        if member != "value":
            raise InvalidFilterException(detail="groups can be filtered by value, for direct membership")
        return self.rows.c.group_id

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()
