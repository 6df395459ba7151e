"""The hot door: ``/gate/verify`` answered in front of Flask's dispatch, which costs more than the answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from app.gate.question import PATH
from app.gate.verify import Verify

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_BELOW: Final = f"{PATH}/"


class Door:
    """A WSGI application that answers gateways by itself and leaves all others to another one."""

    def __init__(self, verify: Verify, others: WSGIApplication) -> None:
        self._verify = verify
        self._others = others

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path != PATH and not path.startswith(_BELOW):
            return self._others(environ, start_response)
        answer = self._verify.answer(environ)
        start_response(answer.status, answer.headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
