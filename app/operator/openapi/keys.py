"""``/operator/v1/keys`` and ``/operator/v1/schemas`` in the document."""

from __future__ import annotations

from typing import Any, Final

from app.operator.face import CLAIM, ISSUE, PATH, REVOKE, ROTATE
from app.operator.key_requests import ATTRIBUTES
from app.operator.key_schema import SCHEMA_DOCUMENT
from app.operator.openapi.operations import (
    IDEMPOTENCY,
    IF_MATCH,
    PAGING,
    Operation,
    Parameter,
    header,
)
from app.operator.openapi.shapes import (
    ANYTHING,
    NUMBER,
    TEXT,
    TIME,
    Shape,
    many,
    named,
    nullable,
    one_of,
    page_of,
    partial,
    record,
)
from app.rights.standing import KeyState


def _of_scim(attribute: dict[str, Any]) -> Shape:
    """Return the shape of an attribute of a SCIM schema, as this face writes it: with null for unassigned."""
    shape: Shape = {"dateTime": TIME, "string": TEXT}.get(attribute["type"], {})
    if attribute["type"] == "complex":
        subs = attribute["subAttributes"]
        # Each may have been left out on request.
        shape = partial(record(**{each["name"]: _of_scim(each) for each in subs}))
    if "canonicalValues" in attribute:
        shape = one_of(*attribute["canonicalValues"])
    shape = {**shape, "description": attribute["description"]}
    if attribute["multiValued"]:
        return many(shape)
    return shape if attribute["name"] in ("state", "consumer") else nullable(shape)


_META: Final = record(resourceType=TEXT, created=TIME, lastModified=TIME, location=TEXT, version=TEXT)
_ATTRIBUTES: Final = {each["name"]: _of_scim(each) for each in SCHEMA_DOCUMENT["attributes"]}
_SECRET: Final = record(id=TEXT, secret=TEXT)

SCHEMAS: Final[dict[str, Shape]] = {
    # Of a search and of one key, a client may ask for a part.
    "Key": partial(record(schemas=many(TEXT), id=TEXT, **_ATTRIBUTES, meta=_META), "schemas", "id"),
    "KeyList": partial(
        record(**page_of("Key")["properties"], nextCursor=TEXT), "schemas", "itemsPerPage", "Resources"
    ),
    "Schema": {"type": "object", "required": ["id", "name", "attributes"]},
    "SchemaList": page_of("Schema"),
    "Claimed": {
        "oneOf": [
            _SECRET,
            record(id=TEXT, recipient=TEXT, jwe=TEXT),
        ]
    },
    "Rotated": record(id=TEXT, replaced=record(secret=TEXT, endsAt=TIME), secret=TEXT),
    "Receipt": record(
        key=TEXT,
        consumer=record(value=TEXT, userName=TEXT),
        state=one_of(*KeyState),
        at=TIME,
        withdrawnAt=nullable(TIME),
        cause=nullable(
            record(
                reason=TEXT,
                detail=TEXT,
                event=nullable(TEXT),
                actor=nullable(TEXT),
                txn=nullable(TEXT),
            )
        ),
        ledger=nullable(record(event=TEXT, sequence=NUMBER, time=TIME)),
        secrets=many(
            record(
                id=TEXT,
                createdAt=TIME,
                endsAt=nullable(TIME),
                endedAt=nullable(TIME),
                deniedSince=nullable(TIME),
            )
        ),
    ),
    "Broken": record(code=TEXT, detail=TEXT, since=nullable(TIME)),
    "Path": record(
        reason=one_of("direct", "role", "group"),
        via=TEXT,
        since=TIME,
        groups=many(record(value=TEXT, display=nullable(TEXT))),
    ),
    "KeyExplanation": record(
        summary=TEXT,
        broken=nullable(named("Broken")),
        key=record(
            id=TEXT,
            state=one_of(*KeyState),
            reason=nullable(TEXT),
            createdAt=TIME,
            claimedAt=nullable(TIME),
            expiresAt=nullable(TIME),
            revokedAt=nullable(TIME),
        ),
        consumer=named("ConsumerStanding"),
        entitlements=many(
            record(
                id=TEXT,
                value=nullable(TEXT),
                audience=nullable(TEXT),
                scopes=many(TEXT),
                conditions=ANYTHING,
                held={"type": "boolean"},
                counts={"type": "boolean"},
                since=nullable(TIME),
                paths=many(named("Path")),
                broken=nullable(named("Broken")),
            )
        ),
    ),
}

