"""What a gateway asks, read from the environ of its request (PEP 3333)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote

from app.gate.decision import Call

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

PATH: Final = "/gate/verify"

GATE_HEADER: Final = "X-Gate-Authorization"
"""The header of the gateway's own token: ``Authorization`` carries the caller's key."""

_BEARER: Final = re.compile(r"bearer\s+(\S.*)", re.IGNORECASE)


class CredentialsConflict(ValueError):
    """A request carries several different credentials where one belongs."""


def token_of(environ: WSGIEnvironment) -> str | None:
    """Return the gateway's own token, with or without ``Bearer`` before it; None where there is none.

    :raises CredentialsConflict: when there are several.
    """
    return _one({_credential(each) for each in _values(environ.get("HTTP_X_GATE_AUTHORIZATION"))})


def said_of(environ: WSGIEnvironment) -> str:
    """Return all that :func:`token_of` and :func:`key_of` read."""
    # No header has a line feed in it (RFC 9110 §5.5).
    gate, bearer = environ.get("HTTP_X_GATE_AUTHORIZATION", ""), environ.get("HTTP_AUTHORIZATION", "")
    return f"{gate}\n{bearer}\n{environ.get('HTTP_X_API_KEY', '')}"


def bearer_of(environ: WSGIEnvironment) -> str | None:
    """Return the token of whoever asks, where it is not a caller's call that is asked about.

    :raises CredentialsConflict: when there are several.
    """
    return _one({_credential(each) for each in _values(environ.get("HTTP_AUTHORIZATION"))})


def key_of(environ: WSGIEnvironment) -> str | None:
    """Return the caller's key, of ``Authorization: Bearer`` or ``X-API-Key``; None where there is none.

    :raises CredentialsConflict: when there are several.
    """
    keys = {_credential(each) for each in _values(environ.get("HTTP_AUTHORIZATION"))}
    return _one(keys.union(_values(environ.get("HTTP_X_API_KEY"))))


def call_of(environ: WSGIEnvironment, client: str | None) -> Call:
    """Return what is asked, of the call of a client whose address may be known.

    On Envoy's form the query is the caller's own, so it asks for nothing. What the headers ask for is added
    to what the URL asks for, so a caller who adds headers only narrows.
    """
    below = environ["PATH_INFO"] != PATH
    audiences, scopes = _needed(
        "" if below else environ.get("QUERY_STRING", ""),
        environ.get("HTTP_X_GATE_AUDIENCE", ""),
        environ.get("HTTP_X_GATE_SCOPE", ""),
    )
    if below:
        # WSGI hands over a decoded path. Encoded again, an escape in it is what was encoded twice: no path.
        path = quote(environ["PATH_INFO"].encode("latin-1")).partition(PATH)[2]
        return Call(audiences, scopes, environ["REQUEST_METHOD"], path, client)
    return Call(
        audiences,
        scopes,
        _stated(environ, "HTTP_X_ORIGINAL_METHOD", "HTTP_X_FORWARDED_METHOD"),
        _stated(environ, "HTTP_X_ORIGINAL_URI", "HTTP_X_FORWARDED_URI"),
        client,
    )


def _values(header: str | None) -> list[str]:
    """Return the values of a header; servers hand over a repeated one joined by commas (RFC 9110 §5.3)."""
    if not header:
        return []
    return [value for part in header.split(",") if (value := part.strip())]


def _credential(value: str) -> str:
    bearer = _BEARER.fullmatch(value)
    return bearer[1] if bearer else value


def _one(credentials: set[str]) -> str | None:
    if len(credentials) > 1:
        raise CredentialsConflict("several credentials")
    return next(iter(credentials), None)


@lru_cache(maxsize=256)
def _needed(query: str, audience: str, scope: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the audiences and the scopes that are asked for; gateways repeat few such questions."""
    audiences, scopes = {audience}, scope.split()
    for name, value in parse_qsl(query.encode("latin-1").decode("utf-8", "replace")):
        if name == "audience":
            audiences.add(value)
        elif name == "scope":
            scopes += value.split()
    return frozenset(audiences - {""}), frozenset(scopes)


def _stated(environ: WSGIEnvironment, first: str, second: str) -> str | None:
    """Return what two headers say, or None when they contradict one another.

    One of them is the gateway's word and the other may be the caller's; which is which cannot be told here.
    """
    one, other = environ.get(first), environ.get(second)
    if one and other and one != other:
        return None
    return one or other or None
