"""The face for gateways: nginx ``auth_request``, Traefik ForwardAuth, Envoy ``ext_authz``.

One URL serves all three: it allows with 200, denies with 401 or 403, and nothing else, because nginx makes an
error 500 of any other status and Envoy allows with 200 alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import Headers
from werkzeug.http import http_date

from app.access.credentials import Credential
from app.access.protector import Unauthenticated
from app.gate.decision import Allow, Call, Deny, Holding
from app.gate.reasons import Reason
from app.gate.verification import Gate, Verdict
from app.store.unit_of_work import new_id

log = logging.getLogger(__name__)

GATE_HEADER: Final = "X-Gate-Authorization"
"""The header of the gateway's own token: ``Authorization`` carries the caller's key."""

METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

REALM: Final = "api"


def blueprint(gate: Gate, acquire: Callable[[str], Credential]) -> Blueprint:
    """Return ``/gate/verify``, and below it the path that Envoy appends.

    :param acquire: returns the gateway's credential for a scope, or raises ``Unauthenticated``.
    """
    face = Blueprint("gate", __name__)

    def answer(below: bool) -> Response:
        verdict = _verdict(gate, acquire, below)
        decision = verdict.decision
        response = _allowed(decision) if isinstance(decision, Allow) else _denied(decision)
        response.headers["X-Auth-Decision-Id"] = verdict.id
        response.headers["Cache-Control"] = "no-store"
        return response

    @face.route("/gate/verify", methods=METHODS, provide_automatic_options=False)
    def verify() -> Response:
        return answer(below=False)

    @face.route("/gate/verify/", defaults={"path": ""}, methods=METHODS, provide_automatic_options=False)
    @face.route("/gate/verify/<path:path>", methods=METHODS, provide_automatic_options=False)
    def verify_below(path: str) -> Response:
        return answer(below=True)

    return face


def _verdict(gate: Gate, acquire: Callable[[str], Credential], below: bool) -> Verdict:
    try:
        gateway = acquire("gate")
        keys = _presented(request.headers)
        call = _call(below)
    except Unauthenticated:
        return Verdict(new_id(), Deny(Reason.GATE_UNAUTHENTICATED))
    except Exception:
        # Whatever fails, fails closed (P5).
        log.exception("a gateway's credential was not found out")
        return Verdict(new_id(), Deny(Reason.STORE_UNAVAILABLE))
    if len(keys) > 1:
        return gate.refuse(gateway, Reason.KEYS_CONFLICT, call, face="verify")
    return gate.judge(gateway, next(iter(keys), None), call, face="verify")


def _presented(headers: Headers) -> set[str]:
    """Return the caller's keys: ``Authorization: Bearer`` or ``X-API-Key``."""
    texts = set()
    for value in _values(headers, "Authorization"):
        scheme, _, credential = value.partition(" ")
        texts.add(credential.strip() if scheme.lower() == "bearer" and credential else value)
    return texts | _values(headers, "X-API-Key")


def _values(headers: Headers, name: str) -> set[str]:
    """Return the values of a header; servers hand over a repeated one joined by commas (RFC 9110 §5.3)."""
    parts = (part.strip() for value in headers.getlist(name) for part in value.split(","))
    return {part for part in parts if part}


def _call(below: bool) -> Call:
    """Return what is asked. On Envoy's form the query is the caller's own, so it asks for nothing.

    What the headers ask for is added to what the URL asks for, so a caller who adds headers only narrows.
    """
    query = {} if below else request.args
    audiences = {query.get("audience"), *request.headers.getlist("X-Gate-Audience")}
    scopes = " ".join([query.get("scope", ""), *request.headers.getlist("X-Gate-Scope")])
    if below:
        method: str | None = request.method
        # WSGI hands over a decoded path. Encoded again, an escape in it is what was encoded twice: no path.
        path: str | None = quote(request.environ["PATH_INFO"].encode("latin-1")).partition("/gate/verify")[2]
    else:
        method = _stated("X-Original-Method", "X-Forwarded-Method")
        path = _stated("X-Original-URI", "X-Forwarded-Uri")
    return Call(
        audiences=frozenset(each for each in audiences if each),
        scopes=frozenset(scopes.split()),
        method=method,
        path=path,
    )


def _stated(*names: str) -> str | None:
    """Return what the headers of these names say, or None when they contradict one another.

    One of them is the gateway's word and the others may be the caller's; which is which cannot be told here.
    """
    values = {value for name in names for value in request.headers.getlist(name) if value}
    return values.pop() if len(values) == 1 else None


def _allowed(decision: Allow) -> Response:
    holding = decision.holding
    response = Response(status=200)
    response.headers["X-Auth-Subject"] = holding.consumer_id
    response.headers["X-Auth-User-Name"] = _safe(holding.user_name)
    response.headers["X-Auth-Key-Id"] = holding.key_id
    response.headers["X-Auth-Tenant"] = holding.tenant_id
    response.headers["X-Auth-Entitlements"] = ",".join(_safe(right.value) for right in decision.rights)
    scopes = dict.fromkeys(scope for right in decision.rights for scope in right.scopes)
    response.headers["X-Auth-Scopes"] = " ".join(_safe(scope) for scope in scopes)
    _tell_rotation(response, holding)
    return response


def _denied(decision: Deny) -> Response:
    reason = decision.reason
    response = jsonify(
        type="about:blank",
        title="Denied",
        status=reason.status,
        detail=reason.description,
        reason=reason.code,
    )
    response.status_code = reason.status
    response.content_type = "application/problem+json"
    response.headers["X-Auth-Reason"] = reason.code
    if reason is Reason.NO_KEY:
        # RFC 6750 §3.1: who sent no credential is told the scheme and nothing more.
        response.headers["WWW-Authenticate"] = f'Bearer realm="{REALM}"'
    elif reason.status == 401:
        response.headers["WWW-Authenticate"] = (
            f'Bearer realm="{REALM}", error="invalid_token", error_description="{reason.description}"'
        )
    elif reason in (Reason.SCOPE_MISSING, Reason.AUDIENCE_MISMATCH, Reason.NO_GRANT):
        response.headers["WWW-Authenticate"] = f'Bearer realm="{REALM}", error="insufficient_scope"'
    if decision.holding is not None and (reason.status == 403 or reason is Reason.SECRET_ROTATED):
        _tell_rotation(response, decision.holding)
    return response


def _tell_rotation(response: Response, holding: Holding) -> None:
    """Tell the holder of a secret that was rotated out since when, and when it ends (RFC 9745, RFC 8594)."""
    if holding.secret_replaced_at is not None and holding.secret_ends_at is not None:
        response.headers["Deprecation"] = f"@{holding.secret_replaced_at // 1_000_000}"
        response.headers["Sunset"] = http_date(holding.secret_ends_at // 1_000_000)


def _safe(text: str) -> str:
    """Return a text as a header may carry it: what could end the header or a list is percent-encoded."""
    return quote(text, safe="@:/.-_~+=!$*()")
