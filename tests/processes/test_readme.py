"""Every command of the README does what the README says."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.conftest import answered, free_port

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CHECKS = re.findall(r"`make check P=(p\d+)`", README)

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("make", "curl", "bash"))),
    reason="needs the Debian packages make, curl and bash",
)


def block(beginning: str) -> str:
    (found,) = [each for each in BLOCKS if each.startswith(beginning)]
    return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """Start the server as the README says; return its environment and what the first start printed."""
    folder = tmp_path_factory.mktemp("readme")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")},
        "KEYSTEWARD_DATA_DIR": str(folder / "data"),
        "KEYSTEWARD_PORT": str(free_port()),
    }
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            ["bash", "-ec", block("make run")],
            cwd=ROOT,
            env=environment,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 240
        while True:
            assert process.poll() is None, (folder / "printed").read_text()
            assert time.monotonic() < deadline
            if answered(f"http://127.0.0.1:{environment['KEYSTEWARD_PORT']}/readyz") == 200:
                break
            time.sleep(0.1)
        yield environment, (folder / "printed").read_text(encoding="utf-8")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def run(commands: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_start_prints_what_to_paste(running: tuple[dict[str, str], str]) -> None:
    environment, printed = running
    assert f"http://127.0.0.1:{environment['KEYSTEWARD_PORT']}/scim/v2" in printed
    assert {"kst_scim_", "kst_operator_", "kst_gate_"} <= set(re.findall(r"kst_[a-z]+_", printed))


def test_the_first_session(running: tuple[dict[str, str], str]) -> None:
    environment, _ = running
    told = run(block("export PATH"), environment)
    assert re.findall(r"^\d{3}$", told, re.MULTILINE) == ["200", "401"]
    assert "not active" in told or "inactive" in told
    assert not {"tokens.json", "ada.json", "scim.header", "gate.header", "key.header"} & set(os.listdir(ROOT))


def test_the_connections(running: tuple[dict[str, str], str]) -> None:
    environment, _ = running
    path = f"{ROOT}/.venv/bin:{environment['PATH']}"
    listed = run(block("keysteward connection create"), {**environment, "PATH": path})
    assert "okta" in listed
    assert "entra" in listed
    seen = run(block("keysteward warnings"), {**environment, "PATH": path})
    assert "Nothing to see to" in seen
    run("keysteward tenant set --unmatched-values refuse", {**environment, "PATH": path})
    assert "KEYSTEWARD_WORKERS" in run("keysteward settings", {**environment, "PATH": path})


def test_the_tour() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")}
    assert "as promised" in run(block("make tour"), environment)


@pytest.mark.parametrize("promise", CHECKS)
def test_each_promise_has_its_check(promise: str) -> None:
    planned = subprocess.run(
        ["make", "-n", "check", f"P={promise}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.search(rf"pytest -v tests/\S+/test_{promise}_", planned.stdout)


@pytest.mark.parametrize("target", ["test", "lint"])
def test_the_targets_are_there(target: str) -> None:
    assert f"make {target}" in block("make test")
    subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)
