"""Plans as JSON documents, the same from the face and from the command."""

from __future__ import annotations

from app.operator.plan import (
    Answer,
    Named,
    Plan,
    Planned,
    PlannedEvent,
    PlannedGrant,
    PlannedKey,
    Totals,
    Why,
)
from app.operator.views import Document, time


def plan_document(plan: Plan) -> Document:
    return {
        "time": time(plan.moment),
        "totals": _totals(plan.totals),
        "requests": [_request(each) for each in plan.requests],
        "grantsGained": [_grant(each) for each in plan.gained],
        "grantsLost": [_grant(each) for each in plan.lost],
        "keys": [_key(each) for each in plan.keys],
        "events": [_event(each) for each in plan.events],
    }


def _totals(totals: Totals) -> Document:
    return {
        "requestsRefused": totals.refused,
        "consumers": totals.consumers,
        "grantsGained": totals.gained,
        "grantsLost": totals.lost,
        "keys": {str(change): number for change, number in sorted(totals.keys.items())},
        "events": dict(totals.events),
    }


def _request(planned: Planned) -> Document:
    return {
        "method": planned.request.method,
        "path": planned.request.path,
        **_answer(planned.answer),
        "tolerated": list(planned.answer.tolerated),
        "operations": [_answer(each) for each in planned.answer.operations],
    }


def _answer(answer: Answer) -> Document:
    return {"status": answer.status, "scimType": answer.scim_type, "detail": answer.detail}


def _grant(grant: PlannedGrant) -> Document:
    return {
        "consumer": _consumer(grant.consumer),
        "entitlement": _entitlement(grant.entitlement),
        "reasons": [_why(each) for each in grant.reasons],
    }


def _why(why: Why) -> Document:
    return {"reason": why.reason, "via": why.via.id or why.via.name, "display": why.via.name}


def _key(key: PlannedKey) -> Document:
    return {
        "id": key.id,
        "consumer": _consumer(key.consumer),
        "change": str(key.change),
        "before": key.before,
        "after": key.after,
        "reason": key.reason,
        "entitlements": [_entitlement(each) for each in key.entitlements],
        "rightsLost": [_entitlement(each) for each in key.lost],
        "rightsGained": [_entitlement(each) for each in key.gained],
    }


def _consumer(consumer: Named) -> Document:
    return {"value": consumer.id, "userName": consumer.name}


def _entitlement(entitlement: Named) -> Document:
    return {"value": entitlement.id, "display": entitlement.name}


def _event(event: PlannedEvent) -> Document:
    return {"request": event.request, "type": event.type, "subject": event.subject, "data": dict(event.data)}
