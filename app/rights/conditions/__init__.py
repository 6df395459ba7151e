"""What an entitlement's conditions say: read from the text that is stored, once for each text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from app.rights.conditions.invalid import ConditionInvalid
from app.rights.conditions.limits import Quota, Rate, parse_quota, parse_rate
from app.rights.conditions.moments import parse_moment
from app.rights.conditions.networks import Networks, parse_network
from app.rights.conditions.policies import Policy, parse_policy
from app.rights.conditions.properties import parse_property
from app.rights.conditions.windows import Window, parse_window
from app.store.moments import rfc3339

NAMES: Final = (
    "methods",
    "paths",
    "properties",
    "networks",
    "windows",
    "notBefore",
    "notAfter",
    "rate",
    "quota",
    "cedar",
)
"""The conditions that there are, as an entitlement names them."""

LONGEST: Final = 65_536
"""How many characters all conditions of one entitlement may take together."""

MOST_KEPT: Final = 1024

_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What all must be so for a right to allow a call; what is None or empty asks for nothing.

    ``unknown``: one of them is not known here or cannot be read, so nothing can meet them. Moments are in
    microseconds; ``not_after`` is the last one at which the right is in force.
    """

    methods: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    networks: Networks | None = None
    windows: tuple[Window, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
    rate: Rate | None = None
    quota: Quota | None = None
    policy: Policy | None = None
    unknown: bool = False

    @property
    def limited(self) -> bool:
        """Whether uses are counted."""
        return self.rate is not None or self.quota is not None


NONE: Final = Conditions()
"""No conditions: any call meets them."""

_UNKNOWN: Final = Conditions(unknown=True)


def conditions_of(stored: Mapping[str, Any]) -> Conditions:
    """Return what stored conditions say. Never raises: what cannot be read is ``unknown``."""
    if not stored:
        return NONE
    return _kept(json.dumps(stored, sort_keys=True))


@lru_cache(maxsize=MOST_KEPT)
def _kept(text: str) -> Conditions:
    try:
        return parse_conditions(json.loads(text))
    except ConditionInvalid:
        return _UNKNOWN


def parse_conditions(document: Mapping[str, Any]) -> Conditions:
    """Return what conditions say that an entitlement is to have.

    :raises ConditionInvalid: when one is none that is known or cannot be read; the message names it.
    """
    unknown = sorted(document.keys() - set(NAMES))
    if unknown:
        raise ConditionInvalid(f"{unknown[0][:60]} is no condition: there are {', '.join(NAMES)}")
    networks = _each(document, "networks", parse_network)
    conditions = Conditions(
        methods=frozenset(_each(document, "methods", str.upper)),
        paths=_each(document, "paths", str),
        properties=_each(document, "properties", _property),
        networks=Networks(networks) if networks else None,
        windows=_each(document, "windows", parse_window),
        not_before=_one(document, "notBefore", parse_moment),
        not_after=_one(document, "notAfter", parse_moment),
        rate=_one(document, "rate", parse_rate),
        quota=_one(document, "quota", parse_quota),
        policy=_one(document, "cedar", parse_policy),
    )
    begin, end = conditions.not_before, conditions.not_after
    if begin is not None and end is not None and begin > end:
        raise ConditionInvalid("notBefore: it is after notAfter: write an earlier one")
    return conditions


def canonical_conditions(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return conditions as they are stored: each in the one form that says it, and none that says nothing.

    :raises ConditionInvalid: as :func:`parse_conditions` does, and when they are too long.
    """
    said = parse_conditions(document)
    forms: dict[str, Any] = {
        "methods": sorted(said.methods),
        "paths": list(said.paths),
        "properties": list(said.properties),
        "networks": [] if said.networks is None else said.networks.texts(),
        "windows": [str(each) for each in said.windows],
        "notBefore": None if said.not_before is None else _moment(said.not_before),
        "notAfter": None if said.not_after is None else _moment(said.not_after),
        "rate": None if said.rate is None else str(said.rate),
        "quota": None if said.quota is None else str(said.quota),
        "cedar": None if said.policy is None else said.policy.text,
    }
    stored = {name: form for name, form in forms.items() if form not in (None, [])}
    if len(json.dumps(stored)) > LONGEST:
        raise ConditionInvalid(f"together they take more than {LONGEST} characters: write fewer")
    return stored


def _each(document: Mapping[str, Any], name: str, parse: Callable[[str], _Read]) -> tuple[_Read, ...]:
    values = document.get(name)
    if values is None:
        return ()
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise ConditionInvalid(f"{name}: write a list")
    return tuple(_read(name, value, parse) for value in values)


def _one(document: Mapping[str, Any], name: str, parse: Callable[[str], _Read]) -> _Read | None:
    value = document.get(name)
    return None if value is None else _read(name, value, parse)


def _read(name: str, value: Any, parse: Callable[[str], _Read]) -> _Read:
    if not isinstance(value, str):
        raise ConditionInvalid(f"{name}: write a text")
    try:
        return parse(value)
    except ConditionInvalid as error:
        raise ConditionInvalid(f"{name}: {error}") from None


def _property(text: str) -> str:
    parse_property(text)
    return text


def _moment(moment: int) -> str:
    return rfc3339(moment)
