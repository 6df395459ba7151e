"""Pages of a list, counted as SCIM counts them (RFC 7644 §3.4.2.4): from 1, and no error at either end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

DEFAULT_COUNT: Final = 100
MOST: Final = 1000
"""How many items one page holds at the most."""


@dataclass(frozen=True)
class Window:
    """Which part of a list is asked for: from ``start`` (1 is the first), ``count`` items at the most."""

    start: int = 1
    count: int = DEFAULT_COUNT

    @classmethod
    def of(cls, start: int | None, count: int | None) -> Window:
        """Return the window for what was asked: a start below 1 is 1, a count is between 0 and 1000."""
        return cls(
            max(1, 1 if start is None else start),
            min(max(0, DEFAULT_COUNT if count is None else count), MOST),
        )

    @property
    def offset(self) -> int:
        """How many items come before it."""
        return self.start - 1


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A part of a list that has ``total`` items in all."""

    total: int
    start: int
    items: tuple[Item, ...]
