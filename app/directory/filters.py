"""SCIM filters as SQL (RFC 7644 §3.4.2.2), with the meaning that ``ScimFilter.match`` gives them."""

from __future__ import annotations

from inspect import isclass
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import BaseModel, InvalidFilterException, Resource, ScimFilter
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

from app.directory.columns import Columns
from app.directory.comparable import (
    compared,
    is_hidden,
    is_numeric,
    match_key,
    matched_attribute,
    name_of,
    place_of,
)
from app.directory.elements import ConstantElements, Elements, GroupElements, JsonElements, MemberElements
from app.directory.operands import compare, incomparable, is_present, refuse_unstorable
from app.directory.views import BoundView
from app.store.tables import attribute_value, resource
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
        match waiting.pop():
            case Not(expr=inner) | ValuePath(val_filter=inner):
                waiting.append(inner)
            case LogicalExpr(terms=terms):
                waiting.extend(terms)
            case _:
                count += 1
    return count


class _Compiler(FilterVisitor[sa.ColumnElement[bool]]):
    """Compiles the nodes of a filter that stand for themselves, not inside a value path."""

    def __init__(self, bound: ScimFilter[Any], unit: Unit, type_name: str, columns: Columns) -> None:
        self.bound = bound
        self.unit = unit
        self.type_name = type_name
        self.columns = columns
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
        binding = _searchable(self.columns.stored(binding))
        if (indexed := self._by_index(binding, node)) is not None:
            return indexed
        if _complex(binding.target_type) is not None:
            return self._compare_complex(binding, node)
        if _is_nested_list(binding):
            raise _list_in_a_list(binding)
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
        inner = _ElementCompiler(self.bound, node.attr_path, binding, elements)
        self._weigh(count_comparisons(node.val_filter))
        found = elements.any(inner.visit(node.val_filter))
        # An entry must have the value, so the index can name the few resources that may be meant.
        indexed = [
            condition
            for term in _conjuncts(node.val_filter)
            if isinstance(term, Comparison) and (operand := inner.binding_of(term.attr_path)) is not None
            if (condition := self._by_index(operand, term)) is not None
        ]
        return sa.and_(*indexed, found)

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
        complex_model = _complex(binding.target_type)
        if binding.is_multivalued:
            self._weigh(len(complex_model.model_fields) if complex_model else 1)
            elements = self._elements(binding)
            return elements.any(_element_present(elements, binding))
        if complex_model is None:
            self._weigh(1)
        if binding.target_is_multivalued:
            sub_elements = self._sub_elements(binding)
            return sub_elements.any(is_present(sub_elements.column(None, binding), binding))
        if complex_model is None:
            return is_present(self.columns.single(_searchable(self.columns.stored(binding))), binding)
        subs = (AttrPath(attr_path.attr, field, attr_path.uri) for field in complex_model.model_fields)
        return sa.or_(
            NEVER,
            *(
                self._present(sub, sub_path)
                for sub_path in subs
                if (sub := self.bound.resolve(sub_path, strict=False)) is not None
            ),
        )

    def _by_index(self, binding: AttributeBinding, node: Comparison) -> sa.ColumnElement[bool] | None:
        attribute = matched_attribute(binding) if self.columns.is_indexed(binding) else None
        if attribute is None or node.op != CompareOperator.eq or not isinstance(node.value, str):
            return None
        if is_numeric(binding):
            return None
        refuse_unstorable(node.value)
        try:
            value = compared(binding, node.value)
        except ValueError:
            return NEVER
        return resource.c.id.in_(
            sa.select(attribute_value.c.resource_id).where(
                attribute_value.c.tenant_id == self.unit.tenant_id,
                attribute_value.c.attribute == attribute,
                attribute_value.c.value == match_key(str(value)),
            )
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

    def __init__(
        self, bound: ScimFilter[Any], head: AttrPath, head_binding: AttributeBinding, elements: Elements
    ) -> None:
        self.bound = bound
        self.head = head
        self.head_binding = head_binding
        self.elements = elements
        self.is_complex = _complex(head_binding.field_type) is not None

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

    def binding_of(self, attr_path: AttrPath) -> AttributeBinding | None:
        """Return what a path inside the brackets is about; None when an element has no such attribute."""
        if attr_path.sub_attr is not None or attr_path.uri is not None:
            return None
        if not self.is_complex:
            # A list of plain values: "value" stands for the element itself.
            return self.head_binding if attr_path.attr.lower() == "value" else None
        inner = self.bound.resolve(AttrPath(self.head.attr, attr_path.attr, self.head.uri), strict=False)
        if inner is not None and _is_nested_list(inner):
            raise _list_in_a_list(inner)
        return None if inner is None else _searchable(inner)

    def _operand(self, attr_path: AttrPath) -> tuple[sa.ColumnElement[Any], AttributeBinding] | None:
        binding = self.binding_of(attr_path)
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
    complex_model = _complex(binding.target_type)
    if binding.sub_field_name is not None:
        return is_present(elements.column(name_of(binding.sub_field_name), binding), binding)
    if complex_model is None:
        return is_present(elements.column(None, binding), binding)
    return elements.nonempty([name_of(field) for field in complex_model.model_fields])


def _searchable(binding: AttributeBinding) -> AttributeBinding:
    if is_hidden(binding):
        raise InvalidFilterException(detail=f"{binding.urn} cannot be filtered by")
    return binding


def _complex(target: Any) -> type[BaseModel] | None:
    return target if isclass(target) and issubclass(target, BaseModel) else None


def _is_nested_list(binding: AttributeBinding) -> bool:
    """Whether each element of a list has a list of its own here."""
    return bool(binding.is_multivalued and binding.sub_field_name and binding.target_is_multivalued)


def _too_many() -> InvalidFilterException:
    return InvalidFilterException(
        detail=f"A filter has at most {MOST_COMPARISONS} comparisons; one with a user's groups counts for "
        f"{_OF_GROUPS}, and pr of a complex attribute for each sub-attribute. Search several times."
    )


def _list_in_a_list(binding: AttributeBinding) -> InvalidFilterException:
    return InvalidFilterException(detail=f"{binding.urn} cannot be compared: it is a list in each of a list")


def _conjuncts(node: FilterNode) -> tuple[FilterNode, ...]:
    return node.terms if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_ else (node,)
