"""What every page of this room answers alike when a request cannot be served."""

from __future__ import annotations

import logging

import sqlalchemy as sa
from flask import Response
from werkzeug.exceptions import HTTPException

from app.claiming.forms import FormUnreadable
from app.claiming.pages import message
from app.store.unit_of_work import StoreError

log = logging.getLogger(__name__)


def failed(error: Exception) -> Response:
    """Return the page for an exception; one that no step foresaw is logged, and is a 500."""
    match error:
        case FormUnreadable():
            return message(400, "This form cannot be read", "Go back, and send it once more.")
        case HTTPException():
            return message(error.code or 500, error.name, "Go back, and try it once more.")
        case StoreError() | sa.exc.OperationalError() | sa.exc.TimeoutError():
            log.error("the store does not answer", exc_info=error)
            return message(503, "Try it again in a moment", "Nothing was done.")
        case _:
            log.error("a request failed", exc_info=error)
            return message(500, "Something went wrong here", "It was logged, and nothing was done.")
