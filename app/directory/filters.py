"""SCIM filters as SQL (RFC 7644 §3.4.2.2), with the meaning that ``ScimFilter.match`` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import InvalidFilterException, Resource, ScimFilter
from scim2_models.path import (
    AttributeBinding,
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from app.directory.bindings import Element, complex_model, is_nested_list, list_in_a_list, searchable
from app.directory.columns import Columns
from app.directory.comparable import (
    compared,
    name_of,
    place_of,
)
from app.directory.elements import ConstantElements, Elements, GroupElements, JsonElements, MemberElements
from app.directory.look_ups import LookUps
from app.directory.operands import compare, incomparable, is_present
from app.directory.views import BoundView
from app.store.tables import resource
from app.store.unit_of_work import Unit

MOST_COMPARISONS: Final = 200
"""How many comparisons a filter may have, as SQL has a bounded number of parameters and of levels. ``pr`` of
a complex attribute counts for each of its sub-attributes."""

_OF_GROUPS: Final = 10
"""For how many comparisons one with the groups of a user counts: they are found by going up the groups."""

NEVER: Final = sa.false()


def compile_filter(
    scim_filter: ScimFilter[Any],
    *,
    unit: Unit,
    model: type[Resource[Any]],
    type_name: str,
    view: BoundView | None = None,
    columns: Columns | None = None,
) -> sa.ColumnElement[bool]:
    """Return a filter as a condition on the table ``resource``, for the resources of one type.

    An attribute that the type does not declare matches none of them (RFC 7644 §3.4.2.1).

    :param view: what the type is, when it is a view of another.
    :param columns: where the values are, when they are not in the table ``resource``.
    :raises InvalidFilterException: when the filter has too many comparisons, or compares what SQL cannot.
    """
    if count_comparisons(scim_filter.ast) > MOST_COMPARISONS:
        raise _too_many()
    bound = ScimFilter[model](str(scim_filter))  # type: ignore[valid-type]
    return _Compiler(bound, unit, type_name, columns or Columns(unit, type_name, view)).visit(bound.ast)


def count_comparisons(root: FilterNode) -> int:
    """Return how many comparisons a filter has; ``pr`` is one."""
    count, waiting = 0, [root]
    while waiting:
        for leaf in leaves(waiting.pop()):
            if isinstance(leaf, ValuePath):
                waiting.append(leaf.val_filter)
            else:
                count += 1
    return count


def leaves(root: FilterNode) -> Iterator[FilterNode]:
    """Yield what ``and``, ``or`` and ``not`` put together; a value path is one."""
    waiting = [root]
    while waiting:
        match waiting.pop():
            case Not(expr=inner):
                waiting.append(inner)
            case LogicalExpr(terms=terms):
                waiting.extend(terms)
            case leaf:
                yield leaf


class _Compiler(FilterVisitor[sa.ColumnElement[bool]]):
    """Compiles the nodes of a filter that stand for themselves, not inside a value path."""

    def __init__(self, bound: ScimFilter[Any], unit: Unit, type_name: str, columns: Columns) -> None:
        self.bound = bound
        self.unit = unit
        self.type_name = type_name
        self.columns = columns
        self.look_ups = LookUps(bound, unit, type_name, columns)
        self._left = MOST_COMPARISONS

    def _weigh(self, comparisons: int) -> None:
        """Count what becomes of the filter in SQL, which may be more than what it says."""
        self._left -= comparisons
        if self._left < 0:
            raise _too_many()

    def visit_not(self, node: Not) -> sa.ColumnElement[bool]:
        return sa.not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> sa.ColumnElement[bool]:
        joined = sa.and_ if node.op == LogicalOperator.and_ else sa.or_
        return joined(*(self.visit(term) for term in node.terms))

    def visit_comparison(self, node: Comparison) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        self._weigh(1)
        binding = searchable(self.columns.stored(binding))
        if (ids := self.look_ups.ids(binding, node)) is not None:
            return resource.c.id.in_(ids)
        if complex_model(binding.target_type) is not None:
            return self._compare_complex(binding, node)
        if is_nested_list(binding):
            raise list_in_a_list(binding)
        if binding.is_multivalued:
            member = name_of(binding.sub_field_name) if binding.sub_field_name else None
            return _any_or_none(self._elements(binding), member, binding, node)
        if binding.target_is_multivalued:
            return _any_or_none(self._sub_elements(binding), None, binding, node)
        return compare(self.columns.single(binding), binding, node)

    def visit_present(self, node: Present) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        return self._present(binding, node.attr_path)

    def visit_value_path(self, node: ValuePath) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        elements = self._elements(binding)
        inner = _ElementCompiler(Element(self.bound, node.attr_path, binding), elements)
        self._weigh(count_comparisons(node.val_filter))
        found = elements.any(inner.visit(node.val_filter))
        # An entry must have the value, so the index can name the few resources that may be meant.
        return sa.and_(*(resource.c.id.in_(ids) for ids in self.look_ups.ids_of_elements(node)), found)

    def _compare_complex(self, binding: AttributeBinding, node: Comparison) -> sa.ColumnElement[bool]:
        """An attribute with sub-attributes is equal to no simple value; it can only be unassigned."""
        if node.value is not None:
            return incomparable(node.op)
        if node.op not in (CompareOperator.eq, CompareOperator.ne):
            return NEVER
        assigned = self._assigned(binding)
        return assigned if node.op == CompareOperator.ne else sa.not_(assigned)

    def _assigned(self, binding: AttributeBinding) -> sa.ColumnElement[bool]:
        if binding.field_name == "meta":
            return sa.true()
        if binding.is_multivalued:
            return self._elements(binding).any(sa.true())
        return self.columns.assigned(binding)

    def _present(self, binding: AttributeBinding, attr_path: AttrPath) -> sa.ColumnElement[bool]:
        of_values = complex_model(binding.target_type)
        if binding.is_multivalued:
            self._weigh(len(of_values.model_fields) if of_values else 1)
            elements = self._elements(binding)
            return elements.any(_element_present(elements, binding))
        if of_values is None:
            self._weigh(1)
        if binding.target_is_multivalued:
            sub_elements = self._sub_elements(binding)
            return sub_elements.any(is_present(sub_elements.column(None, binding), binding))
        if of_values is None:
            return is_present(self.columns.single(searchable(self.columns.stored(binding))), binding)
        subs = (AttrPath(attr_path.attr, field, attr_path.uri) for field in of_values.model_fields)
        return sa.or_(
            NEVER,
            *(
                self._present(sub, sub_path)
                for sub_path in subs
                if (sub := self.bound.resolve(sub_path, strict=False)) is not None
            ),
        )

    def _elements(self, binding: AttributeBinding) -> Elements:
        if (elements := self.columns.elements(binding)) is not None:
            return elements
        if binding.field_name == "schemas" and self.columns.view is not None:
            return ConstantElements(str(compared(binding, self.columns.view.schema)))
        if binding.field_name == "members" and self.type_name == "Group":
            return MemberElements(self.unit)
        if binding.field_name == "groups" and self.type_name == "User":
            self._weigh(_OF_GROUPS)
            return GroupElements(self.unit)
        return JsonElements(self.columns.document.array(*place_of(binding)))

    def _sub_elements(self, binding: AttributeBinding) -> Elements:
        assert binding.sub_field_name is not None
        return JsonElements(self.columns.document.array(*place_of(binding), name_of(binding.sub_field_name)))


class _ElementCompiler(FilterVisitor[sa.ColumnElement[bool]]):
    """Compiles the filter of a value path: each term is about one and the same element."""

    def __init__(self, element: Element, elements: Elements) -> None:
        self.element = element
        self.elements = elements

    def visit_not(self, node: Not) -> sa.ColumnElement[bool]:
        return sa.not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> sa.ColumnElement[bool]:
        joined = sa.and_ if node.op == LogicalOperator.and_ else sa.or_
        return joined(*(self.visit(term) for term in node.terms))

    def visit_comparison(self, node: Comparison) -> sa.ColumnElement[bool]:
        found = self._operand(node.attr_path)
        return NEVER if found is None else compare(found[0], found[1], node)

    def visit_present(self, node: Present) -> sa.ColumnElement[bool]:
        found = self._operand(node.attr_path)
        return NEVER if found is None else is_present(*found)

    def visit_value_path(self, node: ValuePath) -> sa.ColumnElement[bool]:
        return NEVER

    def _operand(self, attr_path: AttrPath) -> tuple[sa.ColumnElement[Any], AttributeBinding] | None:
        binding = self.element.binding_of(attr_path)
        if binding is None:
            return None
        member = name_of(binding.sub_field_name) if binding.sub_field_name else None
        return self.elements.column(member, binding), binding


def _any_or_none(
    elements: Elements, member: str | None, binding: AttributeBinding, node: Comparison
) -> sa.ColumnElement[bool]:
    """A multi-valued attribute matches by any value; ``ne`` holds when no value is equal.

    Without any value the attribute is unassigned, which equals null and nothing else.
    """
    column = elements.column(member, binding)
    if node.op == CompareOperator.ne:
        equal = Comparison(attr_path=node.attr_path, op=CompareOperator.eq, value=node.value)
        none_equal = sa.not_(elements.any(compare(column, binding, equal)))
        return none_equal if node.value is not None else sa.and_(elements.any(sa.true()), none_equal)
    matching = elements.any(compare(column, binding, node))
    if node.op == CompareOperator.eq and node.value is None:
        return sa.or_(matching, sa.not_(elements.any(sa.true())))
    return matching


def _element_present(elements: Elements, binding: AttributeBinding) -> sa.ColumnElement[bool]:
    of_values = complex_model(binding.target_type)
    if binding.sub_field_name is not None:
        return is_present(elements.column(name_of(binding.sub_field_name), binding), binding)
    if of_values is None:
        return is_present(elements.column(None, binding), binding)
    return elements.nonempty([name_of(field) for field in of_values.model_fields])


def _too_many() -> InvalidFilterException:
    return InvalidFilterException(
        detail=f"A filter has at most {MOST_COMPARISONS} comparisons; one with a user's groups counts for "
        f"{_OF_GROUPS}, and pr of a complex attribute for each sub-attribute. Search several times."
    )
