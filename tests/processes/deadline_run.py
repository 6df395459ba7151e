"""Runs ``python -m conformance.deadline`` against servers under test, as anybody would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.processes.conftest import LiveServer


@dataclass(frozen=True)
class DeadlineRun:
    """How a run ended: its exit code, what it printed, and its report, empty when it wrote none."""

    code: int
    printed: str
    report: dict[str, Any]


def run_deadline(
    folder: Path, server: LiveServer, *nodes: str, withdrawals: int, workers: int, **options: str
) -> DeadlineRun:
    """Withdraw keys on a server; the nodes, by default the server itself, verify."""
    said = folder / "deadline.json"
    tokens = {
        "CONFORMANCE_TOKEN": server.credentials["scim"]["token"],
        "CONFORMANCE_OPERATOR_TOKEN": server.credentials["operator"]["token"],
        "CONFORMANCE_GATE_TOKEN": server.credentials["gate"]["token"],
    }
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "conformance.deadline", "--url", server.root, "--json", str(said)),
            *("--withdrawals", str(withdrawals), "--workers", str(workers)),
            *(part for node in nodes for part in ("--gate-url", node)),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ],
        env={**os.environ, **tokens},
        capture_output=True,
        text=True,
        timeout=1800,
    )
    printed = ended.stdout + ended.stderr
    assert not any(token in printed for token in tokens.values())
    report = json.loads(said.read_text(encoding="utf-8")) if said.exists() else {}
    return DeadlineRun(ended.returncode, printed, report)
