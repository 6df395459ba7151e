"""``/operator/v1/brakes`` and the brake of each connection: what waits, and what is decided of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from flask import Blueprint, Response

from app.access.connections import LARGEST_BRAKE_MINIMUM, LONGEST_BRAKE_SPAN, set_brake
from app.access.credentials import Credential
from app.directory.brakes import confirm, get_brake, list_brakes, release, whereabouts
from app.operator import views
from app.operator.answers import answer
from app.operator.errors import RequestInvalid
from app.operator.problems import problem_response
from app.operator.requests import A_SPAN, Body, read_body, read_query, whole_number
from app.store.unit_of_work import Store, Unit

_SECOND: Final = 1_000_000
_MOST_SECONDS: Final = LONGEST_BRAKE_SPAN // _SECOND

RELEASE: Final[Body] = {"withinSeconds": A_SPAN}
SET: Final[Body] = {
    "percent": whole_number(0, 100),
    "minimum": whole_number(1, LARGEST_BRAKE_MINIMUM),
    "withinSeconds": whole_number(1, _MOST_SECONDS),
}

Acquire = Callable[[str | Collection[str]], Credential]


def blueprint(store: Store, acquire: Acquire) -> Blueprint:
    """Return the face.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    """
    face = Blueprint("brakes", __name__, url_prefix="/operator/v1")

    @face.get("/brakes")
    def list_them() -> Response:
        caller = acquire(("operator", "audit"))
        read_query()
        with store.reading(caller.tenant_id) as unit:
            found = list_brakes(unit)
        return answer(views.list_document(views.whole(found), views.brake_document))

    @face.get("/brakes/<brake_id>")
    def show(brake_id: str) -> Response:
        caller = acquire(("operator", "audit"))
        read_query()
        with store.reading(caller.tenant_id) as unit:
            document = _document(unit, brake_id)
        return answer(document)

    @face.post("/brakes/<brake_id>/confirm")
    def confirm_it(brake_id: str) -> Response:
        caller = acquire("operator")
        read_body({})
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            confirm(unit, brake_id)
            document = _document(unit, brake_id)
        return answer(document)

    @face.post("/brakes/<brake_id>/release")
    def release_it(brake_id: str) -> Response:
        caller = acquire("operator")
        asked = read_body(RELEASE)
        within = asked.get("withinSeconds")
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            release(unit, brake_id, within=None if within is None else within * _SECOND)
            document = _document(unit, brake_id)
        return answer(document)

    @face.post("/connections/<connection_id>/brake")
    def set_it(connection_id: str) -> Response:
        caller = acquire("operator")
        asked = read_body(SET)
        if not asked:
            raise RequestInvalid("say what to set: 'percent', 'minimum' or 'withinSeconds'")
        span = asked.get("withinSeconds")
        with store.writing(caller.tenant_id, actor=f"credential:{caller.id}") as unit:
            changed = set_brake(
                unit,
                connection_id,
                percent=asked.get("percent"),
                minimum=asked.get("minimum"),
                span=None if span is None else span * _SECOND,
            )
        return answer(views.connection_document(changed))

    face.register_error_handler(Exception, problem_response)
    return face


def _document(unit: Unit, brake_id: str) -> dict[str, Any]:
    return views.whole_brake_document(get_brake(unit, brake_id), whereabouts(unit, brake_id))
