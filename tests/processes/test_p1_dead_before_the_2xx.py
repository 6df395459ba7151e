"""P1: a verification that starts after a SCIM answer was sent sees that change, on every node and process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from conformance.deadline.routes import ROUTES
from tests.processes.conftest import LiveServer, http_client, on_the_same_folder
from tests.processes.deadline_run import DeadlineRun, run_deadline


def assert_none_late(run: DeadlineRun, withdrawals: int, nodes: int) -> None:
    print(run.printed)
    assert run.code == 0, run.printed
    assert run.report["lateAccepts"] == 0
    assert run.report["answers"].keys() <= {"200", "401", "403"}
    # The load was there: besides what the one who withdraws asks, others asked of each key, before and after.
    assert run.report["decisions"] > 4 * nodes * withdrawals
    assert run.report["blind"] == []
    routes = run.report["routes"]
    assert routes.keys() == {"all", *(each.name for each in ROUTES)}
    assert routes["all"]["withdrawals"] == withdrawals
    for route in routes.values():
        assert route["firstDeny"]["count"] == route["lastAccept"]["count"] == route["withdrawals"]
    assert run.report["stayed"] == []


def test_no_verification_that_starts_after_the_answer_is_accepted(
    new_server: Callable[..., LiveServer], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    alone = on_the_same_folder(server, KEYSTEWARD_WORKERS="1", KEYSTEWARD_THREADS="1")
    request.addfinalizer(alone.stop)
    alone.start()
    run = run_deadline(tmp_path, server, server.root, alone.root, withdrawals=48, workers=3)
    assert_none_late(run, 48, 2)


def test_the_same_with_postgresql_on_two_nodes(
    new_server: Callable[..., LiveServer], postgresql_url: str, tmp_path: Path
) -> None:
    first = new_server(KEYSTEWARD_DATABASE_URL=postgresql_url)
    second = new_server(beside=first)
    run = run_deadline(tmp_path, first, first.root, second.root, withdrawals=36, workers=3)
    assert_none_late(run, 36, 2)
    # The second is a node of the same installation.
    with second.gate() as gate:
        assert gate.get("/gate/verify").headers["X-Auth-Reason"] == "no_key"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_withdrawals(new_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    assert_none_late(run_deadline(tmp_path, server, withdrawals=1000, workers=8), 1000, 1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_withdrawals_with_postgresql_on_two_nodes(
    new_server: Callable[..., LiveServer], postgresql_url: str, tmp_path: Path
) -> None:
    first = new_server(KEYSTEWARD_DATABASE_URL=postgresql_url)
    second = new_server(beside=first)
    run = run_deadline(tmp_path, first, first.root, second.root, withdrawals=1000, workers=8)
    assert_none_late(run, 1000, 2)


@contextmanager
def caching_proxy(server: LiveServer) -> Iterator[str]:
    """Stand between gateways and the gate, and say again what was allowed once: what P1 rules out."""
    allowed: set[str] = set()

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = self.headers["Authorization"]
            if key not in allowed:
                with http_client(base_url=server.root) as gate:
                    names = ("Authorization", "X-Gate-Authorization")
                    answer = gate.get(self.path, headers={name: self.headers[name] for name in names})
                if answer.status_code == 200:
                    allowed.add(key)
            self.send_response(200 if key in allowed else answer.status_code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{proxy.server_address[1]}"
    proxy.shutdown()
    proxy.server_close()


def test_the_harness_sees_a_late_accept_and_where_it_was(
    new_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = new_server()
    with caching_proxy(server) as proxy:
        run = run_deadline(
            tmp_path,
            server,
            server.root,
            proxy,
            withdrawals=3,
            workers=2,
            route="delete",
            report=str(tmp_path / "deadline.html"),
        )
    assert run.code == 1, run.printed
    assert run.report["routes"]["delete"]["lateAccepts"] == run.report["lateAccepts"] >= 3
    assert {each["node"] for each in run.report["late"]} == {proxy}
    assert all(each["milliseconds"] > 0 for each in run.report["late"])
    page = (tmp_path / "deadline.html").read_text(encoding="utf-8")
    assert page.count('class="late"') == 3
    assert not any(each["token"] in page for each in server.credentials.values() if "token" in each)
