"""Revocation by others' protocols: RFC 7009 for one key, Global Token Revocation for all keys of a user."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from app.access.clients import use_assertion
from app.access.global_revocation import REVOCATION_PATH, Revokers, is_assertion
from app.access.protector import REALM, Protector, Unauthenticated
from app.keys.lifecycle import revoke
from app.keys.presented import key_of
from app.operator.consumers import revoke_keys
from app.operator.problems import Problem, problem_of, problem_response
from app.operator.requests import Body, Member, is_object, read_body
from app.operator.subjects import SUBJECT_SCHEMA, find_subject
from app.store.peppers import PepperMissing, Peppers
from app.store.secrets import redacted
from app.store.unit_of_work import Store

log = logging.getLogger(__name__)

BY_HOLDER: Final = "token_revoked"
"""The reason of a key that was revoked by RFC 7009."""

BY_SUBJECT: Final = "global_token_revocation"

SUBJECT: Final[Body] = {
    "sub_id": Member("a subject identifier", is_object, SUBJECT_SCHEMA, required=True),
}
"""What the body of a Global Token Revocation holds; it may hold more."""

_LARGEST_FORM: Final = 16 * 1024


def blueprint(store: Store, peppers: Peppers, protector: Protector, revokers: Revokers) -> Blueprint:
    """Return ``/oauth2/revoke`` and ``/global-token-revocation``.

    :param protector: finds the credential of the current request.
    :param revokers: believes the assertions of clients for revocation.
    """
    revocation = Blueprint("revocation", __name__)

    @revocation.post("/oauth2/revoke")
    def revoke_token() -> Response:
        """Revoke the key that a token is a secret of; a token of no key is answered alike (RFC 7009 §2.2)."""
        try:
            caller = protector.acquire(("operator", "gate"))
            token = _token()
            if isinstance(token, Response):
                return token
            with store.reading(caller.tenant_id) as unit:
                key_id = key_of(unit, peppers, token)
            if key_id is not None:
                with store.writing(caller.tenant_id, actor=caller.actor) as unit:
                    revoke(unit, key_id, BY_HOLDER)
        except Unauthenticated as error:
            headers = {"WWW-Authenticate": error.challenge} if error.challenge else {}
            code = {401: "invalid_client", 403: "unauthorized_client"}.get(error.status, "invalid_request")
            return _refused(error.status, code, error.detail, headers)
        return _answered(Response(status=200))

    @revocation.post(REVOCATION_PATH)
    def revoke_all_of_subject() -> Response:
        """Revoke every key of the user that a subject identifier means."""
        token = protector.presented()
        if token is not None and is_assertion(token):
            return revoke_by_assertion(token, None)
        caller = protector.acquire(("scim", "operator"))
        asked = read_body(SUBJECT, others=True)
        with store.writing(caller.tenant_id, actor=caller.actor) as unit:
            revoke_keys(unit, find_subject(unit, asked["sub_id"]), BY_SUBJECT)
        return _answered(Response(status=204))

    @revocation.post(f"{REVOCATION_PATH}/<client_id>")
    def revoke_all_by_client(client_id: str) -> Response:
        """Revoke every key of the user that a subject identifier means, as an identity provider signs it."""
        token = protector.presented()
        if token is None or not is_assertion(token):
            raise Unauthenticated(401, f'Bearer realm="{REALM}"', "This needs a signed assertion")
        return revoke_by_assertion(token, client_id)

    def revoke_by_assertion(assertion: str, client_id: str | None) -> Response:
        client, believed = revokers.believe(assertion, client_id)
        asked = read_body(SUBJECT, others=True)
        with store.writing(client.tenant_id, actor=f"client:{client.id}") as unit:
            # With what it is for: a request that fails may be sent again as it is.
            use_assertion(unit, client, jti=believed.jti, assertion_ends_at=believed.ends_at)
            revoke_keys(unit, find_subject(unit, asked["sub_id"]), BY_SUBJECT)
        return _answered(Response(status=204))

    revocation.register_error_handler(Exception, _failed)
    return revocation


def _failed(error: Exception) -> Response:
    """Answer in the words of the protocol: OAuth's errors, or problem details."""
    if request.path != "/oauth2/revoke":
        return problem_response(error)
    if isinstance(error, HTTPException):
        return _refused(error.code or 500, "invalid_request", error.description or "")
    if isinstance(error, PepperMissing):
        log.error("a token cannot be judged", exc_info=error)
        problem = Problem(503, "The token cannot be judged now; try again", headers={"Retry-After": "5"})
    else:
        problem = problem_of(error)
    return _refused(problem.status, "server_error", problem.detail, problem.headers)


def _token() -> str | Response:
    """Return the token in the form of the current request, or the refusal of a form without one."""
    most = request.max_content_length
    request.max_content_length = _LARGEST_FORM if most is None else min(most, _LARGEST_FORM)
    if request.mimetype != "application/x-www-form-urlencoded":
        return _refused(400, "invalid_request", "The body must be application/x-www-form-urlencoded")
    tokens = request.form.getlist("token")
    if len(tokens) != 1 or not tokens[0]:
        return _refused(400, "invalid_request", "The form must have one token")
    return str(tokens[0])


def _refused(status: int, error: str, description: str, headers: dict[str, str] | None = None) -> Response:
    """Answer as RFC 6749 §5.2 has it."""
    answer = jsonify(error=error, error_description=redacted(description) or HTTPStatus(status).phrase)
    answer.status_code = status
    answer.headers.update(headers or {})
    return _answered(answer)


def _answered(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer
