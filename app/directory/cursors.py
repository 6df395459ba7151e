"""Pages of a search that stay where they are while others write (RFC 9865).

A page begins after a resource, or ends before one, and never at a number: the position of a page holds what
that resource was sorted by, and its id. So a resource that exists throughout, and keeps what it is sorted by,
is on exactly one page; and a page deep in the list costs what the first does where an index has the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

import sqlalchemy as sa

from app.directory.errors import PositionUnreadable
from app.directory.resources import StoredResource, among, count, stored_of
from app.directory.sorting import CREATION, SortTerm
from app.store.tables import resource
from app.store.unit_of_work import Unit

Direction = Literal["next", "previous"]

_DIRECTION: Final = "d"
_VALUES: Final = "v"
_DECIMAL: Final = "decimal"


@dataclass(frozen=True)
class CursorPage:
    """A page of resources, how many there are in all, and the positions of the pages beside it.

    A position is a value that JSON can hold; it is None where there is no such page.
    """

    total: int
    resources: list[StoredResource]
    next: dict[str, Any] | None = None
    previous: dict[str, Any] | None = None


def find_by_cursor(
    unit: Unit,
    condition: sa.ColumnElement[bool],
    *,
    terms: Sequence[SortTerm],
    position: Any,
    limit: int | None,
    rows: sa.FromClause = resource,
) -> CursorPage:
    """Return a page of the tenant's resources that meet a condition.

    :param terms: the order, as :func:`~app.directory.sorting.sort_terms` returns it.
    :param position: what an earlier page gave; None for the first page.
    :param limit: how many resources the page holds at most; None for all.
    :param rows: where the resources are: what has the columns of ``resource``.
    :raises PositionUnreadable: when the position is not one of this order.
    """
    anchor = None if position is None else read_position(position, terms)
    wanted = sa.and_(resource.c.tenant_id == unit.tenant_id, condition)
    total = count(unit, wanted, rows)
    if limit == 0 or total == 0:
        return CursorPage(total, [])
    backwards = anchor is not None and anchor[0] == "previous"
    in_range = wanted if anchor is None else sa.and_(wanted, is_beyond(terms, anchor[1], backwards=backwards))
    columns = [term.value.label(f"sorted_by_{number}") for number, term in enumerate(terms)]
    statement = sa.select(resource, *columns).where(in_range).order_by(*order_by(terms, backwards=backwards))
    # One more than asked for tells whether a page follows.
    found = list(unit.execute(among(rows, statement.limit(None if limit is None else limit + 1))))
    more = limit is not None and len(found) > limit
    found = found[:limit]
    if not found:
        return CursorPage(total, [])
    if backwards:
        found.reverse()

    def beside(row: sa.Row[Any], *, backwards: bool) -> bool:
        beyond = sa.and_(wanted, is_beyond(terms, sorted_values(row, terms), backwards=backwards))
        one = sa.select(sa.literal(1)).select_from(resource).where(beyond).limit(1)
        return unit.execute(among(rows, one)).first() is not None

    first, last = (sorted_values(row, terms) for row in (found[0], found[-1]))
    follows = beside(found[-1], backwards=False) if backwards else more
    precedes = more if backwards else anchor is not None and beside(found[0], backwards=True)
    return CursorPage(
        total,
        [stored_of(row) for row in found],
        next=position_of("next", last) if follows else None,
        previous=position_of("previous", first) if precedes else None,
    )


def order_by(terms: Sequence[SortTerm], *, backwards: bool = False) -> list[sa.ColumnElement[Any]]:
    """Return an order as ``ORDER BY`` takes it, or its reverse."""
    return [SortTerm(term.value, term.descending is not backwards).ordered for term in terms]


def is_beyond(
    terms: Sequence[SortTerm], values: Sequence[Any], *, backwards: bool = False
) -> sa.ColumnElement[bool]:
    """Return whether a row comes after another in an order, or before it.

    :param terms: the order; it ends in the moment of creation and the id.
    :param values: what the other row is sorted by, as :func:`sorted_values` returns it.
    """
    *significant, created_at, resource_id = terms
    place = sa.tuple_(created_at.value, resource_id.value)
    at = sa.tuple_(
        *(sa.literal(value, term.value.type) for term, value in zip(CREATION, values[-2:], strict=True))
    )
    # Compared as one, so that the index which has this order is entered where the page begins.
    beyond: sa.ColumnElement[bool] = place < at if backwards else place > at
    for term, value in reversed(list(zip(significant, values, strict=False))):
        if value is None:
            # The term before it says that it is missing; all that are missing are equal.
            beyond = sa.and_(term.value.is_(None), beyond)
            continue
        past = term.value < value if term.descending is not backwards else term.value > value
        beyond = sa.or_(past, sa.and_(term.value == value, beyond))
    return beyond


def sorted_values(row: sa.Row[Any], terms: Sequence[SortTerm]) -> list[Any]:
    """Return what a row is sorted by: its last columns, one for each term."""
    return list(row[-len(terms) :])


def position_of(direction: Direction, values: Sequence[Any]) -> dict[str, Any]:
    """Return the position of the page beside a row, as a value that JSON can hold."""
    return {_DIRECTION: direction, _VALUES: [_written(value) for value in values]}


def _written(value: Any) -> Any:
    return {_DECIMAL: str(value)} if isinstance(value, Decimal) else value


def read_position(position: Any, terms: Sequence[SortTerm]) -> tuple[Direction, list[Any]]:
    """Return the direction of a position, and what the row beside the page is sorted by.

    :raises PositionUnreadable: when it is not one of this order.
    """
    match position:
        case {"d": "next" | "previous" as direction, "v": [*written]} if len(written) == len(terms):
            return direction, [_value(each) for each in written]
    raise PositionUnreadable("the position is not one of this order")


def _value(written: Any) -> Any:
    match written:
        case {"decimal": str(digits)}:
            try:
                return Decimal(digits)
            except InvalidOperation:
                raise PositionUnreadable("the position holds a number that is none") from None
        case None | str() | int() | float():
            return written
    raise PositionUnreadable("the position holds what nothing is sorted by")
