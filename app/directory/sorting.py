"""The order of a search (RFC 7644 §3.4.2.3), as SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from scim2_models import InvalidPathException, Resource, SearchRequest
from scim2_models.path import AttributeBinding

from app.directory.columns import Columns
from app.directory.comparable import is_numeric, name_of, place_of
from app.store.tables import resource
from app.store.unit_of_work import Unit


def order_of(
    unit: Unit, search_request: SearchRequest[Any], models: Sequence[tuple[str, type[Resource[Any]]]]
) -> list[sa.ColumnElement[Any]]:
    """Return what a search of some resource types is ordered by, ending in what no two resources share.

    Missing values come last, or first when the order is descending. Equal values are in the order of their
    resources' creation, in either direction.

    :raises InvalidPathException: when the attribute cannot be sorted by in SQL.
    """
    tie: list[sa.ColumnElement[Any]] = [resource.c.created_at, resource.c.id]
    if search_request.sort_by is None:
        return tie
    of_kind: dict[bool, list[tuple[sa.ColumnElement[bool], sa.ColumnElement[Any]]]] = {}
    for type_name, model in models:
        binding = search_request.sort_binding(model)
        if binding is not None:
            value = _value(unit, type_name, binding)
            of_kind.setdefault(is_numeric(binding), []).append((resource.c.type == type_name, value))
    if not of_kind:
        return tie
    if len(models) == 1:
        values = [value for [(_, value)] in of_kind.values()]
    else:
        # A column holds numbers or texts: types that call both by one name need one of each.
        values = [sa.case(*of_types, else_=sa.null()) for of_types in of_kind.values()]
    missing = sa.and_(*(value.is_(None) for value in values))
    if search_request.sort_order == SearchRequest.SortOrder.descending:
        return [missing.desc(), *(value.desc() for value in values), *tie]
    return [missing, *values, *tie]


def _value(unit: Unit, type_name: str, binding: AttributeBinding) -> sa.ColumnElement[Any]:
    if binding.field_name == "members" or (binding.field_name == "groups" and type_name == "User"):
        raise _unsortable(binding, "is held by other resources")
    if binding.sub_field_name is not None and binding.target_is_multivalued:
        raise _unsortable(binding, "has several values")
    columns = Columns(unit, type_name)
    if not binding.is_multivalued:
        return columns.single(binding)
    array = columns.document.array(*place_of(binding))
    member = name_of(binding.sub_field_name) if binding.sub_field_name else None
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


def _unsortable(binding: AttributeBinding, why: str) -> InvalidPathException:
    return InvalidPathException(path=binding.urn, detail=f"{binding.urn} {why} and cannot be sorted on")
