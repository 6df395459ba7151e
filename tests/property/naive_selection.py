"""The filter of a PATCH path as a person reads it: which elements of a list it selects (RFC 7644 §3.5.2)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Chooses = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Selection:
    """A filter by its text; ``chooses`` is None when it must be refused."""

    text: str
    chooses: Chooses | None

    def in_brackets(self) -> Selection:
        return Selection(f"[{self.text}]", self.chooses)


def refused(text: str) -> Selection:
    """Return a filter that nobody can follow."""
    return Selection(text, None)


def compares(
    written: str, operator: str, operand: str | bool, *, sub: str | None = None, exact: bool = True
) -> Selection:
    """Return a comparison of a sub-attribute, which may be written in other letter case."""

    def chooses(element: dict[str, Any]) -> bool:
        found = element.get(sub or written)
        if found is None:
            return operator.lower() == "ne"
        left, right = (_folded(each, exact) for each in (found, operand))
        match operator.lower():
            case "eq":
                return bool(left == right)
            case "ne":
                return bool(left != right)
            case "co":
                return right in left
            case "sw":
                return bool(left.startswith(right))
            case "ew":
                return bool(left.endswith(right))
            case "gt":
                return bool(left > right)
            case _:
                return bool(left <= right)

    return Selection(f"{written} {operator} {json.dumps(operand, ensure_ascii=False)}", chooses)


def is_present(written: str, sub: str) -> Selection:
    return Selection(f"{written} pr", lambda element: element.get(sub) not in (None, ""))


def either(terms: Sequence[Selection]) -> Selection:
    return Selection(
        " or ".join(f"({each.text})" for each in terms),
        lambda element: any(each.chooses is not None and each.chooses(element) for each in terms),
    )


def both(terms: Sequence[Selection]) -> Selection:
    return Selection(
        " and ".join(f"({each.text})" for each in terms),
        lambda element: all(each.chooses is not None and each.chooses(element) for each in terms),
    )


def negated(term: Selection) -> Selection:
    return Selection(
        f"not ({term.text})", lambda element: not (term.chooses is not None and term.chooses(element))
    )


def _folded(value: Any, exact: bool) -> Any:
    return value.casefold() if isinstance(value, str) and not exact else value
