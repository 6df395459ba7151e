"""The elements of a multi-valued attribute as rows, wherever they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from scim2_models import InvalidFilterException
from scim2_models.path import AttributeBinding

from app.directory.comparable import is_numeric
from app.store.json_access import JsonArray, JsonColumn
from app.store.tables import membership, resource
from app.store.unit_of_work import Unit


class Elements(Protocol):
    """The elements of one multi-valued attribute of ``resource``."""

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """Return whether an element meets a condition."""
        ...

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        """Return a member of an element, or the element itself, as it is compared.

        :raises InvalidFilterException: when the member cannot be compared in SQL.
        """
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


class ConstantElements:
    """One element that every resource has."""

    def __init__(self, text: str) -> None:
        self.text = text

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return condition

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        return sa.literal(self.text, sa.Text())

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()


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
                kind = self.rows.c.member_type
                return kind if binding.case_exact else sa.func.lower(kind)
            case _:
                # `display` is kept as it was sent, not as it is compared.
                raise InvalidFilterException(detail="members can be filtered by value and type")

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()


class GroupElements:
    """The groups that a user is in, those around its groups included (RFC 7643 §4.1.2)."""

    def __init__(self, unit: Unit) -> None:
        # Each value path needs a name of its own for the groups, so that one can stand beside another.
        first, further = membership.alias(), membership.alias()
        holding = [
            sa.and_(rows.c.tenant_id == unit.tenant_id, rows.c.until > unit.now) for rows in (first, further)
        ]
        above = (
            sa.select(first.c.group_id, sa.literal(0).label("nested"))
            .where(first.c.member_id == resource.c.id, holding[0])
            .correlate(resource)
            .cte(recursive=True, nesting=True)
        )
        above = above.union(
            sa.select(further.c.group_id, sa.literal(1))
            .join(above, further.c.member_id == above.c.group_id)
            .where(holding[1])
        )
        nearest = (
            sa.select(above.c.group_id, sa.func.min(above.c.nested).label("nested"))
            .group_by(above.c.group_id)
            .subquery()
        )
        group = resource.alias()
        self.nearest = nearest
        self.rows = nearest.join(group, group.c.id == nearest.c.group_id)
        self.named = JsonColumn(group.c.comparable, unit.connection.dialect.name == "postgresql")

    def any(self, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return sa.select(sa.literal(1)).select_from(self.rows).where(condition).exists()

    def column(self, member: str | None, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        match member:
            case "value":
                return self.nearest.c.group_id
            case "display":
                return self.named.text("displayname")
            case "type":
                return sa.case((self.nearest.c.nested == 0, "direct"), else_="indirect")
            case _:
                raise InvalidFilterException(detail="groups can be filtered by value, display and type")

    def nonempty(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.true()
