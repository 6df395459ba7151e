"""Consumers, events and what is left to do, in the document."""

from __future__ import annotations

from typing import Final

from app.operator.face import PATH, REVOKE
from app.operator.openapi.operations import PAGING, Operation, Parameter
from app.operator.openapi.shapes import (
    ANYTHING,
    NUMBER,
    TEXT,
    TIME,
    YES_OR_NO,
    Shape,
    many,
    named,
    nullable,
    one_of,
    page_of,
    record,
)
from app.rights.standing import KeyState

_CONSUMER: Final[dict[str, Shape]] = {
    "id": TEXT,
    "userName": TEXT,
    "active": YES_OR_NO,
    "accessStartsAt": nullable(TIME),
    "accessEndsAt": nullable(TIME),
    "deletedAt": nullable(TIME),
}

SCHEMAS: Final[dict[str, Shape]] = {
    "Consumer": record(**_CONSUMER),
    "ConsumerList": page_of("Consumer"),
    "ConsumerStanding": record(**_CONSUMER, presentSince=nullable(TIME), awaySince=nullable(TIME)),
    "ConsumerReceipt": record(consumer=named("Consumer"), at=TIME, keys=many(named("Receipt"))),
    "ConsumerExplanation": record(
        broken=nullable(named("Broken")),
        consumer=named("ConsumerStanding"),
        grants=many(
            record(
                id=TEXT,
                value=nullable(TEXT),
                audience=nullable(TEXT),
                scopes=many(TEXT),
                conditions=ANYTHING,
                since=TIME,
                paths=many(named("Path")),
            )
        ),
        unmatchedValues=many(record(kind=TEXT, value=TEXT)),
        keys=many(
            record(
                id=TEXT,
                state=one_of(*KeyState),
                reason=nullable(TEXT),
                entitlements=many(TEXT),
                rights=many(TEXT),
            )
        ),
    ),
    "UnmatchedValue": record(kind=TEXT, value=TEXT, consumers=NUMBER, consumerIds=many(TEXT)),
    "UnmatchedValueList": page_of("UnmatchedValue"),
    "Event": record(
        sequence=NUMBER, id=TEXT, time=TIME, type=TEXT, actor=TEXT, txn=TEXT, subject=TEXT, data=ANYTHING
    ),
    "EventList": page_of("Event"),
    "FollowUp": record(
        id=NUMBER,
        kind=TEXT,
        of=record(txn=TEXT, actor=TEXT, time=TIME),
        done=NUMBER,
        total=nullable(NUMBER),
        finishedAt=nullable(TIME),
    ),
    "FollowUpList": page_of("FollowUp"),
}

_READING: Final = ("operator", "audit")

OPERATIONS: Final = (
    Operation(
        "GET",
        f"{PATH}/consumers",
        "List consumers, the deleted last",
        {200: named("ConsumerList")},
        parameters=(Parameter("userName", "Those of one userName."), *PAGING),
    ),
    Operation(
        "GET",
        f"{PATH}/consumers/<consumer_id>/explain",
        "Say what a consumer holds and why",
        {200: named("ConsumerExplanation")},
    ),
    Operation(
        "GET",
        f"{PATH}/consumers/<consumer_id>/receipt",
        "Give the receipts of all keys of a consumer",
        {200: named("ConsumerReceipt")},
        scopes=_READING,
    ),
    Operation(
        "POST",
        f"{PATH}/consumers/<consumer_id>/revoke-keys",
        "Revoke every key of a consumer for good, now",
        {200: named("ConsumerReceipt")},
        body=REVOKE,
    ),
    Operation(
        "GET",
        f"{PATH}/unmatched-values",
        "List the values on users that name no known entitlement",
        {200: named("UnmatchedValueList")},
        parameters=(Parameter("consumer", "Those of one user, by its id."),),
    ),
    Operation(
        "GET",
        f"{PATH}/events",
        "List what happened, oldest first",
        {200: named("EventList")},
        scopes=_READING,
        parameters=(
            Parameter("subject", "What it happened to, such as key/…"),
            Parameter("consumer", "To the keys of one user and itself, by its id."),
            Parameter("after", "After which sequence number.", dict(NUMBER)),
            Parameter("limit", "How many to return at the most, up to 1000.", dict(NUMBER)),
        ),
    ),
    Operation(
        "GET",
        f"{PATH}/follow-ups",
        "List what changes of many keys left to do, and how far it is",
        {200: named("FollowUpList")},
    ),
)
