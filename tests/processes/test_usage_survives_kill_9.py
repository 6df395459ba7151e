"""P9 under kill -9: each decision that was answered is in the ledger once, and counted once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.access.tenants import create_tenant
from app.gate.folding import Folding
from app.gate.spool import Spool
from app.store.tables import decision_count, key_usage, key_usage_day
from app.store.unit_of_work import Store
from app.store.upgrading import upgrade
from tests.unit.gate.verifications import recorded

PROJECT = Path(__file__).parents[2]
PROCESS = Path(__file__).with_name("recording_process.py")
FOLDED = "folded"


class Recording:
    """A process that records and folds; what it answered is noted."""

    def __init__(
        self, database_url: str, folder: Path, tenants: list[str], answered: dict[str, set[str]]
    ) -> None:
        self._answered = answered
        self._process = subprocess.Popen(
            [sys.executable, str(PROCESS), database_url, str(folder), *tenants],
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT}/tests/unit/gate"},
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout

    def read(self, lines: int) -> None:
        for _ in range(lines):
            self._note(self._lines.readline())

    def read_until_folded(self) -> None:
        while self._note(self._lines.readline()) != FOLDED:
            pass

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        for line in self._lines.read().splitlines(keepends=True):
            if line.endswith(b"\n"):
                self._note(line)
        self._process.wait()

    def _note(self, line: bytes) -> str:
        tenant, decision = line.decode().split()
        if tenant != FOLDED:
            self._answered[tenant].add(decision)
        return tenant


@pytest.mark.parametrize("rounds", [2, pytest.param(16, marks=pytest.mark.slow)])
def test_kill_9_neither_loses_nor_doubles_a_decision(
    engine: Engine, database_url: str, tmp_path: Path, rounds: int
) -> None:
    upgrade(engine)
    store = Store(engine)
    tenants = [create_tenant(store, f"tenant-{number}").id for number in range(2)]
    spool = Spool(tmp_path / "spool", most_bytes=10**9)
    chosen = random.Random(20261125)
    answered: dict[str, set[str]] = defaultdict(set)
    for _ in range(rounds):
        first = Recording(database_url, spool.folder, tenants, answered)
        first.read_until_folded()
        second = Recording(database_url, spool.folder, tenants, answered)
        # So many answers more, then the end: a number, not a time, and another one each round.
        second.read(chosen.randint(1, 300))
        first.read(chosen.randint(1, 300))
        first.kill()
        # The other one takes over.
        second.read_until_folded()
        second.read(chosen.randint(1, 300))
        second.kill()
    assert spool.claim_folding()
    Folding(store, spool).fold_all()
    total = 0
    for tenant in tenants:
        found = Counter(each["id"] for each in recorded(store, tenant))
        assert set(found.values()) == {1}
        # The last of each thread may have been written down without being answered.
        assert answered[tenant] <= found.keys()
        assert len(found) - len(answered[tenant]) <= rounds * 2 * 3
        with store.engine.connect() as connection:
            assert connection.execute(
                sa.select(key_usage.c.allowed).where(key_usage.c.tenant_id == tenant)
            ).scalars().all() == [len(found)]
            assert connection.execute(
                sa.select(sa.func.sum(key_usage_day.c.uses)).where(
                    key_usage_day.c.tenant_id == tenant, key_usage_day.c.entitlement_id == ""
                )
            ).scalar_one() == len(found)
        total += len(found)
    with store.engine.connect() as connection:
        counted = connection.execute(
            sa.select(sa.func.sum(decision_count.c.decisions)).where(decision_count.c.node == spool.node())
        ).scalar_one()
    assert counted == total
    assert spool.sizes() == []
