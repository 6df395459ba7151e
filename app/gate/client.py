"""The address of whoever calls the API, as far as trusted proxies tell it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from app.rights.conditions.networks import Address, Network, Networks, parse_address

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_WITH_PORT: Final = re.compile(r"\[([^\]]+)\](?::\d{1,5})?|([0-9.]+):\d{1,5}", re.ASCII)
_MOST_KEPT: Final = 4096


class ClientAddress:
    """Reads it from the request by which a gateway asks.

    Each proxy adds the address it was called from at the end of ``X-Forwarded-For``; what stands before that
    of the last proxy that is trusted, anybody can have written. So the client is the rightmost address that
    is no trusted proxy's. ``X-Real-IP`` is the same in one address, of the proxy that asks.

    :param trusted: the networks of the proxies, that of the gateway that asks included.
    """

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = Networks(trusted)
        self._kept = lru_cache(maxsize=_MOST_KEPT)(self._told)

    def of(self, environ: WSGIEnvironment) -> str | None:
        """Return the address; None where it is not told, not by a trusted proxy, or in two ways."""
        if not self._trusted.networks:
            return None
        return self._kept(
            environ.get("REMOTE_ADDR", ""),
            environ.get("HTTP_X_FORWARDED_FOR", ""),
            environ.get("HTTP_X_REAL_IP", ""),
        )

    def _told(self, asking: str, forwarded: str, real: str) -> str | None:
        gateway = _address(asking)
        if gateway is None or gateway not in self._trusted:
            return None
        hops = [_address(each) for each in forwarded.split(",")] if forwarded else []
        caller = _address(real) if real else None
        if not hops:
            return None if caller is None else str(caller)
        if real and (caller is None or caller not in (hops[-1], self._client(hops))):
            return None
        client = self._client(hops)
        return None if client is None else str(client)

    def _client(self, hops: list[Address | None]) -> Address | None:
        """Return the rightmost address of no trusted proxy; the first of all where all are trusted."""
        for hop in reversed(hops):
            if hop is None or hop not in self._trusted:
                return hop
        return hops[0]


def _address(text: str) -> Address | None:
    """Return an address, with or without a port."""
    text = text.strip()
    found = _WITH_PORT.fullmatch(text)
    return parse_address((found[1] or found[2]) if found else text)
