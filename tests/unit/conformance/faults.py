"""A right SCIM server, and ways to break one rule of it on the way to a client and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import httpx2

from conformance.exchange import Target
from conformance.peers.scim2_server import make_application

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TOKEN = "token-of-these-tests"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def with_json(self, document: Any) -> Response:
        return replace(self, body=json.dumps(document).encode())


Serve = Callable[[Request], Response]
Fault = Callable[[Request, Serve], Response]


def right(request: Request, serve: Serve) -> Response:
    return serve(request)


class Broken:
    """An application whose every request goes through a fault."""

    def __init__(self, application: WSGIApplication, fault: Fault) -> None:
        self._application = application
        self._fault = fault

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = Request(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
            {
                name[5:].replace("_", "-").title(): value
                for name, value in environ.items()
                if name[:5] == "HTTP_"
            },
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
        )
        answer = self._fault(asked, lambda request: self._serve(environ, request))
        headers = [(name, value) for name, value in answer.headers.items() if name != "Content-Length"]
        start_response(f"{answer.status} -", [*headers, ("Content-Length", str(len(answer.body)))])
        return [answer.body]

    def _serve(self, environ: WSGIEnvironment, request: Request) -> Response:
        started: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            started[:] = [int(status.split()[0]), {name.title(): value for name, value in headers}]
            return lambda _written: None

        kept = {name: value for name, value in environ.items() if not name.startswith("HTTP_")}
        inner = {
            **kept,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()},
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": urlencode(request.query),
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.input": io.BytesIO(request.body),
        }
        body = b"".join(self._application(inner, start))
        return Response(started[0], started[1], body)


def target(fault: Fault = right) -> Target:
    """Return a new server with a fault, spoken to without a network."""
    transport = httpx2.WSGITransport(Broken(make_application(TOKEN), fault))
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return Target(httpx2.Client(transport=transport, base_url="http://server.test/v2/", headers=headers))
