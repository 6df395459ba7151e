"""Request bodies whose length is known before anything reads them, and which are read in the end."""

from __future__ import annotations

import io
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PIECE = 64 * 1024
MOST_PIECES_LEFT = 16


class KnownLength:
    """Gives every request body a length, as WSGI applications may expect (PEP 3333).

    A body in chunks (RFC 9112 §7.1) is read first, up to the limit and a byte. Without this, Werkzeug would
    cut a chunked body at the limit instead of answering 413, and would take a body that its client broke
    off before its announced length for a whole one.

    What the application leaves of a body, because its answer is an error already, is read before the answer
    leaves, unless it is much: the server would close a connection on which a body is still to come, and the
    client's next request would get no answer.

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
        answer = self._application(environ, start_response)
        _read_rest(environ["wsgi.input"])
        return answer

    def _read(self, stream: io.BufferedIOBase) -> bytes:
        body = bytearray()
        while len(body) <= self._limit:
            piece = stream.read(min(PIECE, self._limit + 1 - len(body)))
            if not piece:
                break
            body += piece
        return bytes(body)


def _read_rest(stream: io.BufferedIOBase) -> None:
    # A body that broke off has no connection to keep.
    with suppress(OSError):
        for _ in range(MOST_PIECES_LEFT):
            if not stream.read(PIECE):
                break


def _streams(environ: WSGIEnvironment) -> bool:
    """Whether a body may follow without an announcement, as in HTTP/2."""
    return not environ.get("CONTENT_LENGTH") and str(environ.get("SERVER_PROTOCOL")).startswith("HTTP/2")
