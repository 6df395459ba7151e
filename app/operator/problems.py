"""Problem details (RFC 9457): the one place that turns what went wrong into an answer of this face."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from typing import Any, Final

import sqlalchemy as sa
from flask import Response
from scim2_models import SCIMException
from werkzeug.exceptions import HTTPException

from app.access.clients import AssertionReused
from app.access.errors import (
    AccessError,
    ConnectionDisabled,
    ConnectionMissing,
    CredentialEnded,
    CredentialMissing,
    NameTaken,
)
from app.access.global_revocation import refused
from app.access.login_provider import LoginProviderMissing
from app.access.protector import Unauthenticated
from app.access.rate_limit import TooManyRequests
from app.access.signing_keys import PATIENCE, KeysUnavailable
from app.directory.brakes import BrakeDecided, BrakeUnknown
from app.directory.errors import PositionUnreadable
from app.keys.decisions import BatchChanged, BatchUnknown, PlaceInvalid
from app.keys.idempotency import RequestDiffers, SecretNoLongerReadable
from app.keys.lifecycle import KeyNotClaimable, KeyUnknown
from app.keys.recipients import RecipientUnusable
from app.keys.rotation import KeyNotRotatable
from app.operator.errors import (
    ConsumerUnknown,
    GrantMissing,
    OperatorError,
    PlanTooLong,
    SearchTooLong,
    SubjectAmbiguous,
    VersionOutdated,
)
from app.rights.explain import NothingToExplain
from app.store.secrets import redacted
from app.store.unit_of_work import StoreError

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
PREFIX: Final = "urn:keysteward:problem:"
_LONGEST_DETAIL: Final = 500


@dataclass(frozen=True)
class Problem:
    """A problem as it is told. ``type`` is the last part of its URN; without one the status says it all."""

    status: int
    detail: str
    type: str | None = None
    members: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the members of the body."""
        status = HTTPStatus(self.status)
        return {
            "type": "about:blank" if self.type is None else f"{PREFIX}{self.type}",
            # Of "about:blank" the title is the phrase of the status (RFC 9457 §4.2.1).
            "title": status.phrase if self.type is None else self.type.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": redacted(self.detail),
            **self.members,
        }


_OF_HTTP: Final = {
    404: "There is nothing at this path",
    405: "The method is not allowed here",
    413: "The body is too large",
}


def problem_response(error: Exception) -> Response:
    """Answer an error with problem details: what it is, never where in the program it came from."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    return _response(problem_of(error))


def problem_of(error: Exception) -> Problem:
    """Return the problem that an exception is; one that no step foresaw is logged, and is a 500."""
    match error:
        case Unauthenticated():
            headers = {"WWW-Authenticate": error.challenge} if error.challenge else {}
            return Problem(error.status, error.detail, headers=headers)
        case KeyUnknown():
            return Problem(404, "There is no such key")
        case BatchUnknown():
            return Problem(404, "There is no such batch of decisions")
        case PlaceInvalid():
            return Problem(400, _sentence(error), "request-invalid")
        case BatchChanged():
            log.error("%s", error)
            return Problem(500, _sentence(error), "decisions-changed")
        case (
            NothingToExplain()
            | ConsumerUnknown()
            | ConnectionMissing()
            | CredentialMissing()
            | BrakeUnknown()
        ):
            return Problem(404, _sentence(error))
        case KeyNotClaimable():
            return Problem(409, _sentence(error), "key-not-claimable")
        case RecipientUnusable():
            return Problem(400, _sentence(error), "recipient-unusable")
        case LoginProviderMissing():
            return Problem(404, _sentence(error))
        case KeyNotRotatable():
            return Problem(409, _sentence(error), "key-not-rotatable")
        case RequestDiffers():
            return Problem(422, _sentence(error), "idempotency-key-used")
        case SecretNoLongerReadable():
            return Problem(409, _sentence(error), "secret-no-longer-readable")
        case SubjectAmbiguous():
            return Problem(422, _sentence(error), "subject-ambiguous")
        case GrantMissing():
            return Problem(
                409,
                _sentence(error),
                "grant-missing",
                {"entitlements": list(map(redacted, error.values))},
            )
        case SearchTooLong():
            return Problem(422, _sentence(error), "search-too-long")
        case VersionOutdated():
            return Problem(412, _sentence(error), "version-outdated")
        case PositionUnreadable():
            return Problem(400, "The cursor is none of this search", members={"scimType": "invalidCursor"})
        case SCIMException():
            said = error.to_error()
            detail = (said.detail or "The request cannot be read")[:_LONGEST_DETAIL]
            return Problem(said.status or 400, detail, "request-invalid", {"scimType": said.scim_type})
        case PlanTooLong():
            return Problem(422, _sentence(error), "plan-too-long")
        case NameTaken():
            return Problem(409, _sentence(error), "name-taken")
        case ConnectionDisabled():
            return Problem(409, _sentence(error), "connection-disabled")
        case BrakeDecided():
            return Problem(409, _sentence(error), "brake-decided")
        case CredentialEnded():
            return Problem(409, _sentence(error), "credential-ended")
        case AssertionReused():
            return problem_of(refused(str(error)))
        case TooManyRequests():
            return Problem(429, _sentence(error), headers={"Retry-After": str(error.retry_after)})
        case KeysUnavailable():
            return Problem(503, _sentence(error), headers={"Retry-After": str(ceil(PATIENCE))})
        case OperatorError() | AccessError():
            return Problem(400, _sentence(error), "request-invalid")
        case sa.exc.DataError():
            return Problem(400, "A value holds characters that cannot be stored", "request-invalid")
        case StoreError() | sa.exc.OperationalError() | sa.exc.TimeoutError():
            log.error("the store does not answer", exc_info=error)
            return Problem(503, "The store does not answer; try again", headers={"Retry-After": "5"})
        case _:
            log.error("a request failed", exc_info=error)
            return Problem(500, "Something went wrong here; it was logged")


def _of_http(error: HTTPException) -> Response:
    answer = error.get_response()
    status = error.code or 500
    if error.response is not None or status < 400:
        return Response(answer.response, answer.status_code, answer.headers)
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name.lower() not in ("content-type", "content-length")
    }
    detail = _OF_HTTP.get(status) or _sentence(error.description or HTTPStatus(status).phrase)
    return _response(Problem(status, detail, headers=headers))


def _response(problem: Problem) -> Response:
    body = json.dumps(problem.document(), ensure_ascii=False)
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, mimetype=MEDIA_TYPE)


def _sentence(said: object) -> str:
    text = str(said)
    return text[:1].upper() + text[1:]
