"""The whole document, and the face that serves it."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from flask import Blueprint, Response

from app.operator.face import PATH
from app.operator.openapi import brakes, claims, connections, directory, keys, plan, revocation, usage
from app.operator.openapi.operations import paths_of
from app.operator.openapi.shapes import NUMBER, TEXT, Shape, record
from app.operator.problems import PREFIX

PARTS: Final = (keys, directory, connections, claims, plan, revocation, brakes, usage)

_PROBLEM: Final[Shape] = {
    **record(type=TEXT, title=TEXT, status=NUMBER, detail=TEXT),
    "description": f"Problem details (RFC 9457). The types are about:blank and {PREFIX}….",
    # Some types have more to say.
    "additionalProperties": True,
}
_ITSELF: Final = {
    "get": {
        "summary": "Read this document",
        "operationId": "getOpenapi",
        "security": [],
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    }
}


@cache
def document() -> dict[str, Any]:
    """Return what the operator's face takes and answers (OpenAPI 3.1)."""
    operations = [each for part in PARTS for each in part.OPERATIONS]
    schemas = {name: shape for part in PARTS for name, shape in part.SCHEMAS.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Keysteward, the operator's API",
            "version": version("keysteward"),
            "description": "Keys, who may use them and why. A refusal is a problem (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {**paths_of(operations), f"{PATH}/openapi.json": _ITSELF},
        "components": {
            "schemas": {**dict(sorted(schemas.items())), "Problem": _PROBLEM},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token with one of the scopes that an operation names (RFC 6750).",
                },
                "assertion": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "What a client for revocation signs (private_key_jwt).",
                },
            },
        },
    }


def blueprint() -> Blueprint:
    """Return the face. It needs no token: it says what there is to ask, and nothing of what is answered."""
    face = Blueprint("openapi", __name__, url_prefix=PATH)

    @face.get("/openapi.json")
    def show() -> Response:
        body = json.dumps(document(), ensure_ascii=False)
        return Response(body, 200, {"Cache-Control": "no-cache"}, mimetype="application/json")

    return face