_SHOWN: Final = (
    Parameter(ATTRIBUTES[0], "Which attributes to return, with commas between.", dict(TEXT)),
    Parameter(ATTRIBUTES[1], "Which attributes not to return, with commas between.", dict(TEXT)),
)
_ETAG: Final = {"ETag": "The version of the key."}
_READING: Final = ("operator", "audit")

OPERATIONS: Final = (
    Operation(
        "GET",
        f"{PATH}/keys",
        "List keys",
        {200: named("KeyList")},
        parameters=(
            Parameter("consumer", "Those of one user: its id or userName."),
            Parameter("state", "Those in one state.", one_of(*KeyState)),
            Parameter("entitlement", "Those for one entitlement: its value or id."),
            Parameter("filter", "A SCIM filter (RFC 7644 §3.4.2.2).", dict(TEXT)),
            Parameter("sortBy", "An attribute to sort by.", dict(TEXT)),
            Parameter("sortOrder", "In which order.", one_of("ascending", "descending")),
            Parameter("cursor", "The page after another; empty for the first (RFC 9865).", dict(TEXT)),
            *_SHOWN,
            *PAGING,
        ),
        problems=(422,),
    ),
    Operation(
        "POST",
        f"{PATH}/keys",
        "Issue a key",
        {201: named("Key")},
        body=ISSUE,
        parameters=(IDEMPOTENCY,),
        problems=(404, 409, 422),
        answer_headers={"Location": "Where the key is."},
    ),
    Operation(
        "GET",
        f"{PATH}/keys/<key_id>",
        "Read a key",
        {200: named("Key"), 304: None},
        parameters=(
            *_SHOWN,
            IF_MATCH,
            header("If-None-Match", "The version that is known: 304 when it is the same."),
        ),
        problems=(412,),
        answer_headers=_ETAG,
    ),
    Operation(
        "POST",
        f"{PATH}/keys/<key_id>/claim",
        "Hand the secret of a key out, once",
        {200: named("Claimed")},
        body=CLAIM,
        parameters=(IDEMPOTENCY, IF_MATCH),
        problems=(409, 412, 422),
    ),
    Operation(
        "POST",
        f"{PATH}/keys/<key_id>/rotate",
        "Hand a new secret of a key out, once; the present one works until the overlap is over",
        {200: named("Rotated")},
        body=ROTATE,
        parameters=(IDEMPOTENCY, IF_MATCH),
        problems=(409, 412, 422),
    ),
    Operation(
        "POST",
        f"{PATH}/keys/<key_id>/revoke",
        "Revoke a key for good",
        {200: named("Key")},
        body=REVOKE,
        parameters=(IF_MATCH,),
        problems=(412,),
        answer_headers=_ETAG,
    ),
    Operation(
        "GET",
        f"{PATH}/keys/<key_id>/receipt",
        "Say since when a key is withdrawn, and by what",
        {200: named("Receipt")},
        scopes=_READING,
    ),
    Operation(
        "GET",
        f"{PATH}/keys/<key_id>/explain",
        "Say why a key works, or does not",
        {200: named("KeyExplanation")},
    ),
    Operation("GET", f"{PATH}/schemas", "List the schemas", {200: named("SchemaList")}, scopes=_READING),
    Operation(
        "GET", f"{PATH}/schemas/<urn>", "Read a schema (RFC 7643 §7)", {200: named("Schema")}, scopes=_READING
    ),
)
