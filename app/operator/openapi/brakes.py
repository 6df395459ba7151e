"""Brakes in the document."""

from __future__ import annotations

from typing import Final

from app.operator.brakes_face import RELEASE, SET
from app.operator.face import NOTHING, PATH
from app.operator.openapi.operations import Operation
from app.operator.openapi.shapes import NUMBER, TEXT, TIME, Shape, named, nullable, page_of, record

_BRAKE: Final[dict[str, Shape]] = {
    "id": TEXT,
    "connection": TEXT,
    "name": TEXT,
    "engagedAt": TIME,
    "activeConsumers": NUMBER,
    "threshold": NUMBER,
    "consumers": NUMBER,
    "uncounted": NUMBER,
    "decision": nullable(TEXT),
    "decidedAt": nullable(TIME),
    "holdsUntil": nullable(TIME),
}

SCHEMAS: Final[dict[str, Shape]] = {
    "Brake": record(**_BRAKE),
    "BrakeList": page_of("Brake"),
    "WholeBrake": record(**_BRAKE, waiting=nullable(NUMBER), back=nullable(NUMBER), deleted=nullable(NUMBER)),
}

_OF_ONE: Final = f"{PATH}/brakes/<brake_id>"
_READERS: Final = ("operator", "audit")

OPERATIONS: Final = (
    Operation("GET", f"{PATH}/brakes", "List brakes", {200: named("BrakeList")}, scopes=_READERS),
    Operation("GET", _OF_ONE, "Read a brake and what waits", {200: named("WholeBrake")}, scopes=_READERS),
    Operation(
        "POST",
        f"{_OF_ONE}/confirm",
        "Let what waits become final",
        {200: named("WholeBrake")},
        body=NOTHING,
        problems=(409,),
    ),
    Operation(
        "POST",
        f"{_OF_ONE}/release",
        "Let those who come back within a time keep their keys",
        {200: named("WholeBrake")},
        body=RELEASE,
        problems=(409,),
    ),
    Operation(
        "POST",
        f"{PATH}/connections/<connection_id>/brake",
        "Say from when on the withdrawals of a connection are held",
        {200: named("Connection")},
        body=SET,
    ),
)
