"""P2: ``kill -9`` at any moment loses no acknowledged change and leaves no half of one."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import sqlalchemy as sa

from app.store.engine import create_engine
from app.store.tables import activity, consumer, event, key, resource, secret
from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import USER, create, entitlement, patch

ROUNDS = 6


class Churn(threading.Thread):
    """Creates and deactivates users until the server goes away; remembers what was acknowledged."""

    def __init__(self, server: LiveServer, name: str) -> None:
        super().__init__()
        self.server = server
        self.prefix = name
        self.acknowledged: dict[str, bool] = {}
        self.unanswered: set[str] = set()
        self.stopping = threading.Event()

    def run(self) -> None:
        number = 0
        try:
            with self.server.scim() as scim:
                while not self.stopping.is_set():
                    number += 1
                    self._one(scim, f"{self.prefix}-{number}@example.com")
        except httpx2.TransportError:
            return

    def _one(self, scim: httpx2.Client, user_name: str) -> None:
        self.unanswered.add(user_name)
        body = {"schemas": [USER], "userName": user_name, "entitlements": [{"value": "orders-read"}]}
        user = create(scim, "/Users", body)
        self.acknowledged[user_name] = True
        answer = patch(scim, f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
        assert answer.status_code == 200
        self.acknowledged[user_name] = False
        self.unanswered.discard(user_name)


def check_nothing_is_half_done(database: Path, acknowledged: dict[str, bool], unanswered: set[str]) -> int:
    """Compare what is stored with what was acknowledged, and the tables with each other."""
    with create_engine(f"sqlite:///{database}").connect() as connection:
        users = {
            row.document["userName"]: row
            for row in connection.execute(sa.select(resource).where(resource.c.type == "User"))
        }
        consumers = {row.id: row for row in connection.execute(sa.select(consumer))}
        open_activities = set(
            connection.execute(
                sa.select(activity.c.consumer_id).where(activity.c.until > time.time_ns() // 1000)
            ).scalars()
        )
        written = Counter(
            connection.execute(
                sa.select(event.c.subject).where(event.c.type.in_(("user.created", "user.updated")))
            ).scalars()
        )
        keys = Counter(connection.execute(sa.select(key.c.consumer_id)).scalars())
        issued = connection.execute(
            sa.select(sa.func.count()).select_from(event).where(event.c.type == "key.issued")
        ).scalar_one()
        assert connection.execute(sa.select(sa.func.count()).select_from(secret)).scalar_one() == 0
    assert users.keys() <= acknowledged.keys() | unanswered
    for user_name, active in acknowledged.items():
        stored = users[user_name].document["active"]
        # The last request for a user may have been committed without its answer having got through.
        assert stored == active or (user_name in unanswered and not stored)
    for row in users.values():
        assert consumers[row.id].active == row.document["active"] == (row.id in open_activities)
        assert written[f"User/{row.id}"] == row.revision
        assert keys[row.id] == 1
    assert len(consumers) == len(users)
    assert issued == sum(keys.values())
    return len(users)


def test_kill_9_loses_nothing_acknowledged_and_leaves_nothing_half_done(
    new_server: Callable[..., LiveServer],
) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2")
    with server.scim() as scim:
        create(scim, "/Entitlements", entitlement("orders-read"))
    chosen = random.Random(20261123)
    acknowledged: dict[str, bool] = {}
    unanswered: set[str] = set()
    stored = 0
    for round_number in range(ROUNDS):
        churns = [Churn(server, f"r{round_number}t{thread}") for thread in range(4)]
        for churn in churns:
            churn.start()
        # A moment that differs from round to round, but never before the load has begun.
        target = chosen.randint(5, 25)
        while sum(len(churn.acknowledged) for churn in churns) < target:
            time.sleep(chosen.random() / 200)
        server.kill()
        for churn in churns:
            churn.join()
            acknowledged |= churn.acknowledged
            unanswered |= churn.unanswered
        database = Path(server.environment["KEYSTEWARD_DATA_DIR"]) / "keysteward.sqlite3"
        stored = check_nothing_is_half_done(database, acknowledged, unanswered)
        server.start()
    assert stored >= ROUNDS * 5
