"""Claim links and the login provider in the document."""

from __future__ import annotations

from typing import Final

from app.operator.claims_face import LINK, PROVIDER
from app.operator.face import PATH
from app.operator.openapi.operations import Operation
from app.operator.openapi.shapes import TEXT, TIME, Shape, named, nullable, record

SCHEMAS: Final[dict[str, Shape]] = {
    "ClaimLink": record(id=TEXT, key=TEXT, url=TEXT, expiresAt=TIME),
    "LoginProvider": record(
        issuer=TEXT,
        clientId=TEXT,
        clientAuthentication=TEXT,
        clientSecretFile=nullable(TEXT),
        claim=nullable(TEXT),
        attribute=TEXT,
        redirectUri=TEXT,
        changedAt=TIME,
    ),
}

OPERATIONS: Final = (
    Operation(
        "POST",
        f"{PATH}/keys/<key_id>/claim-link",
        "Make a link that hands the secret of a key out, once",
        {201: named("ClaimLink")},
        body=LINK,
        problems=(409,),
    ),
    Operation(
        "GET",
        f"{PATH}/login-provider",
        "Read where consumers sign in to claim their keys",
        {200: named("LoginProvider")},
        problems=(404,),
    ),
    Operation(
        "PUT",
        f"{PATH}/login-provider",
        "Say where consumers sign in",
        {200: named("LoginProvider")},
        body=PROVIDER,
    ),
    Operation(
        "DELETE",
        f"{PATH}/login-provider",
        "Let nobody sign in any more",
        {204: None},
        problems=(404,),
    ),
)
