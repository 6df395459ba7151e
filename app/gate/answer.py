"""What a gateway is answered: a status it understands, and headers."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from typing import Final
from urllib.parse import quote

from msgspec import Struct
from werkzeug.http import http_date

from app.gate.current import MOST_DERIVED
from app.gate.decision import Allow, Deny, Holding, LimitState, Right
from app.gate.limits import wait
from app.gate.reasons import Reason
from app.gate.verification import Verdict

REALM: Final = "api"

Headers = list[tuple[str, str]]

_NOT_STORED: Final = ("Cache-Control", "no-store")
_STATUS: Final = {401: "401 Unauthorized", 403: "403 Forbidden"}


class Answer(Struct, frozen=True):
    """An answer in the terms of WSGI."""

    status: str
    headers: Headers
    body: bytes


def answer_to(verdict: Verdict) -> Answer:
    """Return the answer that a verdict is: 200, 401 or 403, and nothing else.

    nginx makes an error 500 of any other status and Envoy allows with 200 alone.
    """
    decision = verdict.decision
    named = ("X-Auth-Decision-Id", verdict.id)
    if isinstance(decision, Allow):
        status, body = "200 OK", b""
        headers = [*_allowed(decision.holding, decision.rights), named]
    else:
        status, body = _STATUS[decision.reason.status], _problem(decision.reason)
        headers = [*_denied(decision), named]
    if decision.limits:
        headers += _limits(decision.limits)
    return Answer(status, headers, body)


@lru_cache(maxsize=MOST_DERIVED)
def _allowed(holding: Holding, rights: tuple[Right, ...]) -> tuple[tuple[str, str], ...]:
    if len(rights) == 1:
        entitlements, scopes = safe(rights[0].value), _list(rights[0].scopes)
    else:
        entitlements = ",".join(safe(right.value) for right in rights)
        scopes = _list(tuple(dict.fromkeys(scope for right in rights for scope in right.scopes)))
    headers = [
        ("X-Auth-Subject", holding.consumer_id),
        ("X-Auth-User-Name", safe(holding.user_name)),
        ("X-Auth-Key-Id", holding.key_id),
        ("X-Auth-Tenant", holding.tenant_id),
        ("X-Auth-Entitlements", entitlements),
        ("X-Auth-Scopes", scopes),
        ("Content-Length", "0"),
        _NOT_STORED,
    ]
    if holding.secret_replaced_at is not None:
        headers += _rotation(holding)
    return tuple(headers)


def _denied(decision: Deny) -> Headers:
    reason = decision.reason
    headers = [
        ("Content-Type", "application/problem+json"),
        ("X-Auth-Reason", reason.code),
        ("Content-Length", str(len(_problem(reason)))),
        _NOT_STORED,
    ]
    if reason is Reason.NO_KEY:
        # RFC 6750 §3.1: who sent no credential is told the scheme and nothing more.
        headers.append(("WWW-Authenticate", f'Bearer realm="{REALM}"'))
    elif reason.status == 401:
        challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{reason.description}"'
        headers.append(("WWW-Authenticate", challenge))
    elif reason in (Reason.SCOPE_MISSING, Reason.AUDIENCE_MISMATCH, Reason.NO_GRANT):
        headers.append(("WWW-Authenticate", f'Bearer realm="{REALM}", error="insufficient_scope"'))
    elif reason is Reason.STORE_UNAVAILABLE:
        headers.append(("Retry-After", "1"))
    elif decision.limits:
        headers.append(("Retry-After", str(wait(decision.limits))))
    if decision.holding is not None and (reason.status == 403 or reason is Reason.SECRET_ROTATED):
        headers += _rotation(decision.holding)
    return headers


@cache
def _problem(reason: Reason) -> bytes:
    """Return a denial as problem details (RFC 9457)."""
    problem = {
        "type": "about:blank",
        "title": "Denied",
        "status": reason.status,
        "detail": reason.description,
        "reason": reason.code,
    }
    return json.dumps(problem).encode()


def _rotation(holding: Holding) -> Headers:
    """Tell the holder of a secret that was rotated out since when, and when it ends (RFC 9745, RFC 8594)."""
    if holding.secret_replaced_at is None or holding.secret_ends_at is None:
        return []
    return [
        ("Deprecation", f"@{holding.secret_replaced_at // 1_000_000}"),
        ("Sunset", http_date(holding.secret_ends_at // 1_000_000)),
    ]


def _limits(limits: tuple[LimitState, ...]) -> Headers:
    """Tell what the limits are and what is left of them (draft-ietf-httpapi-ratelimit-headers-11)."""
    policies = (f'"{each.name}";q={each.quota};w={each.window}' for each in limits)
    states = (f'"{each.name}";r={each.left};t={each.resets_in}' for each in limits)
    return [("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(states))]


@lru_cache(maxsize=10_000)
def safe(text: str) -> str:
    """Return a text as a header may carry it: what could end the header or a list is percent-encoded."""
    return quote(text, safe="@:/.-_~+=!$*()")


@lru_cache(maxsize=10_000)
def _list(scopes: tuple[str, ...]) -> str:
    return " ".join(safe(scope) for scope in scopes)
