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
        processes = [
            subprocess.Popen(
                [sys.executable, str(PROCESS), database_url, str(spool.folder), *tenants],
                stdout=subprocess.PIPE,
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT}/tests/unit/gate"},
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            # So many answers, then the end: a number, not a time, and another one each round.
            for _ in range(chosen.randint(50, 400)):
                tenant, decision = process.stdout.readline().decode().split()
                answered[tenant].add(decision)
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            assert process.stdout is not None
            lines = process.stdout.read().decode().splitlines(keepends=True)
            process.wait()
            for line in lines:
                if line.endswith("\n"):
                    tenant, decision = line.split()
                    answered[tenant].add(decision)
    assert spool.claim_folding()
    # Some was folded before, by processes that were killed at it; some is left.
    left = Folding(store, spool).fold_all()
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
    assert left < total
    assert spool.sizes() == []
