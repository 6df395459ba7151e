"""Token introspection (RFC 7662): what a key is and may do now, for gateways that speak OAuth."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, request

from app.access.credentials import Credential
from app.access.protector import Unauthenticated
from app.gate.decision import Allow, Call, Deny, Holding, Right
from app.gate.question import CredentialsConflict, bearer_of
from app.gate.reasons import OUTAGES, Reason
from app.gate.signing import Signer
from app.gate.status_list import StatusLists
from app.gate.verification import Gate
from app.store.patience import ALTOGETHER, PATIENCE, StoreUnavailable, patience
from app.store.secrets import parse
from app.store.unit_of_work import StoreError

log = logging.getLogger(__name__)

PATH: Final = "/oauth2/introspect"
FACE: Final = "introspect"
SIGNED: Final = "application/token-introspection+jwt"

RETRY_AFTER: Final = 5
"""After how many seconds it is worth asking again when the store did not answer."""

_CODES: Final = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}
_SECOND: Final = 1_000_000


class _RequestInvalid(Exception):
    """The request is not one of RFC 7662 §2.1. The message says what to change."""


def blueprint(
    gate: Gate,
    acquire: Callable[[str], Credential],
    lists: StatusLists,
    signer: Signer,
    *,
    issuer: str,
) -> Blueprint:
    """Return the introspection endpoint.

    :param acquire: returns the credential of whoever asks, or raises ``Unauthenticated``: it says why the
        gate does not know somebody.
    :param issuer: our issuer identifier.
    """
    face = Blueprint("introspection", __name__)

    @face.post(PATH)
    def introspect() -> Response:
        with patience(ALTOGETHER):
            return answered()

    def answered() -> Response:
        try:
            asked = _read()
            token = bearer_of(request.environ)
        except (_RequestInvalid, CredentialsConflict) as error:
            return refused() or _problem(400, "invalid_request", str(error))
        verdict = gate.judge_for(token, *asked, face=FACE)
        decision = verdict.decision
        if isinstance(decision, Deny) and decision.reason is Reason.GATE_UNAUTHENTICATED:
            return refused() or _not_now(Reason.STORE_UNAVAILABLE)
        if isinstance(decision, Deny) and decision.reason in OUTAGES:
            # Whether the key is good is not known, so it is said neither that it is nor that it is not.
            answer = _not_now(decision.reason)
        else:
            members = {"active": False}
            if isinstance(decision, Allow):
                members = {**document(decision, issuer), **_status(decision.holding, lists)}
            answer = signed(members, str(token)) if _wants_jwt() else jsonify(members)
        answer.headers["X-Auth-Decision-Id"] = verdict.id
        return answer

    def refused() -> Response | None:
        """Say what is wrong with whoever asks; None when nothing is."""
        try:
            with patience(PATIENCE):
                acquire("gate")
        except Unauthenticated as error:
            answer = _problem(error.status, _CODES[error.status], error.detail)
            answer.headers["WWW-Authenticate"] = error.challenge
            return answer
        except StoreUnavailable as error:
            log.warning("an introspection failed: %s", error)
            return _not_now(Reason.STORE_UNAVAILABLE)
        except (StoreError, sa.exc.SQLAlchemyError):
            log.exception("an introspection failed")
            return _not_now(Reason.STORE_UNAVAILABLE)
        return None

    def signed(members: dict[str, Any], token: str) -> Response:
        """Answer with a JWT that the caller can show to others (RFC 9701 §5)."""
        claims = {
            "iss": issuer,
            "aud": parse(token).id,
            "iat": int(time.time()),
            "token_introspection": members,
        }
        return Response(signer.sign("token-introspection+jwt", claims), content_type=SIGNED)

    @face.after_request
    def not_stored(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return face


def _wants_jwt() -> bool:
    accepted = request.accept_mimetypes
    return accepted.best_match(["application/json", SIGNED], default="application/json") == SIGNED


def _status(holding: Holding, lists: StatusLists) -> dict[str, Any]:
    if holding.status_index is None:
        return {}
    return {"status": lists.reference(holding.tenant_id, holding.status_index)}


def document(allowed: Allow, issuer: str) -> dict[str, Any]:
    """Return the members of an answer about an active key (RFC 7662 §2.2)."""
    holding = allowed.holding
    audiences, scopes = _told(allowed.rights)
    ends = [
        end for end in (holding.expires_at, holding.secret_ends_at, holding.access_ends_at) if end is not None
    ]
    begins = max(holding.issued_at, holding.access_starts_at or 0)
    members: dict[str, Any] = {
        "active": True,
        "scope": " ".join(scopes),
        "client_id": holding.key_id,
        "username": holding.user_name,
        "token_type": "Bearer",
        "iat": holding.issued_at // _SECOND,
        "nbf": begins // _SECOND,
        "sub": holding.consumer_id,
        "iss": issuer,
        "jti": holding.secret_id,
        "entitlements": [{"value": right.value} for right in allowed.rights],
    }
    if ends:
        members["exp"] = min(ends) // _SECOND
    if audiences:
        members["aud"] = audiences[0] if len(audiences) == 1 else audiences
    return members


def _told(rights: Sequence[Right]) -> tuple[list[str], list[str]]:
    """Return the audiences of some rights, and the scopes that hold at every one of them.

    A scope for one API must not be read as one for another; who names its audience is told all of its own.
    """
    anywhere = {scope for right in rights if right.audience is None for scope in right.scopes}
    by_audience: dict[str, set[str]] = {}
    for right in rights:
        if right.audience is not None:
            by_audience.setdefault(right.audience, set(anywhere)).update(right.scopes)
    held = set.intersection(*by_audience.values()) if by_audience else anywhere
    return sorted(by_audience), sorted(held)


def _read() -> tuple[str, Call]:
    """Return the token and the question of the request.

    Besides ``token``, it may say which use of the key is meant (RFC 7662 §2.1 lets a server define more).
    """
    if request.mimetype != "application/x-www-form-urlencoded":
        raise _RequestInvalid("the parameters are sent as application/x-www-form-urlencoded")
    form = request.form
    if any(len(form.getlist(name)) > 1 for name in form):
        raise _RequestInvalid("a parameter is there more than once")
    token = form.get("token")
    if not token:
        raise _RequestInvalid("the parameter token is missing")
    audience = form.get("audience")
    return token, Call(
        audiences=frozenset({audience} if audience else ()),
        scopes=frozenset(form.get("scope", "").split()),
        method=form.get("method") or None,
        path=form.get("path") or None,
        client=form.get("client_address") or None,
    )


def _not_now(reason: Reason) -> Response:
    answer = _problem(503, "temporarily_unavailable", reason.description)
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


def _problem(status: int, error: str, description: str) -> Response:
    answer = jsonify(error=error, error_description=description)
    answer.status_code = status
    return answer
