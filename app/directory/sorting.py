"""The order of a search (RFC 7644 §3.4.2.3), as SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import InvalidPathException, Resource, SearchRequest
from scim2_models.path import AttributeBinding

from app.directory.columns import Columns
from app.directory.comparable import is_hidden, is_numeric, name_of, place_of
from app.directory.views import BoundView
from app.store.tables import resource
from app.store.unit_of_work import Unit

LONGEST_SORTED: Final = 256
"""By how many of its first characters a text is sorted: a cursor holds the text, and must fit into a URL."""


@dataclass(frozen=True)
class SortTerm:
    """One of the values that a search is ordered by, the more significant first.

    A value that may be null has the term before it say so, so that no order of nulls is ever asked for: the
    two databases have different ones.
    """

    value: sa.ColumnElement[Any]
    descending: bool = False

    @property
    def ordered(self) -> sa.ColumnElement[Any]:
        """The term as ``ORDER BY`` takes it."""
        return self.value.desc() if self.descending else self.value.asc()


CREATION: Final = (SortTerm(resource.c.created_at), SortTerm(resource.c.id))
"""The order of their creation: no two resources share it, and it never changes."""


def sort_terms(
    unit: Unit,
    search_request: SearchRequest[Any],
    models: Sequence[tuple[str, type[Resource[Any]]]],
    views: Mapping[str, BoundView] = MappingProxyType({}),
) -> list[SortTerm]:
    """Return what a search of some resource types is ordered by, ending in :data:`CREATION`.

    Missing values come last, or first when the order is descending. Equal values are in the order of their
    resources' creation, in either direction.

    :param views: the types that are views of others, by their names.
    :raises InvalidPathException: when the attribute cannot be sorted by in SQL.
    """
    together = len(models) > 1 and any(name in views for name, _ in models)
    # A row that is served as several types stands in a list several times.
    last = [SortTerm(resource.c.type), *CREATION] if together else CREATION
    if search_request.sort_by is None:
        return list(last)
    of_kind: dict[bool, list[tuple[sa.ColumnElement[bool], sa.ColumnElement[Any]]]] = {}
    for type_name, model in models:
        binding = search_request.sort_binding(model)
        if binding is not None:
            value = _value(Columns(unit, type_name, views.get(type_name)), type_name, binding)
            of_kind.setdefault(is_numeric(binding), []).append((resource.c.type == type_name, value))
    if len(models) == 1:
        values = [value for [(_, value)] in of_kind.values()]
    else:
        # A column holds numbers or texts: types that call both by one name need one of each.
        values = [sa.case(*of_types, else_=sa.null()) for of_types in of_kind.values()]
    descending = search_request.sort_order == SearchRequest.SortOrder.descending
    return [*(term for value in values for term in terms_of(value, descending=descending)), *last]


def terms_of(value: sa.ColumnElement[Any], *, descending: bool) -> list[SortTerm]:
    """Return the terms that order by a value which may be null."""
    term = SortTerm(value, descending)
    if isinstance(value, sa.Column) and not value.nullable:
        return [term]
    return [SortTerm(sa.case((value.is_(None), 1), else_=0), descending), term]


def order_of(
    unit: Unit, search_request: SearchRequest[Any], models: Sequence[tuple[str, type[Resource[Any]]]]
) -> list[sa.ColumnElement[Any]]:
    """Return :func:`sort_terms` as ``ORDER BY`` takes them.

    :raises InvalidPathException: when the attribute cannot be sorted by in SQL.
    """
    return [term.ordered for term in sort_terms(unit, search_request, models)]


def _value(columns: Columns, type_name: str, binding: AttributeBinding) -> sa.ColumnElement[Any]:
    if (type_name, binding.field_name) in (("Group", "members"), ("User", "groups")):
        raise _unsortable(binding, "is held by other resources")
    if is_hidden(columns.stored(binding)):
        raise _unsortable(binding, "is not searched by")
    if binding.sub_field_name is not None and binding.target_is_multivalued:
        raise _unsortable(binding, "has several values")
    if not binding.is_multivalued:
        value = columns.single(binding)
        return value if is_numeric(binding) or isinstance(value, sa.Column) else _beginning(value)
    array = columns.document.array(*place_of(binding))
    member = name_of(binding.sub_field_name) if binding.sub_field_name else None
    column = array.number(member) if is_numeric(binding) else _beginning(array.text(member))
    # The value of the primary element, else of the first.
    primary = [] if member is None else [sa.func.coalesce(array.number("primary"), 0).desc()]
    return (
        sa.select(column)
        .select_from(array.rows)
        .order_by(*primary, array.position)
        .limit(1)
        .scalar_subquery()
    )


def _beginning(text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.substr(text, 1, LONGEST_SORTED, type_=text.type)


def _unsortable(binding: AttributeBinding, why: str) -> InvalidPathException:
    return InvalidPathException(path=binding.urn, detail=f"{binding.urn} {why} and cannot be sorted on")
