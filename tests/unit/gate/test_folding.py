from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import sqlalchemy as sa

from app.access.tenants import create_tenant
from app.gate import folding as folding_module
from app.gate import spool as spooling
from app.gate.folding import FoldedElsewhere, Folding
from app.gate.recorder import SpoolRecorder, Verification, encoded
from app.gate.spool import Spool
from app.gate.tally import network_of
from app.gate.usage_rows import MOST_NETWORKS
from app.keys.decisions import packed, unpacked
from app.store.tables import decision_batch, event, key_network, key_usage, key_usage_day, spool_progress
from app.store.unit_of_work import Store, new_id
from tests.unit.gate.verifications import AT, recorded, verification

SECOND = 1_000_000
DAY = 86_400 * SECOND


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", most_bytes=10**9)


@pytest.fixture
def folding(shared_store: Store, spool: Spool) -> Folding:
    return Folding(shared_store, spool)


def record(spool: Spool, *verifications: Verification) -> list[str]:
    recorder = SpoolRecorder(spool)
    for each in verifications:
        recorder.record(each)
    return [each.id for each in verifications]


def rows(store: Store, table: sa.Table, tenant_id: str) -> list[dict[str, Any]]:
    statement = sa.select(table).where(table.c.tenant_id == tenant_id).order_by(*table.primary_key)
    with store.engine.connect() as connection:
        return [
            {name: value for name, value in row._mapping.items() if name != "tenant_id"}
            for row in connection.execute(statement)
        ]


def happened(store: Store, tenant_id: str, kind: str) -> list[tuple[str, dict[str, Any]]]:
    with store.engine.connect() as connection:
        return [
            (row.subject, row.data)
            for row in connection.execute(
                sa.select(event)
                .where(event.c.tenant_id == tenant_id, event.c.type == kind)
                .order_by(event.c.sequence)
            )
        ]


def test_each_decision_is_recorded_once_however_often_is_folded(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding
) -> None:
    ids = record(spool, *(verification(new_tenant) for _ in range(5)))
    assert folding.fold_all() == 5
    assert folding.fold_all() == 0
    ids += record(spool, verification(new_tenant, reason="key_unknown", key_id=None, consumer_id=None))
    assert Folding(shared_store, spool).fold_all() == 1
    assert [each["id"] for each in recorded(shared_store, new_tenant)] == ids


def test_usage_is_what_was_used(shared_store: Store, new_tenant: str, spool: Spool, folding: Folding) -> None:
    key = new_id()
    record(
        spool,
        verification(new_tenant, key_id=key, at=AT + 5, entitlements=("e1", "e2")),
        verification(new_tenant, key_id=key, at=AT + 3, reason="no_grant"),
    )
    folding.fold_all()
    record(
        spool,
        verification(new_tenant, key_id=key, at=AT + 1, entitlements=("e1",)),
        verification(new_tenant, key_id=key, at=AT + 2 * DAY, reason="key_revoked"),
        verification(
            new_tenant, key_id=key, at=AT + 2 * DAY + 1, reason="key_revoked", client="2001:db8:1:2::1"
        ),
    )
    folding.fold_all()
    (usage,) = rows(shared_store, key_usage, new_tenant)
    assert usage == {
        "key_id": key,
        "first_at": AT + 1,
        "last_at": AT + 5,
        "last_denied_at": AT + 2 * DAY + 1,
        "allowed": 2,
        "denied": 3,
        "dead_uses": 2,
        "last_network": "2001:db8:1::/48",
    }
    day = AT // DAY
    assert [
        (each["day"], each["entitlement_id"], each["outcome"], each["uses"])
        for each in rows(shared_store, key_usage_day, new_tenant)
    ] == [
        (day, "", "allowed", 2),
        (day, "", "no_grant", 1),
        (day, "e1", "allowed", 2),
        (day, "e2", "allowed", 1),
        (day + 2, "", "key_revoked", 2),
    ]
    assert [(each["network"], each["uses"]) for each in rows(shared_store, key_network, new_tenant)] == [
        ("2001:db8:1::/48", 1),
        ("203.0.113.0/24", 4),
    ]


