"""Reading JSON columns in SQL: the places where SQLite and PostgreSQL differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, array

from app.store.tables import Json


@dataclass(frozen=True)
class JsonArray:
    """The elements of a JSON array as rows: a FROM clause, and a column for their order."""

    rows: sa.TableValuedAlias
    postgresql: bool

    @property
    def position(self) -> sa.ColumnElement[int]:
        """Where an element stands in the array."""
        return self.rows.c.key

    def text(self, member: str | None) -> sa.ColumnElement[Any]:
        """Return a member of an element as text, or the element itself."""
        if self.postgresql:
            path = [] if member is None else [member]
            return in_code_point_order(self.rows.c.value.op("#>>")(_path(path)), postgresql=True)
        return self._sqlite(member)

    def number(self, member: str | None) -> sa.ColumnElement[Any]:
        """Return a member of an element as a number, or the element itself."""
        if self.postgresql:
            path = [] if member is None else [member]
            return sa.cast(self.rows.c.value.op("#>>")(_path(path)), sa.Numeric)
        return self._sqlite(member)

    def _sqlite(self, member: str | None) -> sa.ColumnElement[Any]:
        if member is None:
            return self.rows.c.value
        return sa.func.json_extract(self.rows.c.value, f'$."{member}"')


@dataclass(frozen=True)
class JsonColumn:
    """A JSON column of names to values, of either database.

    Names come from schemas, never from a client.
    """

    column: sa.ColumnElement[Any]
    postgresql: bool

    def text(self, *path: str) -> sa.ColumnElement[Any]:
        """Return the text at a path; null where there is none."""
        if self.postgresql:
            return in_code_point_order(self.column.op("#>>")(_path(path)), postgresql=True)
        return sa.func.json_extract(self.column, _sqlite_path(path))

    def number(self, *path: str) -> sa.ColumnElement[Any]:
        """Return the number at a path; null where there is none."""
        if self.postgresql:
            return sa.cast(self.column.op("#>>")(_path(path)), sa.Numeric)
        return sa.func.json_extract(self.column, _sqlite_path(path))

    def array(self, *path: str) -> JsonArray:
        """Return the elements of the array at a path; none where there is no array."""
        if self.postgresql:
            elements = sa.func.jsonb_array_elements(self.column.op("#>")(_path(path)), type_=JSONB)
            valued = elements.table_valued(sa.column("value", JSONB), with_ordinality="key")
            rows = valued.render_derived(name="element")
        else:
            rows = sa.func.json_each(self.column, _sqlite_path(path)).table_valued(
                "value", "key", name="element"
            )
        return JsonArray(rows, self.postgresql)


def json_of(members: Mapping[str, sa.ColumnElement[Any]], *, postgresql: bool) -> sa.ColumnElement[Any]:
    """Return a JSON object of columns by their names."""
    pairs = [part for name, value in members.items() for part in (sa.literal(name, sa.Text()), value)]
    made = sa.func.jsonb_build_object(*pairs) if postgresql else sa.func.json_object(*pairs)
    return sa.type_coerce(made, Json)


def in_code_point_order(text: sa.ColumnElement[Any], *, postgresql: bool) -> sa.ColumnElement[Any]:
    """Return a text that compares by code point, as SQLite's does by itself."""
    return sa.cast(text, sa.Text).collate("C") if postgresql else text


def _path(path: tuple[str, ...] | list[str]) -> sa.ColumnElement[Any]:
    return sa.cast(array(list(path)), sa.ARRAY(sa.Text)) if path else sa.literal_column("'{}'::text[]")


def _sqlite_path(path: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{name}"' for name in path)
