"""How the gate is asked, and what its answers mean. Nothing is kept: each request is asked about anew."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlencode

import httpx2

TIMEOUT: Final = 1.0
"""For how many seconds the gate is waited for."""

KEY_HEADERS: Final = ("authorization", "x-api-key")
"""The headers that may carry a key, in small letters. The application never sees them."""

BROKEN: Final = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""A kept connection ended just when it was used again: the one case in which the gate is asked twice."""

_OUTAGES: Final = frozenset({"gate_unauthenticated", "store_unavailable", "clock_absurd"})
_TOLD: Final = (
    "Content-Type",
    "WWW-Authenticate",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
    "Deprecation",
    "Sunset",
    "X-Auth-Reason",
    "X-Auth-Decision-Id",
)

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Verified:
    """Who calls: the consumer of the key, the entitlements that allow the call, and their scopes."""

    consumer_id: str
    user_name: str
    key_id: str
    tenant_id: str
    entitlements: tuple[str, ...]
    scopes: tuple[str, ...]
    decision_id: str


@dataclass(frozen=True)
class Refused:
    """What the caller is answered instead of the application's answer."""

    status: int
    headers: Headers
    body: bytes


class Asking:
    """Makes requests to the gate, and reads its answers.

    :param url: the root of Keysteward's URLs.
    :param token: a credential with the scope ``gate``.
    :param audience: what every call needs, as the scopes are.
    :param timeout: how long the gate is waited for altogether, in seconds.
    """

    def __init__(
        self, url: str, token: str, *, audience: str | None, scopes: Iterable[str], timeout: float
    ) -> None:
        needed = {"audience": audience, "scope": " ".join(scopes)}
        query = urlencode({name: value for name, value in needed.items() if value})
        self.url: Final = f"{url.rstrip('/')}/gate/verify" + (f"?{query}" if query else "")
        self._token = token
        # Each step has a share, so that all of them together take no longer.
        self.timeout: Final = httpx2.Timeout(
            connect=timeout * 0.25, write=timeout * 0.1, read=timeout * 0.5, pool=timeout * 0.15
        )

    def headers(
        self, method: str, path: str, client: str | None, keys: Iterable[tuple[str, bytes]]
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers that ask about one call.

        Of the caller's headers the gate is told those with keys and no other: ``X-Forwarded-For`` is what the
        application's server knows, and never what a caller wrote there.

        :param path: as it stands in the request line, without the query.
        :param client: the address that the server was called from. What is no address is not told.
        :param keys: the caller's headers of :data:`KEY_HEADERS`, each as it came.
        """
        headers = [
            ("X-Gate-Authorization", f"Bearer {self._token}".encode()),
            ("X-Original-Method", method.encode("latin-1")),
            ("X-Original-URI", path.encode("latin-1")),
            *keys,
        ]
        if client and _is_address(client):
            headers.append(("X-Forwarded-For", client.encode("latin-1")))
        return [(name.encode("latin-1"), value) for name, value in headers]


def read(answer: httpx2.Response) -> Verified | Refused:
    """Return what an answer of the gate means; what is not understood lets nobody pass."""
    told = answer.headers
    if answer.status_code == 200:
        try:
            return Verified(
                consumer_id=told["X-Auth-Subject"],
                user_name=unquote(told["X-Auth-User-Name"]),
                key_id=told["X-Auth-Key-Id"],
                tenant_id=told["X-Auth-Tenant"],
                entitlements=_listed(told["X-Auth-Entitlements"], ","),
                scopes=_listed(told["X-Auth-Scopes"], None),
                decision_id=told["X-Auth-Decision-Id"],
            )
        except KeyError:
            return unavailable()
    if answer.status_code in (401, 403, 429) and told.get("X-Auth-Reason") not in _OUTAGES:
        headers = [(name, told[name]) for name in _TOLD if name in told]
        return Refused(answer.status_code, headers, answer.content)
    return unavailable()


def unavailable() -> Refused:
    """Return what a caller is told when the gate says nothing of the key: nothing passes (fail closed)."""
    problem = {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Whether this key may pass cannot be said now.",
    }
    headers = [("Content-Type", "application/problem+json"), ("Retry-After", "1")]
    return Refused(503, headers, json.dumps(problem).encode())


def answered(refused: Refused, *, head: bool) -> tuple[Headers, bytes]:
    """Return the headers and the body of the answer that a refusal is; to HEAD there is no body."""
    headers = [*refused.headers, ("Content-Length", str(len(refused.body))), ("Cache-Control", "no-store")]
    return headers, b"" if head else refused.body


def _is_address(text: str) -> bool:
    # A server that takes the address from a header may hand over a whole list, most of which anybody wrote.
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _listed(text: str, separator: str | None) -> tuple[str, ...]:
    return tuple(unquote(each) for each in text.split(separator) if each)
