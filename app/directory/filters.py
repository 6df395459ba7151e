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

from app.directory.comparable import compared, is_numeric, match_key, matched_attribute, name_of, place_of
from app.directory.elements import Elements, GroupElements, JsonElements, MemberElements
from app.directory.operands import compare, is_present
from app.store.json_access import JsonColumn
from app.store.tables import attribute_value, resource
from app.store.unit_of_work import Unit

MOST_COMPARISONS: Final = 200
"""How many comparisons a filter may have."""

NEVER: Final = sa.false()


def compile_filter(
    scim_filter: ScimFilter[Any], *, unit: Unit, model: type[Resource[Any]], type_name: str
) -> sa.ColumnElement[bool]:
    """Return a filter as a condition on the table ``resource``, for the resources of one type.

    An attribute that the type does not declare matches none of them (RFC 7644 §3.4.2.1).

    :raises InvalidFilterException: when the filter has too many comparisons, or compares what SQL cannot.
    """
    bound = ScimFilter[model](str(scim_filter))  # type: ignore[valid-type]
    if _comparisons(bound.ast) > MOST_COMPARISONS:
        raise InvalidFilterException(detail=f"A filter has at most {MOST_COMPARISONS} comparisons")
    return _Compiler(bound, unit, type_name).visit(bound.ast)


def _comparisons(root: FilterNode) -> int:
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

    def __init__(self, bound: ScimFilter[Any], unit: Unit, type_name: str) -> None:
        self.bound = bound
        self.unit = unit
        self.type_name = type_name
        self.postgresql = unit.connection.dialect.name == "postgresql"
        self.document = JsonColumn(resource.c.comparable, self.postgresql)

    def visit_not(self, node: Not) -> sa.ColumnElement[bool]:
        return sa.not_(self.visit(node.expr))

    def visit_logical_expr(self, node: LogicalExpr) -> sa.ColumnElement[bool]:
        joined = sa.and_ if node.op == LogicalOperator.and_ else sa.or_
        return joined(*(self.visit(term) for term in node.terms))

    def visit_comparison(self, node: Comparison) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        if (indexed := self._by_index(binding, node)) is not None:
            return indexed
        column = self._own_column(binding)
        if column is not None:
            return compare(column, binding, node)
        if binding.is_multivalued:
            member = name_of(binding.sub_field_name) if binding.sub_field_name else None
            return _any_or_none(self._elements(binding), member, binding, node)
        if binding.target_is_multivalued:
            return _any_or_none(self._sub_elements(binding), None, binding, node)
        return compare(self._single(binding), binding, node)

    def visit_present(self, node: Present) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        if binding.field_name in ("id", "meta"):
            column = self._own_column(binding)
            return sa.true() if column is None else column.is_not(None)
        if binding.is_multivalued:
            elements = self._elements(binding)
            return elements.any(_element_present(elements, binding))
        if binding.target_is_multivalued:
            return self._sub_elements(binding).any(sa.true())
        complex_model = _complex(binding.target_type)
        if complex_model is None:
            return is_present(self._single(binding), binding)
        subs = [
            self.bound.resolve(AttrPath(node.attr_path.attr, field, node.attr_path.uri), strict=False)
            for field in _sub_names(complex_model)
        ]
        return sa.or_(
            sa.false(),
            *(
                self._sub_elements(sub).any(sa.true())
                if sub.target_is_multivalued
                else is_present(self._single(sub), sub)
                for sub in subs
                if sub is not None
            ),
        )

    def visit_value_path(self, node: ValuePath) -> sa.ColumnElement[bool]:
        binding = self.bound.resolve(node.attr_path, strict=False)
        if binding is None:
            return NEVER
        elements = self._elements(binding)
        inner = _ElementCompiler(self.bound, node.attr_path, binding, elements)
        return elements.any(inner.visit(node.val_filter))

    def _by_index(self, binding: AttributeBinding, node: Comparison) -> sa.ColumnElement[bool] | None:
        attribute = matched_attribute(binding)
        if attribute is None or node.op != CompareOperator.eq or not isinstance(node.value, str):
            return None
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

    def _own_column(self, binding: AttributeBinding) -> sa.ColumnElement[Any] | None:
        """The column of an attribute that the table itself holds."""
        if binding.field_name == "id":
            return resource.c.id
        if binding.field_name != "meta":
            return None
        match binding.sub_field_name:
            case "created":
                return resource.c.created_at
            case "last_modified":
                return resource.c.modified_at
            case "resource_type":
                return sa.literal(compared(binding, self.type_name), sa.Text)
            case "version":
                version = sa.literal('W/"') + sa.cast(resource.c.revision, sa.Text) + sa.literal('"')
                return version if binding.case_exact else sa.func.lower(version)
            case None:
                return None
            case _:
                return sa.null()

    def _single(self, binding: AttributeBinding) -> sa.ColumnElement[Any]:
        path = place_of(binding)
        if binding.sub_field_name is not None:
            path = (*path, name_of(binding.sub_field_name))
        return self.document.number(*path) if is_numeric(binding) else self.document.text(*path)

    def _elements(self, binding: AttributeBinding) -> Elements:
        if binding.field_name == "members":
            return MemberElements(self.unit)
        if binding.field_name == "groups" and self.type_name == "User":
            return GroupElements(self.unit)
        return JsonElements(self.document.array(*place_of(binding)))

    def _sub_elements(self, binding: AttributeBinding) -> Elements:
        assert binding.sub_field_name is not None
        return JsonElements(self.document.array(*place_of(binding), name_of(binding.sub_field_name)))


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

    def _operand(self, attr_path: AttrPath) -> tuple[sa.ColumnElement[Any], AttributeBinding] | None:
        if attr_path.sub_attr is not None or attr_path.uri is not None:
            return None
        if not self.is_complex:
            # A list of plain values: "value" stands for the element itself.
            if attr_path.attr.lower() != "value":
                return None
            return self.elements.column(None, self.head_binding), self.head_binding
        inner = self.bound.resolve(AttrPath(self.head.attr, attr_path.attr, self.head.uri), strict=False)
        if inner is None or inner.sub_field_name is None:
            return None
        return self.elements.column(name_of(inner.sub_field_name), inner), inner


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


def _complex(target: Any) -> type[BaseModel] | None:
    return target if isclass(target) and issubclass(target, BaseModel) else None


def _sub_names(model: type[BaseModel]) -> list[str]:
    return list(model.model_fields)
