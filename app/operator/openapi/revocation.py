"""Revocation by others' protocols in the document."""

from __future__ import annotations

from typing import Final

from app.access.global_revocation import REVOCATION_PATH
from app.operator.openapi.operations import JSON, Operation
from app.operator.openapi.shapes import TEXT, Shape, record
from app.operator.revocation import SUBJECT

SCHEMAS: Final[dict[str, Shape]] = {"OAuthError": record(error=TEXT, error_description=TEXT)}

OPERATIONS: Final = (
    Operation(
        "POST",
        "/oauth2/revoke",
        "Revoke the key that a token is a secret of (RFC 7009)",
        {200: None},
        scopes=("operator", "gate"),
        form={
            "type": "object",
            "properties": {"token": {"type": "string", "minLength": 1}, "token_type_hint": TEXT},
            "required": ["token"],
        },
        error=(JSON, "OAuthError"),
    ),
    Operation(
        "POST",
        REVOCATION_PATH,
        "Revoke every key of the user that a subject identifier means",
        {204: None},
        scopes=("scim", "operator"),
        body=SUBJECT,
        others=True,
        problems=(404, 422, 429),
        assertion=True,
    ),
    Operation(
        "POST",
        f"{REVOCATION_PATH}/<client_id>",
        "Revoke every key of the user that a subject identifier means, as an identity provider signs it",
        {204: None},
        scopes=(),
        body=SUBJECT,
        others=True,
        problems=(422, 429),
        assertion=True,
    ),
)
