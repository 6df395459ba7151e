"""One comparison of one column, with the meaning that ``scim2-models`` gives it; never null."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import InvalidFilterException
from scim2_models.path import AttributeBinding, CompareOperator, Comparison
from scim2_models.path.expressions import STRING_OPERATORS
from scim2_models.path.resolution import coerce_value

from app.directory.comparable import compared, is_numeric

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def compare(
    column: sa.ColumnElement[Any], binding: AttributeBinding, node: Comparison
) -> sa.ColumnElement[bool]:
    """Return whether a column's value compares as a filter says; an unassigned one is equal to null alone.

    :raises InvalidFilterException: when the filter's value is no value of the attribute, or holds a character
        that no stored value can hold.
    """
    operator = node.op
    if node.value is None:
        if operator == CompareOperator.eq:
            return column.is_(None)
        return column.is_not(None) if operator == CompareOperator.ne else sa.false()
    value = _operand(binding, node)
    if value is None:
        return incomparable(operator)
    if operator == CompareOperator.ne:
        return sa.func.coalesce(column != value, sa.true())
    return sa.func.coalesce(_holds(operator, column, value), sa.false())


def incomparable(operator: CompareOperator) -> sa.ColumnElement[bool]:
    """Return what a comparison of two values that have no order and are never equal gives."""
    return sa.true() if operator == CompareOperator.ne else sa.false()


def refuse_unstorable(value: Any) -> None:
    """Refuse U+0000 and halves of surrogate pairs: no stored value holds them, and no database takes them.

    :raises InvalidFilterException: when a filter's value holds one.
    """
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise InvalidFilterException(detail="The filter's value holds U+0000 or half a surrogate pair")


def is_present(column: sa.ColumnElement[Any], binding: AttributeBinding) -> sa.ColumnElement[bool]:
    """Return whether a column holds a value; an empty string is none (RFC 7644 §3.4.2.2)."""
    if is_numeric(binding):
        return column.is_not(None)
    return sa.func.coalesce(column != "", sa.false())


def _operand(binding: AttributeBinding, node: Comparison) -> sa.ColumnElement[Any] | None:
    """The value that a filter compares with, or None when no value of the attribute compares with it."""
    refuse_unstorable(node.value)
    expected = coerce_value(binding, node.value, node.op)
    if isinstance(expected, datetime) and expected.tzinfo is None:
        # A time without its zone is no moment: it is neither before nor after one that has a zone.
        return None
    try:
        operand = compared(binding, expected)
    except ValueError:
        # A string that cannot be prepared is equal to no other.
        return None
    if isinstance(operand, str) is is_numeric(binding):
        return None
    if isinstance(operand, str):
        return sa.literal(operand, sa.Text())
    if node.op in STRING_OPERATORS:
        return None
    if isinstance(operand, int) and abs(operand) < 2**63:
        return sa.literal(operand, sa.BigInteger())
    return sa.literal(_as_float(operand), sa.Double())


def _as_float(number: Any) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _holds(
    operator: CompareOperator, column: sa.ColumnElement[Any], value: sa.ColumnElement[Any]
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
        case CompareOperator.sw:
            return sa.func.substr(column, 1, sa.func.length(value)) == value
        case CompareOperator.ew:
            # Of a column shorter than the value no more than itself is left, which is not equal either.
            return sa.func.substr(column, sa.func.length(column) - sa.func.length(value) + 1) == value
        case _:
            # Without its own text nothing of the column is left to be replaced: found, without wildcards.
            contained = sa.or_(value == "", sa.func.replace(column, value, "") != column)
            return sa.and_(column.is_not(None), contained)
