"""The middleware before gates that misbehave, and what it lets reach the application."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.gate.middleware import ASGIGate, Verified, WSGIGate

ALLOWED = {
    "X-Auth-Subject": "u1",
    "X-Auth-User-Name": "Ada%20L%C3%B6ve",
    "X-Auth-Key-Id": "key_1",
    "X-Auth-Tenant": "t1",
    "X-Auth-Entitlements": "orders,a%2Cb",
    "X-Auth-Scopes": "orders.read a%20b",
    "X-Auth-Decision-Id": "d1",
}
WHO = Verified("u1", "Ada Löve", "key_1", "t1", ("orders", "a,b"), ("orders.read", "a b"), "d1")


class Pretender:
    """A server in the gate's place that answers what it is told to."""

    def __init__(self) -> None:
        self.status = 200
        self.told: dict[str, str] = dict(ALLOWED)
        self.body = b"why"
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.connections: set[int] = set()
        self.hang = threading.Event()
        self.hang.set()
        self.break_off = 0
        pretender = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                pretender.connections.add(self.client_address[1])
                names = {name.lower() for name in self.headers}
                sent = {name: self.headers.get_all(name) or [] for name in names}
                pretender.asked.append((self.path, sent))
                pretender.hang.wait(20)
                if pretender.break_off:
                    pretender.break_off -= 1
                    self.close_connection = True
                    return
                self.send_response(pretender.status)
                for name, value in pretender.told.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(pretender.body)))
                self.end_headers()
                self.wfile.write(pretender.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def gate() -> Iterator[Pretender]:
    made = Pretender()
    yield made
    made.hang.set()
    made.server.shutdown()
    made.server.server_close()


class Sent:
    """What a caller was answered, and what the application saw."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.seen: dict[str, Any] | None = None


Call = Callable[..., Sent]


def over_wsgi(url: str, **options: Any) -> Call:
    sent = Sent()

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sent.seen = environ
        start_response("200 OK", [])
        return [b"hello"]

    gated = WSGIGate(application, url, "gate-token", **options)

    def call(
        method: str = "GET", path: str = "/orders/7", *, client: str | None = "192.0.2.7", **headers: str
    ) -> Sent:
        sent.__init__()  # type: ignore[misc]
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": path[:4],
            "PATH_INFO": path[4:],
            "QUERY_STRING": "secret=1",
            **({} if client is None else {"REMOTE_ADDR": client}),
            "wsgi.input": io.BytesIO(),
            **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
        }

        def start(status: str, told: list[tuple[str, str]]) -> None:
            sent.status, sent.headers = int(status.split()[0]), dict(told)

        sent.body = b"".join(gated(environ, start))  # type: ignore[arg-type]
        return sent

    return call


def over_asgi(url: str, **options: Any) -> Call:
    sent = Sent()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        sent.seen = scope
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    gated = ASGIGate(application, url, "gate-token", **options)
    loop = asyncio.new_event_loop()

    def call(
        method: str = "GET", path: str = "/orders/7", *, client: str | None = "192.0.2.7", **headers: str
    ) -> Sent:
        sent.__init__()  # type: ignore[misc]

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
                sent.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                sent.body += message["body"]

        async def receive() -> Any:
            return {"type": "http.request"}

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"secret=1",
            "client": None if client is None else (client, 1),
            "headers": [
                (name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()
            ],
        }
        loop.run_until_complete(gated(scope, receive, send))
        return sent

    return call


@pytest.fixture(params=[over_wsgi, over_asgi])
def over(request: pytest.FixtureRequest) -> Callable[..., Call]:
    made: Callable[..., Call] = request.param
    return made


def test_who_may_pass_is_told_to_the_application(gate: Pretender, over: Callable[..., Call]) -> None:
    call = over(gate.root, audience="https://api.example", scopes=["orders.read", "orders.write"])
    sent = call("DELETE", "/orders/%41", authorization="Bearer k", x_api_key="k", cookie="c")
    assert (sent.status, sent.body) == (200, b"hello")
    assert sent.seen is not None
    assert sent.seen["keysteward.verified"] == WHO
    assert "Bearer k" not in repr(sent.seen), "the application never sees the key"
    path, asked = gate.asked[0]
    assert path == "/gate/verify?audience=https%3A%2F%2Fapi.example&scope=orders.read+orders.write"
    assert asked["x-gate-authorization"] == ["Bearer gate-token"]
    assert asked["authorization"] == ["Bearer k"]
    assert asked["x-api-key"] == ["k"]
    assert asked["x-original-method"] == ["DELETE"]
    assert asked["x-original-uri"] == ["/orders/%2541"], "decoded by the server, so it was encoded twice"
    assert asked["x-forwarded-for"] == ["192.0.2.7"]
    assert "cookie" not in asked


def test_what_a_caller_says_of_itself_is_not_passed_on(gate: Pretender, over: Callable[..., Call]) -> None:
    made_up = {
        "x_forwarded_for": "203.0.113.5",
        "x_real_ip": "203.0.113.5",
        "forwarded": "for=203.0.113.5",
        "x_client_ip": "203.0.113.5",
        "x_forwarded_uri": "/public",
        "x_forwarded_method": "HEAD",
        "x_original_uri": "/public",
        "x_original_method": "HEAD",
        "x_gate_scope": "more",
        "x_gate_audience": "https://other.example",
        "x_gate_authorization": "Bearer other",
    }
    call = over(gate.root)
    assert call(authorization="Bearer k", **made_up).status == 200
    path, asked = gate.asked[0]
    assert path == "/gate/verify"
    assert asked["x-forwarded-for"] == ["192.0.2.7"], "as the application's server knows it"
    assert asked["x-gate-authorization"] == ["Bearer gate-token"]
    assert (asked["x-original-method"], asked["x-original-uri"]) == (["GET"], ["/orders/7"])
    of_http = {"host", "accept", "accept-encoding", "connection", "user-agent"}
    of_the_call = {"x-gate-authorization", "x-original-method", "x-original-uri", "x-forwarded-for"}
    assert asked.keys() <= of_http | of_the_call | {"authorization"}


def test_what_is_no_address_is_not_told_as_one(gate: Pretender, over: Callable[..., Call]) -> None:
    call = over(gate.root)
    odd = ["192.0.2.7, 10.0.0.1", "unix:/run/app.sock", "localhost", "192.0.2.7\r\nX-Gate-Scope: x", "", None]
    for client in odd:
        assert call(authorization="Bearer k", client=client, x_forwarded_for="203.0.113.5").status == 200
        assert "x-forwarded-for" not in gate.asked[-1][1], client
    for client in ("2001:db8::7", "::ffff:192.0.2.7"):
        call(authorization="Bearer k", client=client)
        assert gate.asked[-1][1]["x-forwarded-for"] == [client]


def test_connections_are_kept_and_nothing_else(gate: Pretender, over: Callable[..., Call]) -> None:
    call = over(gate.root)
    for _ in range(5):
        assert call(authorization="Bearer k").status == 200
    assert (len(gate.asked), len(gate.connections)) == (5, 1)
    gate.status, gate.told = 401, {"X-Auth-Reason": "key_revoked", "WWW-Authenticate": "Bearer"}
    assert call(authorization="Bearer k").status == 401, "the next request sees it"


def test_a_denial_is_passed_on_with_its_reason(gate: Pretender, over: Callable[..., Call]) -> None:
    call = over(gate.root)
    gate.status = 403
    gate.told = {"X-Auth-Reason": "scope_missing", "WWW-Authenticate": 'Bearer error="x"', "X-Secret": "no"}
    sent = call(authorization="Bearer k")
    assert (sent.status, sent.body, sent.seen) == (403, b"why", None)
    told = {name.lower(): value for name, value in sent.headers.items()}
    assert told["www-authenticate"] == 'Bearer error="x"'
    assert told["x-auth-reason"] == "scope_missing"
    assert "x-secret" not in told
    assert call("HEAD").body == b""


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (403, {"X-Auth-Reason": "gate_unauthenticated"}),
        (403, {"X-Auth-Reason": "store_unavailable"}),
        (403, {"X-Auth-Reason": "clock_absurd"}),
        (200, {}),
        (200, {name: value for name, value in ALLOWED.items() if name != "X-Auth-Subject"}),
        (204, ALLOWED),
        (302, {**ALLOWED, "Location": "/"}),
        (404, ALLOWED),
        (500, ALLOWED),
    ],
)
def test_an_answer_that_says_nothing_of_the_key_lets_nobody_pass(
    gate: Pretender, over: Callable[..., Call], status: int, told: dict[str, str]
) -> None:
    gate.status, gate.told, gate.body = status, told, b""
    sent = over(gate.root)(authorization="Bearer k")
    assert (sent.status, sent.seen) == (503, None)
    assert {name.lower() for name in sent.headers} >= {"retry-after", "content-type"}


def test_a_gate_that_does_not_answer_lets_nobody_pass(gate: Pretender, over: Callable[..., Call]) -> None:
    gate.hang.clear()
    began = time.monotonic()
    sent = over(gate.root, timeout=0.2)(authorization="Bearer k")
    assert (sent.status, sent.seen) == (503, None)
    assert time.monotonic() - began < 10, "the gate itself would have waited for 20 seconds"
    gate.server.shutdown()
    gate.server.server_close()
    assert over(gate.root)(authorization="Bearer k").status == 503


def test_a_kept_connection_that_ended_is_asked_over_once_more(
    gate: Pretender, over: Callable[..., Call]
) -> None:
    call = over(gate.root)
    assert call(authorization="Bearer k").status == 200
    gate.break_off = 1
    assert call(authorization="Bearer k").status == 200
    gate.break_off = 2
    assert call(authorization="Bearer k").status == 503
    assert len(gate.asked) == 5


def test_a_header_that_cannot_be_sent_on_lets_nobody_pass(gate: Pretender, over: Callable[..., Call]) -> None:
    sent = over(gate.root)(authorization="Bearer k\r\nX-Gate-Scope: x")
    assert (sent.status, sent.seen) == (503, None)
    assert gate.asked == []


def test_a_websocket_is_asked_about_before_it_opens(gate: Pretender) -> None:
    opened: list[Any] = []
    messages: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        opened.append(scope["keysteward.verified"])

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        messages.append(message)

    async def both() -> None:
        gated = ASGIGate(application, gate.root, "gate-token")
        scope = {
            "type": "websocket",
            "path": "/x",
            "raw_path": b"/ra%77",
            "headers": [(b"X-API-Key", b"k")],
            "client": None,
        }
        await gated(dict(scope), receive, send)
        gate.status, gate.told = 401, {"X-Auth-Reason": "key_revoked"}
        await gated(dict(scope), receive, send)
        with pytest.raises(ValueError, match="nobody can say"):
            await gated({**scope, "type": "datagram"}, receive, send)

    asyncio.run(both())
    assert opened == [WHO]
    assert messages == [{"type": "websocket.close", "code": 1008}]
    assert gate.asked[0][1]["x-original-uri"] == ["/ra%77"]
    assert gate.asked[0][1]["x-original-method"] == ["GET"]


def test_it_needs_nothing_of_the_server() -> None:
    code = (
        "import sys, app.gate.middleware\n"
        "print(*sorted(each for each in sys.modules if each.split('.')[0] == 'app'"
        " or each in ('flask', 'sqlalchemy', 'authlib', 'werkzeug')))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    of_it = "app.gate.middleware"
    assert found.stdout.split() == [
        "app",
        "app.gate",
        of_it,
        f"{of_it}.asgi",
        f"{of_it}.asking",
        f"{of_it}.wsgi",
    ]
