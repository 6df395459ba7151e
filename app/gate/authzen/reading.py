"""Reads what an application asks: the entities of the AuthZEN information model, strictly typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

MOST_EVALUATIONS: Final = 1000
"""How many evaluations one request may carry."""

DEFAULT_LIMIT: Final = 100
MOST_RESULTS: Final = 1000
"""How many results a page of a search has, when the request does not say, and at the most."""

_REQUIRED: Final = {"subject": ("type", "id"), "action": ("name",), "resource": ("type", "id")}


class RequestInvalid(Exception):
    """The request cannot be understood. The message says what to change."""


class Semantic(StrEnum):
    """When the evaluations of one request end."""

    execute_all = "execute_all"
    deny_on_first_deny = "deny_on_first_deny"
    permit_on_first_permit = "permit_on_first_permit"


@dataclass(frozen=True)
class Entity:
    """A subject or a resource. ``id`` is empty where it is what a search looks for."""

    type: str
    id: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """What is to be done. ``name`` is empty where it is what a search looks for."""

    name: str
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """May this subject do this with that resource?"""

    subject: Entity
    action: Action
    resource: Entity
    context: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """Which part of the results of a search is asked for."""

    token: str | None
    limit: int


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a request's body.

    :raises RequestInvalid: when it is none, or names a member twice: two readers may disagree about it then.
    """
    try:
        read = json.loads(body, object_pairs_hook=_unrepeated, parse_constant=_no_constant)
    except RequestInvalid:
        raise
    except (ValueError, RecursionError):
        raise RequestInvalid("The body is not JSON") from None
    if not isinstance(read, dict):
        raise RequestInvalid("The body must be a JSON object")
    return read


def read_question(request: Mapping[str, Any], *, searched: str | None = None) -> Question:
    """Return the question of a request.

    :param searched: the entity that a search looks for, of which no id is asked; of an action nothing is.
    :raises RequestInvalid: when an entity is missing, or one of its members is missing, empty or mistyped.
    """
    subject, resource = (_entity(request, name, searched) for name in ("subject", "resource"))
    action = Action("") if searched == "action" else _action(request)
    return Question(subject, action, resource, _object(request, "context", "context"))


def read_evaluations(request: Mapping[str, Any]) -> list[Any] | None:
    """Return the requests of a batch, each with the defaults of the whole; None when it is a single request.

    An entity of an evaluation stands in place of the whole default, except that what it must have and does
    not is taken from there. What is no object is left as it is, to fail by itself.

    :raises RequestInvalid: when ``evaluations`` is no list, or too long, or a default is no object.
    """
    evaluations = request.get("evaluations", [])
    if not isinstance(evaluations, list):
        raise RequestInvalid("evaluations must be a list")
    if len(evaluations) > MOST_EVALUATIONS:
        raise RequestInvalid(f"evaluations has at most {MOST_EVALUATIONS} items: send several requests")
    if not evaluations:
        return None
    defaults = {
        name: _object(request, name, name)
        for name in ("subject", "action", "resource", "context")
        if name in request
    }
    return [_with_defaults(each, defaults) if isinstance(each, dict) else each for each in evaluations]


def read_semantic(request: Mapping[str, Any]) -> Semantic:
    """Return when the evaluations of a request end.

    :raises RequestInvalid: when it names a semantic that does not exist.
    """
    asked = _object(request, "options", "options").get("evaluations_semantic", Semantic.execute_all)
    if asked not in list(Semantic):
        raise RequestInvalid(f"options.evaluations_semantic is one of: {', '.join(Semantic)}")
    return Semantic(asked)


def read_page(request: Mapping[str, Any]) -> Page:
    """Return which part of the results is asked for; more than a page holds means as much as it holds.

    :raises RequestInvalid: when the token is no string, or the limit no positive whole number.
    """
    page = _object(request, "page", "page")
    token, limit = page.get("token", ""), page.get("limit", DEFAULT_LIMIT)
    if not isinstance(token, str):
        raise RequestInvalid("page.token must be a string")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise RequestInvalid("page.limit must be a whole number from 1")
    return Page(token or None, min(limit, MOST_RESULTS))


def text_property(properties: Mapping[str, Any], name: str, of: str) -> str | None:
    """Return a property that must be a string where it is there.

    :raises RequestInvalid: when it is something else.
    """
    value = properties.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise RequestInvalid(f"{of}.{name} must be a string that is not empty")
    return value


def _entity(request: Mapping[str, Any], name: str, searched: str | None) -> Entity:
    read = _required(request, name)
    identifier = "" if name == searched else _text(read, name, "id")
    return Entity(_text(read, name, "type"), identifier, _object(read, "properties", f"{name}.properties"))


def _action(request: Mapping[str, Any]) -> Action:
    read = _required(request, "action")
    return Action(_text(read, "action", "name"), _object(read, "properties", "action.properties"))


def _required(request: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name not in request:
        raise RequestInvalid(f"{name} is missing")
    return _object(request, name, name)


def _object(holder: Mapping[str, Any], name: str, told: str) -> Mapping[str, Any]:
    value = holder.get(name, {})
    if not isinstance(value, dict):
        raise RequestInvalid(f"{told} must be an object")
    return value


def _text(holder: Mapping[str, Any], entity: str, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise RequestInvalid(f"{entity}.{name} must be there, a string that is not empty")
    return value


def _with_defaults(evaluation: dict[str, Any], defaults: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    merged = {**defaults, **evaluation}
    for name, required in _REQUIRED.items():
        own, default = evaluation.get(name), defaults.get(name, {})
        if isinstance(own, dict):
            merged[name] = {**{each: default[each] for each in required if each in default}, **own}
    return merged


def _unrepeated(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) < len(members):
        raise RequestInvalid("The body names a member of an object twice")
    return read


def _no_constant(name: str) -> Any:
    raise RequestInvalid(f"{name} is no JSON")
