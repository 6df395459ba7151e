"""Conditions on what the asking application says of a resource and an action: ``resource.status=active``.

Only the application knows such properties, so only faces that carry them can meet the condition.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.rights.conditions.invalid import ConditionInvalid

_FORM = re.compile(r"((?:resource|action)\.[^\s=!]+)(!?=)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PropertyCondition:
    """The property of this name has this value; ``excluded``: it has not."""

    name: str
    value: str
    excluded: bool


@lru_cache(maxsize=4096)
def parse_property(text: str) -> PropertyCondition:
    """Return the condition that a text states, as ``resource.<name>=<value>`` or ``action.<name>!=<value>``.

    :raises ConditionInvalid: when it states none.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ConditionInvalid(
            f"{text[:60]!r} is none: write resource.<name>=<value> or action.<name>!=<value>"
        )
    return PropertyCondition(found[1], found[3], found[2] == "!=")


def properties_allowed(conditions: Sequence[str], stated: Mapping[str, Any] | None) -> bool:
    """Return whether what is stated meets all of some conditions.

    Conditions ``=`` on one property are alternatives. A property that is not stated has no value: it meets no
    ``=`` and every ``!=``. Nothing meets a condition that cannot be read.

    :param stated: the properties by name, such as ``resource.status``; None where nobody could state any.
    """
    if stated is None:
        return False
    try:
        parsed = [parse_property(each) for each in conditions]
    except ConditionInvalid:
        return False
    wanted: dict[str, set[str]] = defaultdict(set)
    for each in parsed:
        if not each.excluded:
            wanted[each.name].add(each.value)
        elif each.name in stated:
            texts = _texts(stated[each.name])
            if texts is None or each.value in texts:
                return False
    return all(name in stated and values & (_texts(stated[name]) or set()) for name, values in wanted.items())


def demanded(conditions: Sequence[str], entity: str) -> dict[str, list[str]]:
    """Return the values that conditions allow the properties of an entity to have, by the property's name.

    :param entity: ``resource`` or ``action``.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for text in conditions:
        try:
            condition = parse_property(text)
        except ConditionInvalid:
            continue
        of, _, name = condition.name.partition(".")
        if of == entity and not condition.excluded:
            found[name].append(condition.value)
    return dict(found)


def _texts(value: Any) -> set[str] | None:
    """Return a JSON value as texts that conditions compare, one for each of a list; None if it has none."""
    if isinstance(value, list):
        each = [_texts(item) for item in value if not isinstance(item, list)]
        if len(each) < len(value) or any(item is None for item in each):
            return None
        return set().union(*(item for item in each if item is not None))
    if isinstance(value, str):
        return {value}
    return {json.dumps(value)} if isinstance(value, bool | int | float) else None
