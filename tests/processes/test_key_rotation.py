"""Secrets and peppers rotate on a running server: nothing fails or is doubled, not even by ``kill -9``."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx2
import sqlalchemy as sa

from app.keys.digests import pepper_uses
from app.store.engine import create_engine
from app.store.pepper_file import add_pepper
from app.store.tables import event, secret
from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import Holder, populate

ROUNDS = 2


def database(server: LiveServer) -> sa.Engine:
    return create_engine(
        f"sqlite:///{Path(server.environment['KEYSTEWARD_DATA_DIR']) / 'keysteward.sqlite3'}"
    )


def verified(gate: httpx2.Client, text: str) -> str:
    answer = gate.get("/gate/verify", headers={"Authorization": f"Bearer {text}"})
    return "allow" if answer.status_code == 200 else answer.headers["X-Auth-Reason"]


def test_a_pepper_rotates_under_load_and_no_verification_fails(new_server: Callable[..., LiveServer]) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    with server.scim() as scim, server.operator() as operator:
        holders = populate(scim, operator, 12)
        answers: list[str] = []
        stopping = threading.Event()

        def load(mine: list[Holder]) -> None:
            with server.gate() as gate:
                while not stopping.is_set():
                    answers.extend(verified(gate, each.secret) for each in mine)

        threads = [threading.Thread(target=load, args=[holders[some::2]]) for some in range(2)]
        for each in threads:
            each.start()
        add_pepper(Path(server.environment["KEYSTEWARD_DATA_DIR"]) / "peppers.json")
        # A key whose digest one process made under the new pepper: the other verifies it too.
        issued = operator.post(
            "/keys", json={"consumer": holders[0].user_id, "entitlements": ["orders-read"]}
        ).json()["id"]
        fresh = operator.post(f"/keys/{issued}/claim").json()["secret"]
        with server.gate() as gate:
            answers.extend(verified(gate, fresh) for _ in range(40))
        deadline = time.monotonic() + 60
        while _living(server).get(1) and time.monotonic() < deadline:
            stopping.wait(0.05)
        stopping.set()
        for each in threads:
            each.join()
    assert set(answers) == {"allow"}
    assert _living(server) == {1: 0, 2: 13}


def _living(server: LiveServer) -> dict[int, int]:
    """Return how many living secrets are under each version of the pepper."""
    with database(server).connect() as connection:
        uses = pepper_uses(connection, time.time_ns() // 1000)
    return {each.version: each.living_secrets for each in uses}


def test_kill_9_in_the_middle_of_rotations_doubles_and_loses_none(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server()
    with server.scim() as scim, server.operator() as operator:
        holders = populate(scim, operator, 4)
    chosen = random.Random(20261123)
    asked: dict[str, str] = {}
    for _ in range(ROUNDS):
        told: dict[str, str] = {}
        names = {each.key_id: str(uuid.uuid4()) for each in holders}
        begun = threading.Semaphore(0)

        def rotate(
            key_id: str,
            told: dict[str, str] = told,
            names: dict[str, str] = names,
            begun: threading.Semaphore = begun,
        ) -> None:
            try:
                with server.operator() as operator:
                    begun.release()
                    told[key_id] = _rotated(operator, key_id, names[key_id])
            except httpx2.TransportError:
                return

        threads = [threading.Thread(target=rotate, args=[each.key_id]) for each in holders]
        for each in threads:
            each.start()
        for _ in holders:
            begun.acquire()
        time.sleep(chosen.random() / 20)
        server.kill()
        for each in threads:
            each.join()
        server.start()
        with server.operator() as operator, server.gate() as gate:
            for each in holders:
                # Whose answer was lost says it again, and so does who got it: there is one new secret.
                text = _rotated(operator, each.key_id, names[each.key_id])
                assert told.get(each.key_id, text) == text
                assert verified(gate, text) == "allow"
                asked[each.key_id] = text
    with database(server).connect() as connection:
        rotations = sa.select(sa.func.count()).select_from(event).where(event.c.type == "key.rotated")
        assert connection.execute(rotations).scalar_one() == ROUNDS * len(holders)
        now = time.time_ns() // 1000
        lives = sa.or_(secret.c.ends_at.is_(None), secret.c.ends_at > now)
        living = connection.execute(
            sa.select(sa.func.count()).where(lives).group_by(secret.c.key_id)
        ).scalars()
        assert list(living) == [2] * len(holders)
        made = connection.execute(sa.select(sa.func.count()).select_from(secret)).scalar_one()
        assert made == (ROUNDS + 1) * len(holders)
    assert len(set(asked.values())) == len(holders)


def _rotated(operator: httpx2.Client, key_id: str, name: str) -> str:
    answer = operator.post(f"/keys/{key_id}/rotate", headers={"Idempotency-Key": f'"{name}"'})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["secret"])
