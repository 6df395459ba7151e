"""``POST /operator/v1/plan``: what requests of an identity provider would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from flask import Blueprint, Response

from app.access.credentials import Credential
from app.operator.errors import RequestInvalid
from app.operator.plan import ScimRequest
from app.operator.plan_requests import REQUEST_SCHEMA, WITHOUT, read_request, request_without
from app.operator.plan_views import plan_document
from app.operator.planner import (
    DEFAULT_SHOWN,
    LONGEST_PATIENCE,
    MOST_REQUESTS,
    MOST_SHOWN,
    PATIENCE,
    Planner,
)
from app.operator.problems import problem_response
from app.operator.requests import A_TEXT, TEXT_SCHEMA, Body, Member, is_text, read_body, whole_number
from app.store.unit_of_work import Unit

LARGEST_BODY: Final = 1024 * 1024
"""The largest body, in bytes: requests that change large groups are long."""


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MOST_REQUESTS


def _is_without(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) == 1
        and all(kind in WITHOUT and is_text(called) for kind, called in value.items())
    )


PLAN: Final[Body] = {
    "requests": Member(
        f"a list of 1 to {MOST_REQUESTS} requests",
        _is_list,
        {"type": "array", "items": REQUEST_SCHEMA, "minItems": 1, "maxItems": MOST_REQUESTS},
    ),
    "without": Member(
        f"an object with one of: {', '.join(WITHOUT)}",
        _is_without,
        {
            "type": "object",
            "properties": dict.fromkeys(WITHOUT, TEXT_SCHEMA),
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ),
    "dialect": A_TEXT,
    "connection": A_TEXT,
    "shown": whole_number(0, MOST_SHOWN),
    "patienceSeconds": whole_number(1, LONGEST_PATIENCE),
}
"""What the body of a request for a plan holds."""

Acquire = Callable[[str | Collection[str]], Credential]


def blueprint(planner: Planner, acquire: Acquire) -> Blueprint:
    """Return the face.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    """
    plan = Blueprint("plan", __name__, url_prefix="/operator/v1")

    @plan.post("/plan")
    def make() -> Response:
        caller = acquire("operator")
        asked = read_body(PLAN, largest=LARGEST_BODY)
        made = planner.plan(
            caller.tenant_id,
            _requests(asked),
            dialect=asked.get("dialect"),
            connection=asked.get("connection"),
            shown=asked.get("shown", DEFAULT_SHOWN),
            patience=asked.get("patienceSeconds", PATIENCE),
        )
        body = json.dumps(plan_document(made), ensure_ascii=False)
        return Response(body, 200, {"Cache-Control": "no-store"}, mimetype="application/json")

    plan.register_error_handler(Exception, problem_response)
    return plan


def _requests(asked: Mapping[str, Any]) -> Callable[[Unit], list[ScimRequest]]:
    if ("requests" in asked) is ("without" in asked):
        raise RequestInvalid("give 'requests' or 'without', and not both")
    if "requests" in asked:
        read = [read_request(each) for each in asked["requests"]]
        return lambda _unit: read
    ((kind, called),) = asked["without"].items()
    return lambda unit: [request_without(unit, kind, called)]
