"""One comparison of one column, with the meaning that ``scim2-models`` gives it; never null."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from scim2_models.path import AttributeBinding, CompareOperator, Comparison
from scim2_models.path.resolution import coerce_value

from app.directory.comparable import compared, is_numeric


def compare(
    column: sa.ColumnElement[Any], binding: AttributeBinding, node: Comparison
) -> sa.ColumnElement[bool]:
    """Return whether a column's value compares as a filter says; an unassigned one is equal to null alone."""
    operator = node.op
    if node.value is None:
        if operator == CompareOperator.eq:
            return column.is_(None)
        return column.is_not(None) if operator == CompareOperator.ne else sa.false()
    try:
        operand = compared(binding, coerce_value(binding, node.value, operator))
    except ValueError:
        # A string that cannot be prepared is equal to no other.
        return sa.true() if operator == CompareOperator.ne else sa.false()
    if isinstance(operand, str) is is_numeric(binding):
        return sa.true() if operator == CompareOperator.ne else sa.false()
    value = sa.literal(operand, sa.Text() if isinstance(operand, str) else sa.Numeric(asdecimal=False))
    if isinstance(operand, int):
        value = sa.literal(operand, sa.BigInteger)
    if operator == CompareOperator.ne:
        return sa.func.coalesce(column != value, sa.true())
    return sa.func.coalesce(_holds(operator, column, value, operand), sa.false())


def is_present(column: sa.ColumnElement[Any], binding: AttributeBinding) -> sa.ColumnElement[bool]:
    """Return whether a column holds a value; an empty string is none (RFC 7644 §3.4.2.2)."""
    if is_numeric(binding):
        return column.is_not(None)
    return sa.func.coalesce(column != "", sa.false())


def _holds(
    operator: CompareOperator, column: sa.ColumnElement[Any], value: sa.ColumnElement[Any], operand: Any
) -> sa.ColumnElement[bool]:
    match operator:
        case CompareOperator.eq:
            return column == value
        case CompareOperator.gt:
            return column > value
        case CompareOperator.ge:
            return column >= value
        case CompareOperator.lt:
            return column < value
        case CompareOperator.le:
            return column <= value
    if not isinstance(operand, str):
        return sa.false()
    length = len(operand)
    match operator:
        case CompareOperator.sw:
            return sa.func.substr(column, 1, length) == value
        case CompareOperator.ew:
            tail = sa.func.substr(column, sa.func.length(column) - length + 1)
            return sa.and_(sa.func.length(column) >= length, tail == value)
        case _:
            # Without its own text nothing of the column is left to be replaced: found, without wildcards.
            return sa.or_(sa.literal(length == 0), sa.func.replace(column, value, "") != column)