def test_a_network_is_new_to_a_key_once_and_up_to_a_bound(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding
) -> None:
    key = new_id()
    for _ in range(2):
        for number in range(MOST_NETWORKS + 5):
            record(spool, verification(new_tenant, key_id=key, client=f"10.0.{number}.9"))
        folding.fold_all()
    seen = rows(shared_store, key_network, new_tenant)
    assert len(seen) == MOST_NETWORKS
    assert {each["uses"] for each in seen} == {2}
    told = happened(shared_store, new_tenant, "key.new_network")
    assert [data["networksBefore"] for _, data in told] == list(range(MOST_NETWORKS))
    assert {data["network"] for _, data in told} == {each["network"] for each in seen}
    assert {subject for subject, _ in told} == {f"key/{key}"}


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("203.0.113.200", "203.0.113.0/24"),
        ("::ffff:203.0.113.200", "203.0.113.0/24"),
        ("2001:db8:aa:bb::1", "2001:db8:aa::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("unknown", None),
        ("", None),
    ],
)
def test_networks(client: str, network: str | None) -> None:
    assert network_of(client) == network


def test_tenants_do_not_meet_in_a_batch(shared_store: Store, spool: Spool, folding: Folding) -> None:
    tenants = [create_tenant(shared_store, new_id()).id for _ in range(3)]
    ids = {each: record(spool, *(verification(each) for _ in range(4))) for each in tenants}
    folding.fold_all()
    for each in tenants:
        assert [one["id"] for one in recorded(shared_store, each)] == ids[each]


@pytest.mark.parametrize("failing", range(4))
def test_what_breaks_off_anywhere_is_neither_lost_nor_doubled(
    shared_store: Store, spool: Spool, failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants = sorted(create_tenant(shared_store, new_id()).id for _ in range(3))
    ids = {each: record(spool, *(verification(each) for _ in range(4))) for each in tenants}
    whole, opened = Store.writing_each, 0

    @contextmanager
    def breaking(self: Store, *arguments: Any, **named: Any) -> Iterator[Any]:
        nonlocal opened
        with whole(self, *arguments, **named) as given:
            yield given
            opened += 1
            if opened == failing + 1:
                raise OSError("broken off before the commit")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "writing_each", breaking)
        for _ in range(2):
            try:
                Folding(shared_store, spool).fold_all()
            except OSError:
                # More comes before somebody folds again.
                for each in tenants:
                    ids[each] += record(spool, verification(each))
    Folding(shared_store, spool).fold_all()
    for each in tenants:
        assert [one["id"] for one in recorded(shared_store, each)] == ids[each]
        assert [one["uses"] for one in rows(shared_store, key_network, each)] == [len(ids[each])]


def test_a_segment_goes_when_it_is_folded_and_its_progress_after_it(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "SEGMENT_BYTES", 1)
    ids = record(spool, verification(new_tenant))

    def broken(path: Path) -> None:
        raise OSError("broken off before the file is gone")

    with monkeypatch.context() as patched:
        patched.setattr(spool, "remove", broken)
        with pytest.raises(OSError, match="broken off"):
            folding.fold_all()
    assert len(spool.sizes()) == 1
    assert folding.fold_all() == 0
    assert spool.sizes() == []
    ids += record(spool, verification(new_tenant))
    assert folding.fold_all() == 1
    assert [each["id"] for each in recorded(shared_store, new_tenant)] == ids
    with shared_store.engine.connect() as connection:
        kept = connection.execute(
            sa.select(sa.func.count()).where(spool_progress.c.node == spool.node())
        ).scalar_one()
    assert kept == 1


