"""The gate in front of an ASGI application (ASGI 3.0, HTTP and WebSocket)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final
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

VERIFIED: Final = "keysteward.verified"
"""The member of the scope that says who calls: a :class:`Verified`."""

_KEY_HEADERS: Final = frozenset(name.encode() for name in KEY_HEADERS)
_POLICY_VIOLATION: Final = 1008

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class ASGIGate:
    """Lets a request or a WebSocket through to an application only when the gate allows it.

    The application finds who calls in ``scope["keysteward.verified"]``, and never sees the key.

    :param url: the root of Keysteward's URLs.
    :param token: a credential with the scope ``gate``.
    :param audience: the API that a key must be for.
    :param scopes: what a key must be for there, all of it.
    :param timeout: how long the gate is waited for, in seconds.
    """

    def __init__(
        self,
        application: Application,
        url: str,
        token: str,
        *,
        audience: str | None = None,
        scopes: Iterable[str] = (),
        timeout: float = TIMEOUT,
    ) -> None:
        self._application = application
        self._asking = Asking(url, token, audience=audience, scopes=scopes, timeout=timeout)
        self._client: tuple[asyncio.AbstractEventLoop, httpx2.AsyncClient] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self._application(scope, receive, send)
            finally:
                await self._close()
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"nobody can say who may use {scope['type']!r}")
        verified = await self._verify(scope)
        if isinstance(verified, Verified):
            headers = [each for each in scope["headers"] if each[0].lower() not in _KEY_HEADERS]
            await self._application({**scope, "headers": headers, VERIFIED: verified}, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            # Before it is accepted, closing it answers 403.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        else:
            await _answer(verified, scope, send)

    async def _verify(self, scope: Scope) -> Verified | Refused:
        # "raw_path" is optional; where it is missing, an escape in the path is one that was encoded twice.
        raw = scope.get("raw_path") or quote(scope["path"].encode()).encode()
        keys = [
            (name.decode("latin-1"), value)
            for name, value in scope["headers"]
            if name.lower() in _KEY_HEADERS
        ]
        client = scope.get("client")
        try:
            headers = self._asking.headers(
                scope.get("method", "GET"),
                raw.decode("latin-1").partition("?")[0],
                client[0] if client else None,
                keys,
            )
            return read(await self._ask(headers))
        except (httpx2.HTTPError, ValueError):
            return unavailable()

    async def _ask(self, headers: list[tuple[bytes, bytes]]) -> httpx2.Response:
        try:
            return await self._pool().get(self._asking.url, headers=headers)
        except BROKEN:
            return await self._pool().get(self._asking.url, headers=headers)

    def _pool(self) -> httpx2.AsyncClient:
        """Return the connections of this event loop: those of another are not for it."""
        loop, client = asyncio.get_running_loop(), self._client
        if client is None or client[0] is not loop:
            client = self._client = (loop, httpx2.AsyncClient(timeout=self._asking.timeout, trust_env=False))
        return client[1]

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client[1].aclose()


async def _answer(refused: Refused, scope: Scope, send: Send) -> None:
    headers, body = answered(refused, head=scope["method"] == "HEAD")
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
