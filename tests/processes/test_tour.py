"""``keysteward tour`` shows every promise kept, says so when one is not, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.processes.conftest import LiveServer
from tests.processes.forked import KEYSTEWARD

SECRET = re.compile(r"[a-z][a-z0-9]*_[a-z][a-z0-9]*_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}")


def tour(*arguments: str, given: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")}
    return subprocess.run(
        [*KEYSTEWARD, "tour", *arguments],
        env={**environment, **variables},
        input=given,
        capture_output=True,
        text=True,
        timeout=200,
    )


def shows_no_secret(run: subprocess.CompletedProcess[str]) -> bool:
    return SECRET.search(run.stdout + run.stderr) is None


def names_in(server: LiveServer) -> dict[str, list[str]]:
    """What there is in the directory: the names of all users, groups and entitlements."""
    with server.scim() as scim:
        return {
            path: [each[name] for each in scim.get(path).json().get("Resources", [])]
            for path, name in (("/Users", "userName"), ("/Groups", "displayName"), ("/Entitlements", "value"))
        }


NOTHING: dict[str, list[str]] = {"/Users": [], "/Groups": [], "/Entitlements": []}


def test_every_step_is_as_promised_on_a_server_of_its_own(tmp_path: Path) -> None:
    run = tour("--json", TMPDIR=str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["ok"] is True
    assert {step["who"] for step in told["steps"]} == {"you", "Okta", "Entra", "operator", "gate", "clean-up"}
    assert [step for step in told["steps"] if not step["ok"]] == []
    assert all(step["milliseconds"] > 0 for step in told["steps"])
    allowed = [step for step in told["steps"] if step["who"] == "gate" and step["detail"].startswith("200")]
    denied = [
        step for step in told["steps"] if step["who"] == "gate" and step["detail"][:3] in ("401", "403")
    ]
    assert len(allowed) == 3
    assert len(denied) == 8
    types = [event["type"] for event in told["events"]]
    assert types.index("key.issued") < types.index("key.claimed") < types.index("key.revoked")
    assert shows_no_secret(run)
    assert list(tmp_path.iterdir()) == []


def test_a_running_server_is_left_as_it_was(new_server: Callable[..., LiveServer], tmp_path: Path) -> None:
    server = new_server()
    credentials = tmp_path / "credentials.json"
    credentials.write_text(json.dumps(server.credentials))
    run = tour("--credentials", str(credentials))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "✗" not in run.stdout
    assert run.stdout.count("✓") > 30
    assert "key.revoked" in run.stdout
    assert re.search(r"All \d+ steps as promised", run.stdout)
    assert shows_no_secret(run)
    assert names_in(server) == NOTHING


def test_a_broken_promise_is_told_and_everything_is_still_removed(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    swapped = {**server.credentials, "gate": {**server.credentials["gate"]}}
    swapped["gate"]["token"] = server.credentials["operator"]["token"]
    run = tour("--credentials", "-", "--json", given=json.dumps(swapped))
    assert run.returncode == 1, run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["ok"] is False
    assert {step["who"] for step in told["steps"] if not step["ok"]} == {"gate"}
    assert {step["ok"] for step in told["steps"] if step["who"] == "gate"} == {False}
    assert all(
        step["detail"].startswith("expected ") and "came back: " in step["detail"]
        for step in told["steps"]
        if not step["ok"]
    )
    assert shows_no_secret(run)
    assert names_in(server) == NOTHING


def test_a_tenant_without_a_recovery_window_keeps_no_promise_of_a_way_back(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    subprocess.run(
        [*KEYSTEWARD, "tenant", "set", "--recovery-window", "0"],
        env=server.environment,
        capture_output=True,
        check=True,
    )
    run = tour("--credentials", "-", "--json", given=json.dumps(server.credentials))
    assert run.returncode == 1, run.stdout + run.stderr
    broken = {step["step"]: step["detail"] for step in json.loads(run.stdout)["steps"] if not step["ok"]}
    assert (
        broken["the same key again"]
        == "expected 200; came back: 401 key_revoked The key was revoked for good."
    )
    assert shows_no_secret(run)
    assert names_in(server) == NOTHING


def test_the_story_stops_where_nothing_can_follow(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    swapped = {**server.credentials, "scim": {**server.credentials["scim"]}}
    swapped["scim"]["token"] = server.credentials["gate"]["token"]
    run = tour("--credentials", "-", given=json.dumps(swapped))
    assert run.returncode == 1, run.stdout + run.stderr
    assert "expected 201; came back: 403" in " ".join(run.stdout.split())
    assert "Okta" not in run.stdout
    assert re.search(r"\d+ of \d+ steps not as promised", run.stdout)
    assert shows_no_secret(run)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no JSON",
        "[]",
        '{"scim": {"url": "http://127.0.0.1:1/scim/v2"}}',
        '{"scim": {"url": "http://h", "token": "a\\u0007b"}}',
        '{"scim": {"url": "ftp://h", "token": "t"}, "operator": {"url": "http://h", "token": "t"}}',
    ],
)
def test_credentials_that_are_none_are_wrong_use(given: str) -> None:
    run = tour("--credentials", "-", given=given)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("Error: the credentials")
    assert len(run.stderr.splitlines()) == 1


def test_a_server_that_does_not_answer_is_wrong_use(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(start=False)
    run = tour("--credentials", "-", given=json.dumps(server.credentials))
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith(f"Error: no answer from {server.root}")
    assert shows_no_secret(run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_tour_ends_its_server_and_removes_its_folder(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*KEYSTEWARD, "tour"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    root = ""
    for line in process.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            root = found.group()
        if "✓" in line:
            break
    assert root
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode not in (0, 2)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{root}/healthz")


def test_the_settings_of_an_installation_are_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run = tour("--json", KEYSTEWARD_DATA_DIR=str(data), KEYSTEWARD_PORT="1")
    assert run.returncode == 0, run.stdout + run.stderr
    assert not data.exists()