def test_two_that_fold_the_same_do_it_once(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = record(spool, verification(new_tenant))
    folding.fold_all()
    ids += record(spool, verification(new_tenant))
    late = Folding(shared_store, spool)
    read = late._progress()
    folding.fold_all()
    monkeypatch.setattr(late, "_progress", lambda: read)
    with pytest.raises(FoldedElsewhere):
        late.fold_all()
    assert [each["id"] for each in recorded(shared_store, new_tenant)] == ids


def test_one_process_of_a_node_folds_and_another_takes_over(spool: Spool) -> None:
    other = Spool(spool.folder, most_bytes=1)
    assert spool.claim_folding()
    assert not other.claim_folding()
    assert spool.claim_folding()
    spool.give_up_folding()
    assert other.claim_folding()
    other.give_up_folding()
    assert other.node() == spool.node()


def test_after_much_was_folded_the_next_time_waits(
    spool: Spool, folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding_module, "INTERVAL", 0.001)
    monkeypatch.setattr(folding_module, "MANY", 3)
    monkeypatch.setattr(folding_module, "PAUSE", 10**6)
    ticks: Queue[None] = Queue()
    tend, folded = spool.tend, []

    def fold_all() -> int:
        folded.append(len(folded))
        return folded[-1]

    monkeypatch.setattr(folding, "fold_all", fold_all)
    monkeypatch.setattr(spool, "tend", lambda: ticks.put(tend()))
    thread = folding.start()
    for _ in range(30):
        ticks.get(timeout=60)
    folding.stop()
    thread.join()
    assert folded == [0, 1, 2, 3]


def test_what_is_appended_is_written_to_the_disk_at_the_next_tick(
    new_tenant: str, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    synchronise = os.fdatasync

    def noted(descriptor: int) -> None:
        synchronise(descriptor)
        written.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fdatasync", noted)
    spool.tend()
    assert written == []
    record(spool, verification(new_tenant))
    spool.tend()
    ((segment, _),) = spool.sizes()
    assert written == [segment.stat().st_ino]


def test_much_is_folded_in_rounds(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding_module, "MOST_BYTES", 2_000)
    monkeypatch.setattr(spooling, "SEGMENT_BYTES", 5_000)
    ids = record(spool, *(verification(new_tenant) for _ in range(50)))
    assert folding.fold_all() == 50
    assert [each["id"] for each in recorded(shared_store, new_tenant)] == ids
    assert len(rows(shared_store, decision_batch, new_tenant)) >= 10


def test_what_cannot_be_folded_stops_nothing(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding
) -> None:
    ids = record(spool, verification(new_tenant))
    spool.append(b"no json")
    spool.append(encoded(verification(new_tenant, path="/x")).replace(b"/x", b"/\xff"))
    spool.append(b"[1]")
    record(spool, verification("a tenant that the store does not have"))
    ids += record(spool, verification(new_tenant))
    folding.fold_all()
    assert [each["id"] for each in recorded(shared_store, new_tenant)] == ids
    assert folding.fold_all() == 0


@pytest.mark.parametrize(
    "change",
    [sa.update(decision_batch).values(decisions=0), sa.delete(decision_batch)],
    ids=["update", "delete"],
)
def test_the_database_refuses_to_change_decisions(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding, change: sa.Executable
) -> None:
    record(spool, verification(new_tenant))
    folding.fold_all()
    with (
        pytest.raises(sa.exc.DBAPIError, match="decisions are append-only"),
        shared_store.engine.execution_options(writing=True).begin() as connection,
    ):
        connection.execute(change)
    assert len(recorded(shared_store, new_tenant)) == 1


def test_decisions_are_neither_replaced_nor_truncated(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding
) -> None:
    record(spool, verification(new_tenant))
    folding.fold_all()
    if shared_store.engine.dialect.name == "sqlite":
        changes = [
            "INSERT OR REPLACE INTO decision_batch SELECT sequence, id, tenant_id, first_at, last_at, 0, "
            "key_marks, records, sha256 FROM decision_batch"
        ]
    else:
        changes = [
            "TRUNCATE decision_batch",
            "SET session_replication_role = replica; DELETE FROM decision_batch",
        ]
    for each in changes:
        with (
            pytest.raises(sa.exc.DBAPIError, match="decisions are append-only"),
            shared_store.engine.execution_options(writing=True).begin() as connection,
        ):
            connection.exec_driver_sql(each)
    assert len(recorded(shared_store, new_tenant)) == 1


def test_what_is_recorded_is_what_is_kept_to_the_byte(
    shared_store: Store, new_tenant: str, spool: Spool, folding: Folding
) -> None:
    one = verification(new_tenant, path="/é")
    record(spool, one)
    folding.fold_all()
    (batch,) = rows(shared_store, decision_batch, new_tenant)
    assert unpacked(batch["records"]) == encoded(one) + b"\n"


def test_a_batch_is_read_in_either_form() -> None:
    lines = b'{"id":"1"}\n{"id":"2"}\n'
    assert packed(lines).startswith(b"\x28\xb5\x2f\xfd")
    assert unpacked(packed(lines)) == unpacked(zlib.compress(lines)) == lines
