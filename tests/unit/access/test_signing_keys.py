"""Keys are fetched from real servers: slow ones, broken ones, and ones that mean harm."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from app.access import signing_keys
from app.access.clients import ClientInvalid, checked_address
from app.access.signing_keys import AT_ONCE, FRESH, LARGEST, PATIENCE, KeysUnavailable, SigningKeys

OLD, NEW = (ECKey.generate_key("P-256", parameters={"kid": kid}) for kid in ("old", "new"))


@dataclass
class Place:
    """Where keys are published, on this machine."""

    url: str = ""
    keys: list[Any] = field(default_factory=lambda: [OLD])
    asked: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    held: threading.Event | None = None


@pytest.fixture
def place() -> Iterator[Place]:
    with published() as made:
        yield made


@contextmanager
def published() -> Iterator[Place]:
    made = Place()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked += 1
            if made.held is not None:
                made.held.wait(60)
            listed = {"keys": [each.as_dict(private=False) for each in made.keys]}
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(listed).encode() if made.body is None else made.body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/keys"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    if made.held is not None:
        made.held.set()
    server.shutdown()
    server.server_close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock: Clock) -> SigningKeys:
    return SigningKeys(loopback=True, clock=clock)


def ids(keys: SigningKeys, place: Place, key_id: str | None) -> list[str | None]:
    return [each.kid for each in keys.at(place.url, key_id).keys]


def test_keys_are_kept_for_an_hour(keys: SigningKeys, place: Place, clock: Clock) -> None:
    for _ in range(3):
        assert ids(keys, place, "old") == ["old"]
        clock.now += FRESH / 3 - 1
    assert place.asked == 1
    clock.now += 3
    assert ids(keys, place, "old") == ["old"]
    assert place.asked == 2


def test_an_unknown_key_id_has_them_fetched_but_not_often(
    keys: SigningKeys, place: Place, clock: Clock
) -> None:
    assert ids(keys, place, "old") == ["old"]
    place.keys = [NEW]
    assert ids(keys, place, "new") == ["old"], "asked a moment ago"
    clock.now += PATIENCE
    assert ids(keys, place, "new") == ["new"]
    for _ in range(100):
        ids(keys, place, "forged")
    assert place.asked == 2


def test_an_issuer_that_fails_is_not_asked_again_at_once(
    keys: SigningKeys, place: Place, clock: Clock
) -> None:
    place.status = 500
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            ids(keys, place, "old")
    assert place.asked == 1
    place.status = 200
    clock.now += PATIENCE
    assert ids(keys, place, "old") == ["old"]


def test_keys_that_are_fresh_outlive_a_failure_and_others_do_not(
    keys: SigningKeys, place: Place, clock: Clock
) -> None:
    assert ids(keys, place, "old") == ["old"]
    place.status = 500
    clock.now += FRESH - 1
    assert ids(keys, place, "new") == ["old"]
    clock.now += PATIENCE
    with pytest.raises(KeysUnavailable):
        ids(keys, place, "old")


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "http://127.0.0.1:1/"}, None),
        (404, {}, None),
        (200, {}, b"not JSON"),
        (200, {}, b"[]"),
        (200, {}, b'{"keys": "x"}'),
        (200, {}, b'{"keys": []}'),
        (200, {}, b"[" * 100_000),
        (200, {}, b" " * (LARGEST + 1)),
        (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 10_000_000)),
        (200, {}, json.dumps({"keys": [OctKey.import_key("s" * 32).as_dict(private=True)]}).encode()),
    ],
)
def test_what_is_no_key_set_gives_no_keys(
    keys: SigningKeys, place: Place, status: int, headers: dict[str, str], body: bytes | None
) -> None:
    place.status, place.headers, place.body = status, headers, body
    with pytest.raises(KeysUnavailable):
        ids(keys, place, "old")


def test_nobody_answers_where_nobody_listens(keys: SigningKeys) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(KeysUnavailable):
            keys.at(f"http://127.0.0.1:{taken.getsockname()[1]}/", None)


def test_a_slow_issuer_keeps_few_waiting_and_no_other_issuer(keys: SigningKeys, place: Place) -> None:
    place.held = threading.Event()
    with published() as other, ThreadPoolExecutor(AT_ONCE) as pool:
        waiting = [pool.submit(ids, keys, place, "old") for _ in range(AT_ONCE)]
        while keys._waiting._value:
            pass
        with pytest.raises(KeysUnavailable):
            ids(keys, place, "old")
        with pytest.raises(KeysUnavailable):
            ids(keys, other, "old")
        place.held.set()
        assert [each.result(60) for each in waiting] == [["old"]] * AT_ONCE
        assert ids(keys, other, "old") == ["old"], "it was fetched meanwhile"
    assert (place.asked, other.asked) == (1, 1)


def test_an_issuer_that_never_ends_its_answer_is_waited_for_no_longer_than_said(
    keys: SigningKeys, place: Place, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_keys, "LONGEST_WAIT", 0.1)
    place.held = threading.Event()
    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            ids(keys, place, "old")
        clock.now += PATIENCE
    assert place.asked == 1, "it is asked once at a time"


def test_http_is_for_this_machine_and_only_where_that_is_allowed(place: Place) -> None:
    with pytest.raises(KeysUnavailable):
        SigningKeys().at(place.url, None)
    assert place.asked == 0
    for address in ("https://keys.example", "https://keys.example:8443/a?b=c"):
        assert checked_address(address, loopback=False) == address
    for address in (
        "http://keys.example",
        "http://127.0.0.1.example/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "https://user@keys.example",
        "https://keys.example/#x",
        "https://",
        "https://[",
        "https://keys.example/\r\nX: y",
    ):
        with pytest.raises(ClientInvalid):
            checked_address(address, loopback=True)
