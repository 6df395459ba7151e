"""Judges a right's policies in Cedar.

Measured: 0.11 ms each, where decide() without a policy takes 3 to 10 µs.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import cedarpy

from app.gate.conditions.paths import normal_path
from app.gate.reasons import Reason
from app.rights.conditions.networks import parse_address
from app.rights.conditions.policies import METHODS, Policy
from app.store.moments import rfc3339

if TYPE_CHECKING:
    from app.gate.decision import Call, Holding, Right

log = logging.getLogger(__name__)

_METHODS: Final = frozenset(METHODS)


def policy_denies(policy: Policy, holding: Holding, right: Right, call: Call, now: int) -> Reason | None:
    """Return why the policies of a right deny a call; None when they permit it.

    What the gate does not know is left out of the question, so that a policy that asks for it fails. Whatever
    fails denies, also where Cedar itself would pass over the policy that failed.
    """
    method = None if call.method is None else call.method.upper()
    if holding.person is None or method not in _METHODS:
        return Reason.POLICY_ERROR
    try:
        result = cedarpy.is_authorized(
            {
                "principal": {"type": "Consumer", "id": holding.consumer_id},
                "action": {"type": "Action", "id": method},
                "resource": {"type": "Api", "id": right.audience or ""},
                "context": json.dumps(_context(call, now)),
            },
            policy.parsed,
            json.dumps(_entities(holding, right, call)),
        )
    except Exception:
        log.exception("a policy was not judged")
        return Reason.POLICY_ERROR
    if result.diagnostics.errors:
        return Reason.POLICY_ERROR
    return None if result.allowed else Reason.POLICY_FORBIDS


def _context(call: Call, now: int) -> dict[str, Any]:
    context: dict[str, Any] = {
        "time": {"__extn": {"fn": "datetime", "arg": rfc3339(now, precision="milliseconds")}},
        "scopes": sorted(call.scopes),
        "audiences": sorted(call.audiences),
    }
    client = None if call.client is None else parse_address(call.client)
    if client is not None:
        context["client"] = {"__extn": {"fn": "ip", "arg": str(client)}}
    return context


def _entities(holding: Holding, right: Right, call: Call) -> list[dict[str, Any]]:
    person = holding.person
    assert person is not None
    facts = {
        "userName": holding.user_name,
        "userType": person.user_type,
        "department": person.department,
    }
    path = None if call.path is None else normal_path(call.path)
    return [
        _entity("Consumer", holding.consumer_id, facts),
        _entity("Api", right.audience or "", {"path": path}),
    ]


def _entity(kind: str, identifier: str, attributes: dict[str, str | None]) -> dict[str, Any]:
    known = {name: value for name, value in attributes.items() if value is not None}
    return {"uid": {"type": kind, "id": identifier}, "attrs": known, "parents": []}
