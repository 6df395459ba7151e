"""Bytes that are hardly HTTP, sent to a real server: nothing is accepted, nothing breaks."""

from __future__ import annotations

import re
import select
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlsplit

import psutil

from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import populate
from tests.property.fuzzed_requests import ALLOWED, Fuzzer, Known, Request

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
FUZZED = 300
PATIENCE, LONGEST = 1, 20
"""Seconds until what is sent counts as unfinished, and until an answer counts as none."""
MOST_GROWTH = 64_000_000


def malformed(key: str, gate_token: str) -> Iterator[bytes]:
    """Requests that would be accepted, were they not broken in one place."""
    head = (
        f"GET /gate/verify HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n"
        f"X-Gate-Authorization: Bearer {gate_token}\r\nAuthorization: Bearer {key}\r\n"
    ).encode()
    authorization = f"Authorization: Bearer {key}".encode()
    yield b""
    yield b"\r\n" * 100
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)
    for old, new in (
        (authorization, b"Authorization: Bearer " + key[:30].encode() + b"\r\n " + key[30:].encode()),
        (authorization, b"Authorization: Bearer " + key[:30].encode() + b"\x00" + key[30:].encode()),
        (authorization, b"Authorization: Bearer " + key[:30].encode() + b"\r" + key[30:].encode()),
        (authorization, b"Authorization: Bearer " + key[:30].encode() + b"\n" + key[30:].encode()),
        (authorization, f"Authorization : Bearer {key}".encode()),
        (authorization, f" Authorization: Bearer {key}".encode()),
        (authorization, f"Authorization\x00: Bearer {key}".encode()),
        (authorization, f"Authorization; Bearer {key}".encode()),
        (authorization, f"Authorization_: Bearer {key}".encode()),
        (authorization, authorization + b"\r\nAuthorization: Bearer other"),
        (authorization, authorization + b"\r\nX-API-Key: other"),
        (b"GET ", b"G\x00T "),
        (b"GET /gate/verify", b"GET gate/verify"),
        (b"GET /gate/verify", b"GET  /gate/verify /"),
        (b"GET /gate/verify", b"GET /gate/verify\xff\xfe/\x80"),
        (b"GET /gate/verify", b"GET /gate/verify" + b"/a" * 60_000),
        (b"HTTP/1.1", b"HTTP/9.9"),
        (b"HTTP/1.1", b"HTTP/1.1 x"),
        (b"Host: gate", b"Host: gate\r\n" + b"X-A: b\r\n" * 3000 + b"X-A: b"),
        (b"Host: gate", b"Host: gate\r\nX-A: " + b"b" * 1_000_000),
    ):
        assert old in head
        yield head.replace(old, new, 1) + b"\r\n"


def exchanged(server: LiveServer, sent: bytes) -> list[int]:
    """Send bytes as they are; return the statuses of all that is answered."""
    parts = urlsplit(server.root)
    answered = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=LONGEST) as connection:
        try:
            connection.sendall(sent)
            # Half-closed before its answer begins, a request may be given up: its client seems gone.
            select.select([connection], [], [], PATIENCE)
            connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                answered += received
        except OSError:
            # Refused while it was still being sent.
            pass
    return [int(each) for each in STATUS.findall(answered)]


def on_the_wire(request: Request) -> bytes:
    """Return a fuzzed request as bytes."""
    target = quote(request.path, safe="/", encoding="latin-1")
    query = quote(request.query, safe="=&%;+?/", encoding="latin-1")
    lines = [f"{request.method} {target}{'?' + query if query else ''} HTTP/1.1", "Connection: close"]
    for name, value in request.headers.items():
        lines.append(f"{name.removeprefix('HTTP_').replace('_', '-').title()}: {value}")
    if "HTTP_HOST" not in request.headers:
        lines.append("Host: gate")
    if request.body:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + request.body


def test_nothing_but_a_live_key_is_accepted_whatever_the_bytes(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    gate_token = server.credentials["gate"]["token"]
    fuzzer = Fuzzer(3, Known({gate_token: "a"}, {holder.secret: ("a", ALLOWED)}))
    processes = [psutil.Process(server.pid)]
    processes += processes[0].children(recursive=True)
    before = sum(each.memory_info().rss for each in processes)
    seen: Counter[int] = Counter()
    for sent in malformed(holder.secret, gate_token):
        statuses = exchanged(server, sent)
        assert all(300 <= status < 500 for status in statuses), (sent[:300], statuses)
        seen.update(statuses)
    for _ in range(FUZZED):
        request = fuzzer.request()
        for status in exchanged(server, on_the_wire(request)):
            assert status < 500, request
            assert status >= 300 or ALLOWED in request.expected, (request, request.headers)
            seen[status] += 1
    print(dict(seen))
    # Most are refused by the server before the gate sees them; some come as far as that.
    assert seen[400] > FUZZED / 10
    assert seen[401] > FUZZED / 10
    assert seen.total() > FUZZED * 0.9
    with server.gate() as gate:
        answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {holder.secret}"})
        assert answer.status_code == 200
    # The same processes: none had to be started again.
    assert all(each.is_running() for each in processes)
    assert sum(each.memory_info().rss for each in processes) - before < MOST_GROWTH
