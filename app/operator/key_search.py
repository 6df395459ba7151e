"""Searching keys: filters, order and pages, exact also where the filter tells of a key's state.

No index knows the state of a key, as it follows from the directory. So a filter that tells of it is compiled
for a key of each state; each key that meets it in a state in which it may be is looked at, and counts when it
is in such a state. That costs what the looked-at keys cost: a page by cursor looks at a bounded number, and a
page by number, which needs all to count them, is given up when it takes too long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import isclass
from time import monotonic
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import BaseModel, InvalidPathException, ScimFilter
from scim2_models.path import AttributeBinding

from app.directory.comparable import is_numeric
from app.directory.cursors import is_beyond, order_by, position_of, read_position, sorted_values
from app.directory.filters import compile_filter
from app.directory.sorting import LONGEST_SORTED, SortTerm, terms_of
from app.operator.consumers import find_consumer
from app.operator.errors import ConsumerUnknown, SearchTooLong
from app.operator.key_columns import DERIVED, KEYS, KeyColumns, may_stand_in
from app.operator.key_schema import KeyResource
from app.operator.keys import KeyView, views_of
from app.operator.pages import Page, Window
from app.rights.standing import KeyState, standings
from app.store.tables import entitlement, key, key_entitlement
from app.store.time_limit import TookTooLong, time_limit
from app.store.unit_of_work import Unit

LONGEST_SEARCH: Final = 20
"""For how many seconds one search may go on."""

MOST_LOOKED_AT: Final = 10_000
"""At how many keys one page by cursor looks; it may then hold fewer than were asked for, or none."""

_BATCH: Final = 1000

CREATION: Final = (SortTerm(key.c.issued_at), SortTerm(key.c.id))


@dataclass(frozen=True)
class KeyFilter:
    """Which keys: of a consumer (id or userName), in a state, for an entitlement (id or value).

    ``said``: a SCIM filter that they must meet besides (RFC 7644 §3.4.2.2).
    """

    consumer: str | None = None
    state: KeyState | None = None
    entitlement: str | None = None
    said: ScimFilter[Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class KeyPage:
    """A page by cursor. ``total`` is None where only looking at every key could tell it.

    ``next``: the position of the next page, which JSON can hold; None when this is the last.
    """

    total: int | None
    items: tuple[KeyView, ...]
    next: dict[str, Any] | None


@dataclass(frozen=True)
class _Search:
    """``states``: for each state that may be meant, what the columns must say for a key that is in it.

    ``rows``: those that the condition is about.
    """

    rows: sa.FromClause

    condition: sa.ColumnElement[bool]
    states: Mapping[KeyState, sa.ColumnElement[bool]] | None
    terms: Sequence[SortTerm]

    @property
    def statement(self) -> sa.Select[Any]:
        """The keys to look at, in order; the last columns are what they are sorted by."""
        flags = (
            []
            if self.states is None
            else [
                sa.case((condition, 1), else_=0).label(f"as_{state}")
                for state, condition in self.states.items()
            ]
        )
        values = [term.value.label(f"sorted_by_{number}") for number, term in enumerate(self.terms)]
        return (
            sa.select(key.c.id.label("key_id"), key.c.revoked_at.is_not(None).label("ended"), *flags, *values)
            .select_from(KEYS)
            .where(self.condition)
            .order_by(*order_by(self.terms))
        )


def find_keys(
    unit: Unit,
    window: Window,
    wanted: KeyFilter = KeyFilter(),
    *,
    sort_by: AttributeBinding | None = None,
    descending: bool = False,
) -> Page[KeyView]:
    """Return a page of the tenant's keys, oldest first unless another order is asked for.

    :raises InvalidFilterException: when the filter cannot be evaluated.
    :raises InvalidPathException: when nothing can be sorted by the attribute.
    :raises SearchTooLong: when it takes longer than :data:`LONGEST_SEARCH`.
    """
    search = _search(unit, wanted, sort_by, descending)
    if search is None:
        return Page(0, window.start, ())
    with _bounded(unit) as until:
        if search.states is None:
            total = _count(unit, search)
            some = search.statement.limit(window.count).offset(window.offset)
            ids = [row.key_id for row in unit.execute(some)]
        else:
            every = [row.key_id for row, meets in _judged(unit, search, search.statement, until) if meets]
            total, ids = len(every), every[window.offset : window.offset + window.count]
        return Page(total, window.start, tuple(views_of(unit, ids)))


def find_keys_by_cursor(
    unit: Unit,
    position: Any,
    count: int,
    wanted: KeyFilter = KeyFilter(),
    *,
    sort_by: AttributeBinding | None = None,
    descending: bool = False,
) -> KeyPage:
    """Return the page of keys at a position (RFC 9865); they are where they are while others write.

    :param position: what the page before gave; None for the first page.
    :raises PositionUnreadable: when the position is not one of this order.
    :raises InvalidFilterException: when the filter cannot be evaluated.
    :raises InvalidPathException: when nothing can be sorted by the attribute.
    :raises SearchTooLong: when it takes longer than :data:`LONGEST_SEARCH`.
    """
    search = _search(unit, wanted, sort_by, descending)
    if search is None:
        return KeyPage(0, (), None)
    with _bounded(unit) as until:
        total = _count(unit, search) if search.states is None else None
        statement = search.statement
        if position is not None:
            _, values = read_position(position, search.terms)
            statement = statement.where(is_beyond(search.terms, values))
        found: list[str] = []
        reached: sa.Row[Any] | None = None
        looked_at, more = 0, False
        most = count + 1 if search.states is None else MOST_LOOKED_AT
        for row, meets in _judged(unit, search, statement.limit(most), until) if count else ():
            looked_at += 1
            if meets and len(found) == count:
                more = True
                break
            reached = row
            if meets:
                found.append(row.key_id)
        more = more or (search.states is not None and looked_at == MOST_LOOKED_AT)
        after = None
        if more and reached is not None:
            after = position_of("next", sorted_values(reached, search.terms))
        return KeyPage(total, tuple(views_of(unit, found)), after)


@contextmanager
def _bounded(unit: Unit) -> Iterator[float]:
    """The time that one search has; yields the end of it, as ``monotonic`` counts."""
    try:
        with time_limit(unit.connection, LONGEST_SEARCH):
            yield monotonic() + LONGEST_SEARCH
    except TookTooLong:
        raise _too_long() from None


def _too_long() -> SearchTooLong:
    return SearchTooLong(
        f"the search took more than {LONGEST_SEARCH} seconds: name a consumer or an entitlement, or ask page "
        "by page with a cursor"
    )


def _judged(
    unit: Unit, search: _Search, statement: sa.Select[Any], until: float
) -> Iterator[tuple[sa.Row[Any], bool]]:
    """Yield the rows of a statement, each with whether its key is in a state in which it is meant."""
    for rows in unit.execute(statement).partitions(_BATCH):
        if search.states is None:
            yield from ((row, True) for row in rows)
            continue
        if monotonic() > until:
            raise _too_long()
        # A key that was revoked is revoked; only of the others it is not known.
        alive = [row.key_id for row in rows if not row.ended]
        standing = standings(unit, key.c.id.in_(alive)) if alive else {}
        for row in rows:
            state = KeyState.revoked if row.ended else standing[row.key_id].state
            yield row, bool(row._mapping.get(f"as_{state}"))


def _count(unit: Unit, search: _Search) -> int:
    counted = sa.select(sa.func.count()).select_from(search.rows).where(search.condition)
    found: int = unit.execute(counted).scalar_one()
    return found


def _search(
    unit: Unit, wanted: KeyFilter, sort_by: AttributeBinding | None, descending: bool
) -> _Search | None:
    """Return a search as SQL; None when nothing can meet it."""
    terms = _terms(unit, sort_by, descending)
    condition = key.c.tenant_id == unit.tenant_id
    if wanted.consumer is not None:
        try:
            condition &= key.c.consumer_id == find_consumer(unit, wanted.consumer).id
        except ConsumerUnknown:
            return None
    if wanted.entitlement is not None:
        condition &= key.c.id.in_(_issued_for(unit, wanted.entitlement))
    # A join with every consumer costs more than it tells where no filter asks for it.
    rows = key if wanted.said is None else KEYS
    told, as_states = wanted.state is not None, {}
    for state in KeyState if wanted.state is None else (wanted.state,):
        columns = KeyColumns(unit, state)
        meets = sa.true() if wanted.said is None else _compiled(unit, wanted.said, columns)
        told = told or columns.told
        if not told:
            return _Search(rows, condition & meets, None, terms)
        as_states[state] = may_stand_in(unit, state) & meets
    return _Search(rows, condition & sa.or_(*as_states.values()), as_states, terms)


def _compiled(unit: Unit, said: ScimFilter[Any], columns: KeyColumns) -> sa.ColumnElement[bool]:
    return compile_filter(said, unit=unit, model=KeyResource, type_name="Key", columns=columns)


def _issued_for(unit: Unit, id_or_value: str) -> sa.Select[Any]:
    called = sa.select(entitlement.c.id).where(
        entitlement.c.tenant_id == unit.tenant_id, entitlement.c.value == id_or_value
    )
    return sa.select(key_entitlement.c.key_id).where(
        sa.or_(key_entitlement.c.entitlement_id == id_or_value, key_entitlement.c.entitlement_id.in_(called))
    )


def _terms(unit: Unit, sort_by: AttributeBinding | None, descending: bool) -> list[SortTerm]:
    if sort_by is None:
        return list(CREATION)
    simple = not sort_by.is_multivalued and not _is_complex(sort_by)
    if sort_by.field_name in DERIVED or not simple:
        raise InvalidPathException(path=sort_by.urn, detail=f"{sort_by.urn} cannot be sorted by")
    value = KeyColumns(unit, KeyState.issued).single(sort_by)
    if not is_numeric(sort_by):
        value = sa.func.substr(value, 1, LONGEST_SORTED, type_=value.type)
    return [*terms_of(value, descending=descending), *CREATION]


def _is_complex(binding: AttributeBinding) -> bool:
    target = binding.target_type
    return isclass(target) and issubclass(target, BaseModel)
