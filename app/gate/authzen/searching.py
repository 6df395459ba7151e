"""The searches: who may do this, with what, and what may be done. Nothing is counted or recorded.

Each candidate is judged as an evaluation of it would be. Where a right asks for properties that the request
does not say, because it cannot say them of what it looks for, the result carries them: sent back in an
evaluation, it is permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from app.gate.authzen.mapping import AUDIENCE, METHODS, ROUTE, call_of
from app.gate.authzen.reading import Action, Question
from app.gate.decision import Allow, Right, decide
from app.gate.subjects import (
    API_KEY,
    USER,
    Subject,
    anybody,
    judge_subject,
    rights_of_entitlements,
    subjects_of_keys,
    subjects_of_users,
)
from app.rights.conditions.properties import demanded
from app.rights.holders import holders_after
from app.store.tables import key, key_entitlement
from app.store.unit_of_work import Unit

_TRUTHS: Final = {"true": True, "false": False}


@dataclass(frozen=True)
class Results:
    """Some results, and the id of what was looked at last; None when nothing is left to look at."""

    entities: tuple[dict[str, Any], ...]
    reached: str | None


def search_subjects(unit: Unit, question: Question, after: str, limit: int) -> Results:
    """Return subjects of the question's type who may do what it asks, in the order of their ids.

    :param after: the id that the page before looked at last.
    :param limit: how many are looked at; who may not is left out of that.
    """
    call = call_of(question)
    able = [
        entitlement_id
        for entitlement_id, right in rights_of_entitlements(unit).items()
        if isinstance(decide(anybody(unit, [right]), call, unit.now), Allow)
    ]
    ids, subjects = _candidates(unit, question.subject.type, able, after, limit + 1)
    looked_at = ids[:limit]
    return Results(
        tuple(
            {"type": subject.type, "id": subject.name}
            for subject in subjects(unit, looked_at)
            if isinstance(judge_subject(subject, call, unit.now), Allow)
        ),
        looked_at[-1] if len(ids) > limit else None,
    )


def search_resources(unit: Unit, question: Question, subject: Subject, after: str, limit: int) -> Results:
    """Return resources of the question's type, among those that rights name, on which a subject may do it."""
    found: dict[str, dict[str, Any]] = {}
    for right in subject.holding.rights:
        for identifier in _named(right, question.resource.type):
            asked = replace(question, resource=replace(question.resource, id=identifier))
            properties = _permitting(unit, subject, asked, right, "resource")
            if properties is not None:
                entity = {"type": asked.resource.type, "id": identifier}
                found.setdefault(identifier, _with(entity, properties))
    return _page(found, after, limit)


def search_actions(unit: Unit, question: Question, subject: Subject, after: str, limit: int) -> Results:
    """Return what a subject may do with the question's resource: scopes, and HTTP methods on a route."""
    found: dict[str, dict[str, Any]] = {}
    for right in subject.holding.rights:
        for name in _actions(right, question.resource.type):
            properties = _permitting(unit, subject, replace(question, action=Action(name)), right, "action")
            if properties is not None:
                found.setdefault(name, _with({"name": name}, properties))
    return _page(found, after, limit)


def _candidates(
    unit: Unit, type_: str, entitlement_ids: Collection[str], after: str, limit: int
) -> tuple[Sequence[str], Callable[[Unit, Sequence[str]], list[Subject]]]:
    """Return the ids of who might have one of some entitlements, and what finds out about them."""
    if not entitlement_ids or "\0" in after:
        return (), subjects_of_users
    if type_ == USER:
        return holders_after(unit, entitlement_ids, after=after, limit=limit), subjects_of_users
    if type_ == API_KEY:
        statement = (
            sa.select(key.c.id)
            .join(key_entitlement, key_entitlement.c.key_id == key.c.id)
            .where(
                key.c.tenant_id == unit.tenant_id,
                key.c.revoked_at.is_(None),
                key_entitlement.c.entitlement_id.in_(entitlement_ids),
                key.c.id > after,
            )
            .distinct()
            .order_by(key.c.id)
            .limit(limit)
        )
        return unit.execute(statement).scalars().all(), subjects_of_keys
    return (), subjects_of_users


def _named(right: Right, type_: str) -> Sequence[str]:
    """Return the ids of resources of a type that a right names."""
    if type_ == ROUTE:
        return right.conditions.get("paths") or ()
    if type_ == AUDIENCE:
        return () if right.audience is None else (right.audience,)
    return _demanded(right, "resource").get("id", ())


def _actions(right: Right, type_: str) -> Iterator[str]:
    yield from right.scopes
    if type_ == ROUTE:
        yield from (each for each in _methods(right) if each in METHODS)


def _methods(right: Right) -> list[str]:
    return [each.upper() for each in right.conditions.get("methods") or ()]


def _demanded(right: Right, entity: str) -> dict[str, list[str]]:
    return demanded(right.conditions.get("properties") or (), entity)


def _permitting(
    unit: Unit, subject: Subject, asked: Question, right: Right, searched: str
) -> dict[str, Any] | None:
    """Return with which properties of what is searched the subject may: none, or those that a right asks for.

    None when it may not with these either.
    """
    if _may(unit, subject, asked):
        return {}
    entity = getattr(asked, searched)
    missing: dict[str, Any] = {
        name: _TRUTHS.get(values[0], values[0])
        for name, values in _demanded(right, searched).items()
        if name not in {"type", "id", "name", *entity.properties}
    }
    if searched == "action" and (methods := _methods(right)):
        missing.setdefault("method", methods[0])
    filled = replace(entity, properties={**missing, **entity.properties})
    return missing if _may(unit, subject, replace(asked, **{searched: filled})) else None


def _with(entity: dict[str, Any], properties: Mapping[str, Any]) -> dict[str, Any]:
    return {**entity, "properties": properties} if properties else entity


def _may(unit: Unit, subject: Subject, asked: Question) -> bool:
    return isinstance(judge_subject(subject, call_of(asked), unit.now), Allow)


def _page(found: Mapping[str, dict[str, Any]], after: str, limit: int) -> Results:
    ids = sorted(each for each in found if each > after)
    shown = ids[:limit]
    return Results(tuple(found[each] for each in shown), shown[-1] if len(ids) > limit else None)
