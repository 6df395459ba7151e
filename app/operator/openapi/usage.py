"""Usage and decisions in the document."""

from __future__ import annotations

from typing import Final

from app.operator.face import PATH
from app.operator.openapi.operations import PAGING, Operation, Parameter
from app.operator.openapi.shapes import (
    NUMBER,
    TEXT,
    TIME,
    Shape,
    many,
    named,
    nullable,
    one_of,
    page_of,
    record,
)

_CONSUMER: Final = record(value=TEXT, userName=TEXT)
_USAGE: Final[dict[str, Shape]] = {
    "key": TEXT,
    "consumer": _CONSUMER,
    "createdAt": TIME,
    "firstUsedAt": nullable(TIME),
    "lastUsedAt": nullable(TIME),
    "lastDeniedAt": nullable(TIME),
    "allowed": NUMBER,
    "denied": NUMBER,
    "deadUses": NUMBER,
    "lastNetwork": nullable(TEXT),
}

SCHEMAS: Final[dict[str, Shape]] = {
    "KeyUsage": record(**_USAGE),
    "KeyUsageList": page_of("KeyUsage"),
    "WholeKeyUsage": record(
        **_USAGE,
        days=many(
            record(
                day=TEXT,
                outcome=TEXT,
                entitlement=nullable(record(value=TEXT, display=nullable(TEXT))),
                uses=NUMBER,
            )
        ),
        networks=many(named("Network")),
    ),
    "Network": record(key=TEXT, consumer=_CONSUMER, network=TEXT, firstAt=TIME, lastAt=TIME, uses=NUMBER),
    "NetworkList": page_of("Network"),
    "Decision": record(
        id=TEXT,
        time=TIME,
        face=TEXT,
        actor=TEXT,
        outcome=one_of("allow", "deny"),
        reason=nullable(TEXT),
        key=nullable(TEXT),
        secret=nullable(TEXT),
        consumer=nullable(TEXT),
        entitlements=many(TEXT),
        method=nullable(TEXT),
        path=nullable(TEXT),
        client=nullable(TEXT),
        microseconds={"type": "number"},
        batch=TEXT,
    ),
    "Decisions": record(itemsPerPage=NUMBER, after=nullable(TEXT), Resources=many(named("Decision"))),
}

_READERS: Final = ("operator", "audit")
_DAYS: Final = Parameter("days", "Of how many days; 30 unless it is said.", dict(NUMBER))
_KEY: Final = Parameter("key", "Only of the key with this id.")
_SINCE: Final = Parameter("since", "Only from this time on (RFC 3339).")

OPERATIONS: Final = (
    Operation(
        "GET",
        f"{PATH}/keys/<key_id>/usage",
        "Read how a key is used",
        {200: named("WholeKeyUsage")},
        parameters=(_DAYS,),
    ),
    Operation(
        "GET",
        f"{PATH}/usage/unused",
        "List living keys that were not used for some days",
        {200: named("KeyUsageList")},
        parameters=(_DAYS, *PAGING),
    ),
    Operation(
        "GET",
        f"{PATH}/usage/dead-secrets",
        "List keys of which a dead secret was used",
        {200: named("KeyUsageList")},
        scopes=_READERS,
        parameters=PAGING,
    ),
    Operation(
        "GET",
        f"{PATH}/usage/networks",
        "List networks from which keys were used, the newest first",
        {200: named("NetworkList")},
        scopes=_READERS,
        parameters=(_KEY, _SINCE, *PAGING),
    ),
    Operation(
        "GET",
        f"{PATH}/decisions",
        "List decisions of the gate",
        {200: named("Decisions")},
        scopes=_READERS,
        parameters=(
            _KEY,
            Parameter("consumer", "Only of the keys of this consumer."),
            _SINCE,
            Parameter("until", "Only before this time (RFC 3339)."),
            Parameter("after", "Where the answer before said to go on."),
            Parameter("limit", "How many to return at the most; 100 unless it is said.", dict(NUMBER)),
        ),
    ),
    Operation(
        "GET",
        f"{PATH}/decision-batches/<batch_id>",
        "Read the records of a batch as the ledger has their digest",
        {200: dict(TEXT)},
        scopes=_READERS,
        media_type="application/x-ndjson",
    ),
)
