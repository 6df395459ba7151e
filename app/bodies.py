"""Request bodies whose length is known before anything reads them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PIECE = 64 * 1024


class KnownLength:
    """Gives every request body a length, as WSGI applications may expect (PEP 3333).

    A body in chunks (RFC 9112 §7.1) is read first, up to the limit and a byte. Without this, Werkzeug would
    cut a chunked body at the limit instead of answering 413, and would take a body that its client broke
    off before its announced length for a whole one.

    :param limit: the largest body that the application accepts, in bytes.
    """

    def __init__(self, application: WSGIApplication, limit: int) -> None:
        self._application = application
        self._limit = limit

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Only where the server says nothing of ending the stream does Werkzeug hold a body to its length.
        environ.pop("wsgi.input_terminated", None)
        if environ.get("HTTP_TRANSFER_ENCODING") or _streams(environ):
            body = self._read(environ["wsgi.input"])
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        return self._application(environ, start_response)

    def _read(self, stream: io.BufferedIOBase) -> bytes:
        body = bytearray()
        while len(body) <= self._limit:
            piece = stream.read(min(PIECE, self._limit + 1 - len(body)))
            if not piece:
                break
            body += piece
        return bytes(body)


def _streams(environ: WSGIEnvironment) -> bool:
    """Whether a body may follow without an announcement, as in HTTP/2."""
    return not environ.get("CONTENT_LENGTH") and str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2")
