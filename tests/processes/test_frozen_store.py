"""A PostgreSQL server that is frozen or gone: each read fails soon, and works again when the server does.

So does every face of the gate, those that read by SQLAlchemy's connections included.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from app import create_app
from app.access.credentials import issue_credential
from app.access.tenants import create_tenant
from app.gate.authzen import face
from app.settings import Settings
from app.store.engine import create_engine
from app.store.patience import PATIENCE, StoreUnavailable, patience
from app.store.prepared_reads import PreparedReads, prepared_reads
from app.store.secrets import mint
from app.store.unit_of_work import Store
from app.store.upgrading import upgrade
from tests.processes.own_postgresql import OwnPostgresql, own_postgresql

ONE = sa.select(sa.literal(1).label("one"))
TIMES = 10
"""How many times its patience a read may take on a machine that does much else."""


@pytest.fixture
def server() -> Iterator[OwnPostgresql]:
    with own_postgresql() as own:
        # Of what the tests hold, a full collection takes as long as a read may: none is due soon after one.
        gc.collect()
        yield own


@contextmanager
def frozen(server: OwnPostgresql) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


def failing_read(reads: PreparedReads) -> float:
    """Return how many seconds a read took to fail."""
    started = time.monotonic()
    with pytest.raises(StoreUnavailable):
        reads.rows(reads.prepare(ONE))
    return time.monotonic() - started


def test_a_frozen_server_is_found_out_soon_and_by_one_thread_at_a_time(
    server: OwnPostgresql,
) -> None:
    reads = prepared_reads(create_engine(server.url))
    assert reads.rows(reads.prepare(ONE))[0].one == 1
    with frozen(server):
        assert failing_read(reads) < TIMES * PATIENCE
        with ThreadPoolExecutor(50) as threads:
            started = time.monotonic()
            list(threads.map(lambda _: failing_read(reads), range(200)))
            # One after the other they would wait for many times as long.
            assert time.monotonic() - started < 2 * TIMES * PATIENCE
    deadline = time.monotonic() + 60
    while True:
        try:
            assert reads.rows(reads.prepare(ONE))[0].one == 1
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline


def test_connections_that_the_server_ended_are_replaced(
    server: OwnPostgresql,
) -> None:
    engine = create_engine(server.url)
    reads = prepared_reads(engine)
    assert reads.rows(reads.prepare(ONE))[0].one == 1
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
    assert reads.rows(reads.prepare(ONE))[0].one == 1


def read_impatiently(engine: Engine) -> int:
    with patience(PATIENCE), engine.begin() as connection:
        return int(connection.execute(ONE).scalar_one())


def soon(call: Callable[[], object], times: int = TIMES) -> float:
    """Return how many seconds a call took; it must not have taken more than so many times the patience."""
    started = time.monotonic()
    call()
    took = time.monotonic() - started
    assert took < times * PATIENCE
    return took


def recovered(call: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not call():
        assert time.monotonic() < deadline


def test_a_block_of_patience_ends_whatever_became_of_the_server(
    server: OwnPostgresql,
) -> None:
    engine = create_engine(server.url)
    assert read_impatiently(engine) == 1
    fresh = create_engine(server.url)

    def fails(of: Engine) -> None:
        with pytest.raises(StoreUnavailable):
            read_impatiently(of)

    def within_a_transaction() -> None:
        with (
            pytest.raises(StoreUnavailable),
            patience(PATIENCE),
            engine.begin() as connection,
            frozen(server),
        ):
            connection.execute(ONE)

    soon(within_a_transaction)
    with frozen(server):
        # By a connection that is there, and by one that must be opened.
        for each in (engine, engine, fresh, fresh):
            soon(lambda each=each: fails(each))  # type: ignore[misc]
        with ThreadPoolExecutor(20) as threads:
            soon(lambda: list(threads.map(lambda _: fails(engine), range(20))))

    def answers() -> bool:
        try:
            return read_impatiently(engine) == read_impatiently(fresh) == 1
        except StoreUnavailable:
            return False

    recovered(answers)
    # Who says nothing of patience has all the time in the world.
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 1 FROM pg_sleep(0.3)")).scalar_one() == 1


def test_a_statement_that_takes_too_long_is_given_up(engine: Engine) -> None:
    endless = sa.text(
        "WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers "
        "WHERE number < 2000000000) SELECT count(*) FROM numbers"
    )

    def gives_up() -> None:
        with pytest.raises(StoreUnavailable), patience(PATIENCE), engine.begin() as connection:
            connection.execute(endless)

    soon(gives_up)
    with engine.begin() as connection:
        # One that kept the limit of before would be given up here: it takes several times as long.
        counted = connection.execute(sa.text(str(endless).replace("2000000000", "2000000")))
        assert counted.scalar_one() == 2_000_000


@dataclass(frozen=True)
class Faces:
    """The faces for applications and for gateways that speak OAuth, asked with a token of theirs."""

    client: FlaskClient
    token: str

    def introspect(self, key: str | None, *, by: str | None = None) -> int:
        headers = {"Authorization": f"Bearer {by or self.token}"}
        form = {} if key is None else {"token": key}
        return self.client.post("/oauth2/introspect", data=form, headers=headers).status_code

    def decide(self, path: str, **more: object) -> tuple[int, object]:
        question = {
            "subject": {"type": "user", "id": "ada"},
            "action": {"name": "orders.read"},
            "resource": {"type": "route", "id": "/orders/7"},
            **more,
        }
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.client.post(f"/access/v1/{path}", json=question, headers=headers)
        return answer.status_code, answer.get_json(silent=True)


@pytest.fixture
def faces(server: OwnPostgresql, tmp_path: Path) -> Faces:
    settings = Settings.from_environment(
        {"KEYSTEWARD_DATA_DIR": str(tmp_path), "KEYSTEWARD_DATABASE_URL": server.url}
    )
    store = Store(create_engine(server.url))
    upgrade(store.engine)
    with store.writing(create_tenant(store, "acme").id, actor="test") as unit:
        _, token = issue_credential(unit, settings.load_peppers(), label="gate", scopes=["gate"])
    return Faces(create_app(settings).test_client(), token)


def test_every_face_says_soon_that_it_cannot_judge(server: OwnPostgresql, faces: Faces) -> None:
    unknown, key = mint("kst", "gate").text, mint("ks", "live").text
    many = [{} for _ in range(100)]
    asked: list[Callable[[], int]] = [
        lambda: faces.introspect(key),
        lambda: faces.introspect(key, by=unknown),
        lambda: faces.introspect(None),
        lambda: faces.decide("evaluation")[0],
        lambda: faces.decide("search/action")[0],
        lambda: faces.decide("evaluations", evaluations=many)[0],
    ]
    alive = [200, 401, 400, 200, 200, 200]
    recovered(lambda: [each() for each in asked] == alive)
    said: list[int] = []
    with frozen(server):
        for each in asked:
            soon(lambda each=each: said.append(each()))  # type: ignore[misc]
    assert said == [503, 503, 503, 500, 500, 500]
    recovered(lambda: [each() for each in asked] == alive)


def test_a_batch_does_not_wait_for_each_of_its_evaluations(
    server: OwnPostgresql, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that the first two are answered on a slow machine too; 198 times as long would be too long.
    for each in ("PATIENCE", "ALTOGETHER"):
        monkeypatch.setattr(face, each, 2.0)
    assert faces.decide("evaluations", evaluations=[{}])[0] == 200
    asked: list[int] = []
    find = face.find_subject

    def freezing(*arguments: Any) -> Any:
        asked.append(1)
        if len(asked) == 3:
            freezing_it.enter_context(frozen(server))
        return find(*arguments)

    monkeypatch.setattr(face, "find_subject", freezing)
    told: list[Any] = []
    with ExitStack() as freezing_it:
        soon(lambda: told.append(faces.decide("evaluations", evaluations=[{}] * 200)), times=100)
    ((status, body),) = told
    assert status == 200
    contexts = [each["context"] for each in body["evaluations"]]
    assert [each.get("reason") for each in contexts[:2]] == ["subject_unknown"] * 2
    assert [each["error"]["status"] for each in contexts[2:]] == [500] * 198
    assert len(asked) == 3


def test_a_server_that_is_not_there() -> None:
    reads = prepared_reads(create_engine("postgresql://nobody@127.0.0.1:1/nothing"))
    assert failing_read(reads) < TIMES * PATIENCE
