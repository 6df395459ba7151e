"""``POST /operator/v1/plan``: what requests of an identity provider would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from flask import Blueprint, Response

from app.access.credentials import Credential
from app.operator.errors import RequestInvalid
from app.operator.plan import ScimRequest
from app.operator.plan_requests import WITHOUT, read_request, request_without
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
from app.operator.requests import TEXT, Member, is_text, is_whole_number, read_body
from app.store.unit_of_work import Unit

LARGEST_BODY: Final = 1024 * 1024
"""The largest body, in bytes: requests that change large groups are long."""

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
        asked = read_body(
            {
                "requests": Member(f"a list of 1 to {MOST_REQUESTS} requests", _is_list),
                "without": Member(f"an object with one of: {', '.join(WITHOUT)}", _is_without),
                "dialect": Member(TEXT, is_text),
                "connection": Member(TEXT, is_text),
                "shown": Member(f"a whole number from 0 to {MOST_SHOWN}", is_whole_number(0, MOST_SHOWN)),
                "patienceSeconds": Member(
                    f"a whole number from 1 to {LONGEST_PATIENCE}", is_whole_number(1, LONGEST_PATIENCE)
                ),
            },
            largest=LARGEST_BODY,
        )
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


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MOST_REQUESTS


def _is_without(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) == 1
        and all(kind in WITHOUT and is_text(called) for kind, called in value.items())
    )
