"""Where a single value of a resource stands: in a column of its table, or in its comparable form."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from scim2_models.path import AttributeBinding

from app.directory.comparable import compared, is_numeric, name_of, place_of
from app.directory.elements import Elements
from app.directory.views import BoundView
from app.store.json_access import JsonColumn, in_code_point_order
from app.store.tables import resource
from app.store.unit_of_work import Unit


class Columns:
    """The single values of the resources of one type, as columns of ``resource``.

    :param view: what the type is, when it is a view of another.
    """

    def __init__(self, unit: Unit, type_name: str, view: BoundView | None = None) -> None:
        self.type_name = type_name
        self.view = view
        self.postgresql = unit.connection.dialect.name == "postgresql"
        self.document = JsonColumn(resource.c.comparable, self.postgresql)

    def stored(self, binding: AttributeBinding) -> AttributeBinding:
        """Return the attribute that is stored for one: another, where a view shows that as it is."""
        stored = None if self.view is None else self.view.stored(binding)
        return binding if stored is None else stored

    def is_composed(self, binding: AttributeBinding) -> bool:
        """Return whether a view composes the attribute, so that no stored one is it."""
        return self.view is not None and self.view.stored(binding) is None

    def is_indexed(self, binding: AttributeBinding) -> bool:
        """Return whether the attribute's values can be in the index of what resources are found by."""
        # Roles that are only mapped from have no row, and so no entry.
        return self.view is None or not (self.view.view.mapped_roles or self.is_composed(binding))

    def single(self, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        """Return the value of a single-valued attribute as it is compared; null where there is none."""
        if self.view is not None:
            if self.is_composed(binding):
                return self._text(self.view.column(binding, self.document))
            binding = self.stored(binding)
        if (column := self._of_the_table(binding)) is not None:
            return column
        path = place_of(binding)
        if binding.sub_field_name is not None:
            path = (*path, name_of(binding.sub_field_name))
        return self.document.number(*path) if is_numeric(binding) else self.document.text(*path)

    def assigned(self, binding: AttributeBinding) -> sa.ColumnElement[bool]:
        """Return whether a single-valued attribute with sub-attributes has a value."""
        return self.document.text(*place_of(binding)).is_not(None)

    def elements(self, binding: AttributeBinding) -> Elements | None:
        """Return the elements of a multi-valued attribute that are no part of the comparable form."""
        return None

    def _of_the_table(self, binding: AttributeBinding) -> sa.ColumnElement[Any] | None:
        match binding.field_name, binding.sub_field_name:
            case "id", _:
                return resource.c.id
            case "meta", "created":
                return resource.c.created_at
            case "meta", "last_modified":
                return resource.c.modified_at
            case "meta", "resource_type":
                return self._text(sa.literal(compared(binding, self.type_name), sa.Text))
            case "meta", "version":
                return self._text(sa.literal('W/"') + sa.cast(resource.c.revision, sa.Text) + sa.literal('"'))
            case "meta", _:
                return sa.cast(sa.null(), sa.Text)
        return None

    def _text(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return in_code_point_order(column, postgresql=self.postgresql)
