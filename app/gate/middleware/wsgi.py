"""The gate in front of a WSGI application (PEP 3333)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import httpx2

from app.gate.middleware.asking import (
    BROKEN,
    KEY_HEADERS,
    TIMEOUT,
    Asking,
    Refused,
    Verified,
    answered,
    read,
    unavailable,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

VERIFIED: Final = "keysteward.verified"
"""The member of the environ that says who calls: a :class:`Verified`."""


class WSGIGate:
    """Lets a request through to an application only when the gate allows it.

    The application finds who calls in ``environ["keysteward.verified"]``, and never sees the key.

    :param url: the root of Keysteward's URLs.
    :param token: a credential with the scope ``gate``.
    :param audience: the API that a key must be for.
    :param scopes: what a key must be for there, all of it.
    :param timeout: how long the gate is waited for, in seconds.
    """

    def __init__(
        self,
        application: WSGIApplication,
        url: str,
        token: str,
        *,
        audience: str | None = None,
        scopes: Iterable[str] = (),
        timeout: float = TIMEOUT,
    ) -> None:
        self._application = application
        self._asking = Asking(url, token, audience=audience, scopes=scopes, timeout=timeout)
        self._client: tuple[int, httpx2.Client] | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        verified = self._verify(environ)
        if isinstance(verified, Refused):
            headers, body = answered(verified, head=environ["REQUEST_METHOD"] == "HEAD")
            start_response(f"{verified.status} {HTTPStatus(verified.status).phrase}", headers)
            return [body]
        for name in KEY_HEADERS:
            environ.pop(_variable(name), None)
        environ[VERIFIED] = verified
        return self._application(environ, start_response)

    def _verify(self, environ: WSGIEnvironment) -> Verified | Refused:
        # WSGI hands over a decoded path. Encoded again, an escape in it is one that was encoded twice.
        path = quote((environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1"))
        keys = [
            (name, environ[_variable(name)].encode("latin-1"))
            for name in KEY_HEADERS
            if environ.get(_variable(name))
        ]
        headers = self._asking.headers(environ["REQUEST_METHOD"], path, environ.get("REMOTE_ADDR"), keys)
        try:
            return read(self._ask(headers))
        except (httpx2.HTTPError, ValueError):
            return unavailable()

    def _ask(self, headers: list[tuple[bytes, bytes]]) -> httpx2.Response:
        try:
            return self._pool().get(self._asking.url, headers=headers)
        except BROKEN:
            return self._pool().get(self._asking.url, headers=headers)

    def _pool(self) -> httpx2.Client:
        """Return the connections of this process: after a fork, those of the parent are not for the child."""
        process, client = os.getpid(), self._client
        if client is None or client[0] != process:
            client = self._client = (
                process,
                httpx2.Client(timeout=self._asking.timeout, trust_env=False),
            )
        return client[1]


def _variable(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"
