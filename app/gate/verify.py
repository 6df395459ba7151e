"""The face for gateways: nginx ``auth_request``, Traefik ForwardAuth, Envoy ``ext_authz``.

One URL serves all three, by the same code behind the hot door (``app/gate/door.py``) and as a view of Flask.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from app.gate.answer import Answer, answer_to
from app.gate.client import ClientAddress
from app.gate.decision import Deny
from app.gate.question import GATE_HEADER, PATH, CredentialsConflict, call_of, key_of, said_of, token_of
from app.gate.reasons import Reason
from app.gate.verification import Gate, Verdict
from app.store.unit_of_work import new_id

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["GATE_HEADER", "METHODS", "Verify"]

log = logging.getLogger(__name__)

METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Verify:
    """Answers ``/gate/verify``, and below it the path that Envoy appends."""

    def __init__(self, gate: Gate, clients: ClientAddress) -> None:
        self._gate = gate
        self._clients = clients

    def answer(self, environ: WSGIEnvironment) -> Answer:
        """Return the answer to a request. Never raises: what fails denies (P5)."""
        try:
            verdict = self._verdict(environ)
        except Exception:
            log.exception("a question of a gateway could not be read")
            verdict = Verdict(new_id(), Deny(Reason.STORE_UNAVAILABLE))
        return answer_to(verdict)

    def blueprint(self) -> Blueprint:
        """Return the face as a view of Flask."""
        face = Blueprint("gate", __name__)
        face.record_once(lambda state: state.app.url_map.converters.update(any_path=_AnyPath))

        @face.route(PATH, methods=METHODS, provide_automatic_options=False)
        @face.route(f"{PATH}/", defaults={"path": ""}, methods=METHODS, provide_automatic_options=False)
        # Whatever follows: slashes that are doubled, too, which Flask would else redirect or not find.
        @face.route(
            f"{PATH}/<any_path:path>", methods=METHODS, provide_automatic_options=False, merge_slashes=False
        )
        def verify(path: str | None = None) -> Response:
            answer = self.answer(request.environ)
            return Response(answer.body, answer.status, answer.headers)

        return face

    def _verdict(self, environ: WSGIEnvironment) -> Verdict:
        call = call_of(environ, self._clients.of(environ))
        return self._gate.judge_said(said_of(environ), partial(_shown, environ), call, face="verify")


class _AnyPath(BaseConverter):
    """A path that may begin with a slash and have empty parts."""

    part_isolating = False
    regex = ".*?"


def _shown(environ: WSGIEnvironment) -> tuple[str | None, str | Reason | None]:
    """Return the gateway's token and the caller's key, or why there is no key."""
    try:
        token = token_of(environ)
    except CredentialsConflict:
        token = None
    try:
        return token, key_of(environ)
    except CredentialsConflict:
        return token, Reason.KEYS_CONFLICT
