"""``python -m conformance --suite rfc``: on a live Keysteward, and as a command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conformance.peers.scim2_server import make_application, serve
from tests.processes.conftest import LiveServer, bearer, free_port, http_client
from tests.processes.forked import KEYSTEWARD

TOKEN = "a-token-that-no-report-may-hold"


@dataclass(frozen=True)
class Peer:
    """Another live SCIM server, with everything in memory."""

    url: str

    @property
    def client(self) -> httpx2.Client:
        return http_client(base_url=self.url, headers=bearer(TOKEN))

    def users(self) -> int:
        return int(self.client.get("/Users").json()["totalResults"])

    def add_user(self) -> None:
        schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
        made = self.client.post("/Users", json={"schemas": schemas, "userName": "ada"})
        assert made.status_code == 201


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serve(make_application(TOKEN), 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield Peer(f"http://127.0.0.1:{server.server_port}/v2")
        server.shutdown()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "conformance", *map(str, arguments)]


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment or None, timeout=200
    )


def counting_against(report: Path) -> list[dict[str, Any]]:
    return [each for each in json.loads(report.read_text())["findings"] if each["countsAgainst"]]


def test_nothing_counts_against_a_strict_connection(
    new_server: Callable[..., LiveServer], tmp_path: Path
) -> None:
    server = new_server()
    made = subprocess.run(
        [*KEYSTEWARD, "connection", "create", "strict", "--dialect", "rfc-strict", "--json"],
        env=server.environment,
        capture_output=True,
        check=True,
    )
    connection = json.loads(made.stdout)
    token_file, report, page = tmp_path / "token", tmp_path / "report.json", tmp_path / "report.html"
    token_file.write_text(connection["token"] + "\n")

    ran = run("--url", connection["url"], "--token-file", token_file, "--json", report, "--report", page)

    assert [(each["id"], each["detail"]) for each in counting_against(report)] == []
    assert ran.returncode == 0, ran.stderr
    document = json.loads(report.read_text())
    assert document["counts"]["rfc"]["passed"] > 400
    assert document["stayed"] == []
    users = httpx2.get(f"{connection['url']}/Users", headers=bearer(connection["token"])).json()
    assert users["totalResults"] == 0
    for written in (report.read_text(), page.read_text(), ran.stdout, ran.stderr):
        assert connection["token"] not in written


def test_what_counts_against_a_server_is_the_exit_code(peer: Peer, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ran = run("--url", peer.url, "--json", report, CONFORMANCE_TOKEN=TOKEN)
    # What it does not do as the RFCs say; see docs/conformance.md.
    assert {each["id"] for each in counting_against(report)} == {
        "rfc7643-4.1.1-user-name-required",
        "rfc7644-3.9-post",
    }
    assert ran.returncode == 1
    assert peer.users() == 0
    assert "failed  rfc7644-3.9-post" in ran.stdout
    assert TOKEN not in ran.stdout + ran.stderr + report.read_text()


def test_a_server_with_users_is_left_alone(peer: Peer) -> None:
    peer.add_user()
    ran = run("--url", peer.url, CONFORMANCE_TOKEN=TOKEN)
    assert ran.returncode == 2
    assert "--allow-existing-users" in ran.stderr
    assert peer.users() == 1


def test_unless_told_otherwise_and_then_keeps_them(peer: Peer, tmp_path: Path) -> None:
    peer.add_user()
    report = tmp_path / "report.json"
    ran = run("--url", peer.url, "--allow-existing-users", "--json", report, CONFORMANCE_TOKEN=TOKEN)
    assert ran.returncode == 1, ran.stderr
    assert len(counting_against(report)) == 2
    assert peer.users() == 1
    assert peer.client.get("/Users").json()["Resources"][0]["userName"] == "ada"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_broken_off_cleans_up(peer: Peer, tmp_path: Path, number: signal.Signals) -> None:
    report = tmp_path / "report.json"
    process = subprocess.Popen(
        command("--url", peer.url, "--json", report),
        stdout=subprocess.PIPE,
        env={"CONFORMANCE_TOKEN": TOKEN},
        text=True,
    )
    assert process.stdout is not None
    # From this trial on users stand that only the end of the run takes away.
    next(line for line in process.stdout if "rfc7644-3.4.2.2-eq" in line)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 2
    assert peer.users() == 0
    document = json.loads(report.read_text())
    assert document["brokenOff"] == "interrupted"
    assert document["stayed"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--suite", "nothing"], "there is no suite 'nothing'"),
        (["--token-file", "/nowhere/token"], "cannot be read"),
        (["--token-file", "/nowhere/token", "--token", "x"], "not both"),
        (["--report", "/nowhere/report.html"], "no folder"),
    ],
)
def test_what_cannot_be_run_says_why(peer: Peer, arguments: list[str], said: str) -> None:
    ran = run("--url", peer.url, *arguments, CONFORMANCE_TOKEN=TOKEN)
    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("{url}", "", "no token"),
        ("{url}", "of-someone-else", "does not accept the token"),
        ("http://127.0.0.1:{free}", TOKEN, "not run"),
        ("http://user:secret@127.0.0.1/", TOKEN, "no user"),
        ("file:///etc/passwd", TOKEN, "--url takes a URL"),
    ],
)
def test_nor_what_has_no_server_or_no_credential(peer: Peer, url: str, token: str, said: str) -> None:
    ran = run("--url", url.format(url=peer.url, free=free_port()), CONFORMANCE_TOKEN=token)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
