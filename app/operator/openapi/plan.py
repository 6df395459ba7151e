"""Plans in the document."""

from __future__ import annotations

from typing import Final

from app.operator.face import PATH
from app.operator.openapi.operations import Operation
from app.operator.openapi.shapes import (
    ANYTHING,
    NUMBER,
    TEXT,
    TIME,
    Shape,
    many,
    named,
    nullable,
    record,
    table,
)
from app.operator.plan_face import PLAN

_ANSWER: Final[dict[str, Shape]] = {
    "status": NUMBER,
    "scimType": nullable(TEXT),
    "detail": nullable(TEXT),
}
_CONSUMER: Final = record(value=nullable(TEXT), userName=nullable(TEXT))
_ENTITLEMENT: Final = record(value=nullable(TEXT), display=nullable(TEXT))

SCHEMAS: Final[dict[str, Shape]] = {
    "PlannedGrant": record(
        consumer=_CONSUMER,
        entitlement=_ENTITLEMENT,
        reasons=many(record(reason=TEXT, via=nullable(TEXT), display=nullable(TEXT))),
    ),
    "PlannedKey": record(
        id=nullable(TEXT),
        consumer=_CONSUMER,
        change=TEXT,
        before=nullable(TEXT),
        after=TEXT,
        reason=nullable(TEXT),
        entitlements=many(_ENTITLEMENT),
        rightsLost=many(_ENTITLEMENT),
        rightsGained=many(_ENTITLEMENT),
    ),
    "Plan": record(
        time=TIME,
        totals=record(
            requestsRefused=NUMBER,
            consumers=NUMBER,
            grantsGained=NUMBER,
            grantsLost=NUMBER,
            keys=table(NUMBER),
            events=table(NUMBER),
        ),
        requests=many(
            record(
                method=TEXT, path=TEXT, **_ANSWER, tolerated=many(TEXT), operations=many(record(**_ANSWER))
            )
        ),
        grantsGained=many(named("PlannedGrant")),
        grantsLost=many(named("PlannedGrant")),
        keys=many(named("PlannedKey")),
        events=many(record(request=NUMBER, type=TEXT, subject=TEXT, data=ANYTHING)),
    ),
}

OPERATIONS: Final = (
    Operation(
        "POST",
        f"{PATH}/plan",
        "Say what requests of an identity provider would do, without doing it",
        {200: named("Plan")},
        body=PLAN,
        problems=(404, 422),
    ),
)
