"""The order of a search (RFC 7644 §3.4.2.3), as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from scim2_models import Resource, SearchRequest
from scim2_models.path import AttributeBinding

from app.directory.comparable import is_numeric, name_of, place_of
from app.store.json_access import JsonColumn
from app.store.tables import resource
from app.store.unit_of_work import Unit


def order_of(
    unit: Unit, search_request: SearchRequest[Any], models: Sequence[tuple[str, type[Resource[Any]]]]
) -> list[sa.ColumnElement[Any]]:
    """Return what a search of some resource types is ordered by, ending in what no two resources share.

    Missing values come last, or first when the order is descending.
    """
    tie: list[sa.ColumnElement[Any]] = [resource.c.created_at, resource.c.id]
    if search_request.sort_by is None:
        return tie
    values = [
        (resource.c.type == type_name, value)
        for type_name, model in models
        if (binding := search_request.sort_binding(model)) is not None
        and (value := _value(unit, binding)) is not None
    ]
    if not values:
        return tie
    value = values[0][1] if len(models) == 1 else sa.case(*values, else_=sa.null())
    if search_request.sort_order == SearchRequest.SortOrder.descending:
        return [value.is_(None).desc(), value.desc(), *(each.desc() for each in tie)]
    return [value.is_(None), value, *tie]


def _value(unit: Unit, binding: AttributeBinding) -> sa.ColumnElement[Any] | None:
    if binding.field_name == "id":
        return resource.c.id
    if binding.field_name == "meta":
        columns = {"created": resource.c.created_at, "last_modified": resource.c.modified_at}
        return columns.get(binding.sub_field_name or "")
    document = JsonColumn(resource.c.comparable, unit.connection.dialect.name == "postgresql")
    path = place_of(binding)
    member = name_of(binding.sub_field_name) if binding.sub_field_name else None
    if not binding.is_multivalued:
        path = path if member is None else (*path, member)
        return document.number(*path) if is_numeric(binding) else document.text(*path)
    array = document.array(*path)
    column = array.number(member) if is_numeric(binding) else array.text(member)
    # The value of the primary element, else of the first.
    primary = [] if member is None else [sa.func.coalesce(array.number("primary"), 0).desc()]
    return (
        sa.select(column)
        .select_from(array.rows)
        .order_by(*primary, array.position)
        .limit(1)
        .scalar_subquery()
    )
