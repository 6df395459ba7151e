"""``kill -9`` of every process loses no request that was answered 202, and repeats none (RFC 9967, P2)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import httpx2
import sqlalchemy as sa

from app.store.engine import create_engine
from app.store.tables import asynchronous_request, event, resource
from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import USER

ASYNCHRONOUS_RESPONSE = "urn:ietf:params:scim:event:misc:asyncresp"
ENOUGH = 60
SENDERS = 6


class Sender(threading.Thread):
    """Creates users without waiting for them, until the server goes away; remembers what was accepted."""

    def __init__(self, server: LiveServer, name: str) -> None:
        super().__init__()
        self.server = server
        self.prefix = name
        self.accepted: dict[str, str] = {}

    def run(self) -> None:
        number = 0
        try:
            with self.server.scim() as scim:
                while True:
                    number += 1
                    name = f"{self.prefix}-{number}@example.com"
                    body = {"schemas": [USER], "userName": name, "password": "not-kept"}
                    answer = scim.post("/Users", json=body, headers={"Prefer": "respond-async"})
                    assert answer.status_code == 202
                    self.accepted[name] = answer.headers["Location"]
        except httpx2.TransportError:
            return


def until_done(scim: httpx2.Client, location: str) -> str:
    """Ask for a result until it is there; return its status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = scim.get(location)
        if answer.status_code == 200:
            status: str = answer.json()["events"][ASYNCHRONOUS_RESPONSE]["status"]
            return status
        assert answer.status_code == 202
        time.sleep(0.05)
    raise AssertionError("the request was not carried out")


def test_what_was_accepted_before_a_kill_9_is_carried_out_once_after_it(
    new_server: Callable[..., LiveServer], database_url: str
) -> None:
    server = new_server(KEYSTEWARD_WORKERS="2", KEYSTEWARD_DATABASE_URL=database_url)
    engine = create_engine(database_url)
    pending = asynchronous_request.c.done_at.is_(None)
    accepted: dict[str, str] = {}
    left_over = 0
    for round_number in range(2):
        senders = [Sender(server, f"r{round_number}s{number}") for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        while sum(len(sender.accepted) for sender in senders) < ENOUGH:
            time.sleep(0.002)
        server.kill()
        for sender in senders:
            sender.join()
            accepted |= sender.accepted
        with engine.connect() as connection:
            left_over += connection.execute(
                sa.select(sa.func.count()).select_from(asynchronous_request).where(pending)
            ).scalar_one()
        server.start()
        with server.scim() as scim:
            assert {until_done(scim, location) for location in accepted.values()} == {"201"}
    # The server was killed while requests waited, or nothing was shown.
    assert left_over > 0
    with engine.connect() as connection:
        names = Counter(
            row.document["userName"]
            for row in connection.execute(sa.select(resource).where(resource.c.type == "User"))
        )
        made = Counter(
            connection.execute(sa.select(event.c.subject).where(event.c.type == "user.created")).scalars()
        )
        kept = connection.execute(
            sa.select(sa.func.count())
            .select_from(asynchronous_request)
            .where(asynchronous_request.c.body.is_not(None))
        ).scalar_one()
        assert connection.execute(sa.select(sa.func.count()).where(pending)).scalar_one() == 0
    engine.dispose()
    assert accepted.keys() <= names.keys()
    assert set(names.values()) == set(made.values()) == {1}
    assert len(made) == len(names)
    assert kept == 0
