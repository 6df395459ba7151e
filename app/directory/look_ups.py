"""Which resources a filter can match at all, as the indexes know it.

Identity providers look people up by a userName, an externalId or a member's id. What the index has for that
is a few ids; to compare every resource of the tenant instead would take longer the larger the directory is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from scim2_models import Resource, ScimFilter
from scim2_models.path import (
    AttributeBinding,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    ValuePath,
)

from app.directory.bindings import Element
from app.directory.columns import Columns
from app.directory.comparable import compared, is_held_elsewhere, is_numeric, match_key, matched_attribute
from app.directory.operands import refuse_unstorable
from app.store.json_access import in_code_point_order
from app.store.tables import attribute_value, membership, resource
from app.store.unit_of_work import Unit

Ids = sa.Select[tuple[str]]
"""The ids of some resources."""


class LookUps:
    """The look-ups of one filter, which is bound to the model of a type."""

    def __init__(self, bound: ScimFilter[Any], unit: Unit, type_name: str, columns: Columns) -> None:
        self.bound = bound
        self.unit = unit
        self.type_name = type_name
        self.columns = columns

    def candidates(self, node: FilterNode) -> list[Ids] | None:
        """Return the ids of all that can match, in any number of parts; None when no index has them."""
        match node:
            case Comparison():
                binding = self.bound.resolve_comparison(node.attr_path, strict=False)
                if binding is None:
                    return []
                found = self.ids(self.columns.stored(binding), node)
                return None if found is None else [found]
            case ValuePath():
                return next(([ids] for ids in self.ids_of_elements(node)), None)
            case LogicalExpr(op=LogicalOperator.and_, terms=terms):
                return next((ids for term in terms if (ids := self.candidates(term)) is not None), None)
            case LogicalExpr(terms=terms):
                parts: list[Ids] = []
                for term in terms:
                    ids_of_term = self.candidates(term)
                    if ids_of_term is None:
                        return None
                    parts += ids_of_term
                return parts
            case _:
                return None

    def ids_of_elements(self, node: ValuePath) -> Iterator[Ids]:
        """Yield the ids of the resources of which an element can match, once for each term in an index."""
        binding = self.bound.resolve(node.attr_path, strict=False)
        if binding is None:
            return
        element = Element(self.bound, node.attr_path, binding)
        inside = node.val_filter
        is_all = isinstance(inside, LogicalExpr) and inside.op == LogicalOperator.and_
        for term in inside.terms if isinstance(inside, LogicalExpr) and is_all else (inside,):
            if isinstance(term, Comparison) and (operand := element.binding_of(term.attr_path)) is not None:
                ids = self.ids(operand, term)
                if ids is not None:
                    yield ids

    def ids(self, binding: AttributeBinding, node: Comparison) -> Ids | None:
        """Return the ids of the resources with a value; None when there is no index of it."""
        if node.op != CompareOperator.eq or not isinstance(node.value, str):
            return None
        if is_numeric(binding) or not self.columns.is_indexed(binding):
            return None
        is_id, is_member = binding.field_name == "id", self._is_member(binding)
        attribute = matched_attribute(binding)
        if not (is_id or is_member or attribute):
            return None
        refuse_unstorable(node.value)
        try:
            value = str(compared(binding, node.value))
        except ValueError:
            return sa.select(attribute_value.c.resource_id).where(sa.false())
        if is_id:
            return sa.select(
                in_code_point_order(sa.literal(value, sa.Text()), postgresql=self.columns.postgresql)
            )
        if is_member:
            return sa.select(membership.c.group_id).where(
                membership.c.tenant_id == self.unit.tenant_id,
                membership.c.member_id == value,
                membership.c.until > self.unit.now,
            )
        return sa.select(attribute_value.c.resource_id).where(
            attribute_value.c.tenant_id == self.unit.tenant_id,
            attribute_value.c.attribute == attribute,
            attribute_value.c.value == match_key(value),
        )

    def _is_member(self, binding: AttributeBinding) -> bool:
        """Whether an attribute is the id of a group's member."""
        of_members = is_held_elsewhere(binding) and binding.field_name == "members"
        return of_members and binding.sub_field_name == "value" and self.type_name == "Group"


def looked_up(
    scim_filter: ScimFilter[Any], unit: Unit, models: Sequence[tuple[str, type[Resource[Any]]]]
) -> sa.FromClause:
    """Return the rows of ``resource`` among which all are that match: few, where an index knows them.

    They are a part of the statement that is made first. The databases would otherwise choose by what they
    guess of the sizes of tables: SQLite guesses that a tenant has ten users.

    :param models: the types that are searched, each with its name.
    """
    parts: list[Ids] = []
    for type_name, model in models:
        bound = ScimFilter[model](str(scim_filter))  # type: ignore[valid-type]
        ids = LookUps(bound, unit, type_name, Columns(unit, type_name)).candidates(bound.ast)
        if ids is None:
            return resource
        parts += ids
    if not parts:
        return resource
    (first, *more) = parts
    known = sa.union_all(first, *more) if more else first
    return sa.select(resource).where(resource.c.id.in_(known)).cte("looked_up").prefix_with("MATERIALIZED")
