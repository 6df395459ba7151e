"""How this face answers what was served."""

from __future__ import annotations

import json
from typing import Any

from flask import Response


def answer(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document; no answer of this face, some of which hold secrets, is ever stored."""
    body = json.dumps(document, ensure_ascii=False)
    return Response(
        body, status, {"Cache-Control": "no-store", **(headers or {})}, mimetype="application/json"
    )
