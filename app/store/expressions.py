"""SQL that SQLite and PostgreSQL spell differently."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import ReturnTypeFromArgs


class greatest(ReturnTypeFromArgs[Any]):  # noqa: N801 - named as the SQL function
    """The largest of its arguments."""

    inherit_cache = True


class least(ReturnTypeFromArgs[Any]):  # noqa: N801 - named as the SQL function
    """The smallest of its arguments."""

    inherit_cache = True


@compiles(greatest, "sqlite")
def _greatest_sqlite(element: greatest, compiler: Any, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(least, "sqlite")
def _least_sqlite(element: least, compiler: Any, **options: Any) -> str:
    return f"min({compiler.process(element.clauses, **options)})"


def later(first: sa.ColumnElement[int], second: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the later of two times."""
    return greatest(first, second)


def earlier(first: sa.ColumnElement[int], second: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Return the earlier of two times."""
    return least(first, second)
