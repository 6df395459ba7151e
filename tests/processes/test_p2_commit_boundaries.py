"""P2: who is killed at a commit boundary leaves a whole change or none, and saying it again ends it well.

Every boundary is tried: the places just before and just after each commit of a deactivation, of a rotation,
and of an issue of keys to a group that takes several batches.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import FOLLOW_UPS, create_app
from app.cli.first_start import Tokens, found_default_tenant
from app.cli.installation import open_installation
from app.settings import Settings
from app.store.engine import create_engine
from app.store.tables import consumer, event, follow_up, key, resource, secret
from tests.processes.commit_boundaries import Attempt, Request, attempting
from tests.processes.directory_of_people import BULK, GROUP, PATCH, USER, entitlement

pytestmark = pytest.mark.usefixtures("no_hurry")

PEOPLE = 7
BATCH = 4

MOST_BOUNDARIES = 40


@dataclass(frozen=True)
class Installed:
    """An installation, by its settings, and the tokens of its tenant."""

    environment: dict[str, str]
    tokens: Tokens

    def application(self) -> Flask:
        return create_app(Settings.from_environment(self.environment))

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        engine = create_engine(self.environment["KEYSTEWARD_DATABASE_URL"])
        with engine.connect() as connection:
            found = connection.execute(statement).all()
        engine.dispose()
        return list(found)

    def events(self, kind: str) -> list[str]:
        return [row.subject for row in self.rows(sa.select(event.c.subject).where(event.c.type == kind))]


@pytest.fixture
def installed(database_url: str, tmp_path: Path) -> Installed:
    environment = {
        "KEYSTEWARD_DATA_DIR": str(tmp_path / "data"),
        "KEYSTEWARD_DATABASE_URL": database_url,
    }
    installation = open_installation(Settings.from_environment(environment))
    tokens = found_default_tenant(installation)
    installation.store.engine.dispose()
    assert tokens is not None
    return Installed(environment, tokens)


def copies(original: Installed, folder: Path) -> Iterator[Installed]:
    """Yield copies of an installation, each with a database of its own."""
    url = sa.make_url(original.environment["KEYSTEWARD_DATABASE_URL"])
    for number in range(MOST_BOUNDARIES):
        if url.get_backend_name() == "sqlite":
            path = folder / f"copy{number}.sqlite3"
            with sqlite3.connect(str(url.database)) as source, sqlite3.connect(path) as target:
                source.backup(target)
            copied = url.set(database=str(path))
        else:
            copied = url.set(database=f"copy_{secrets.token_hex(6)}")
            maintenance = create_engine(url.set(database="postgres").render_as_string(hide_password=False))
            with maintenance.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {copied.database} TEMPLATE {url.database}")
            maintenance.dispose()
        settings = {
            **original.environment,
            "KEYSTEWARD_DATABASE_URL": copied.render_as_string(hide_password=False),
        }
        yield Installed(settings, original.tokens)


def killed_everywhere(
    original: Installed,
    folder: Path,
    check: Callable[[Installed], None],
    *requests: Request,
    follow_up: bool = False,
) -> int:
    """Kill requests at one boundary after the other, repeat them each time, and check what is there then.

    What is to follow up is done in batches of :data:`BATCH`.

    :return: how many boundaries the requests have.
    """
    with attempting() as attempts:
        for boundary, copy in enumerate(copies(original, folder)):
            if attempts.carry_out(Attempt(copy.environment, requests, follow_up, boundary, BATCH)):
                check(copy)
                return boundary
            assert attempts.carry_out(Attempt(copy.environment, requests, follow_up, None, BATCH))
            check(copy)
    raise AssertionError("the requests have no end")


def send(application: Flask, token: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
    answer = application.test_client().open(
        path, method=method, json=body, headers={"Authorization": f"Bearer {token}", **headers}
    )
    assert answer.status_code in (200, 201), answer.text
    return answer.get_json()


def person(number: int) -> dict[str, Any]:
    return {"schemas": [USER], "userName": f"user{number}@example.com", "active": True}


def one_key(installed: Installed) -> tuple[str, str, str]:
    """Make a user with a claimed key; return their ids and the secret."""
    application, tokens = installed.application(), installed.tokens
    send(application, tokens.scim, "POST", "/scim/v2/Entitlements", entitlement("orders-read"))
    body = {**person(1), "entitlements": [{"value": "orders-read"}]}
    user_id = send(application, tokens.scim, "POST", "/scim/v2/Users", body)["id"]
    key_id = send(application, tokens.operator, "GET", "/operator/v1/keys")["Resources"][0]["id"]
    claimed = send(application, tokens.operator, "POST", f"/operator/v1/keys/{key_id}/claim")
    application.extensions[FOLLOW_UPS].store.engine.dispose()
    return user_id, key_id, claimed["secret"]


def verified(installed: Installed, text: str) -> str:
    """Return what the gate says of a secret."""
    headers = {"X-Gate-Authorization": f"Bearer {installed.tokens.gate}", "Authorization": f"Bearer {text}"}
    application = installed.application()
    answer = application.test_client().get("/gate/verify", headers=headers)
    application.extensions[FOLLOW_UPS].store.engine.dispose()
    return "allow" if answer.status_code == 200 else str(answer.headers["X-Auth-Reason"])


def test_p2_a_deactivation(installed: Installed, tmp_path: Path) -> None:
    user_id, key_id, text = one_key(installed)

    def check(left: Installed) -> None:
        [stored] = left.rows(sa.select(resource).where(resource.c.id == user_id))
        [holder] = left.rows(sa.select(consumer).where(consumer.c.id == user_id))
        assert (stored.document["active"], holder.active, stored.revision) == (False, False, 2)
        assert left.events("user.updated") == [f"User/{user_id}"]
        assert left.events("key.dormant") == [f"key/{key_id}"]
        assert verified(left, text) == "consumer_inactive"

    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    request = Request("PATCH", f"/scim/v2/Users/{user_id}", installed.tokens.scim, body)
    assert killed_everywhere(installed, tmp_path, check, request) >= 2


def test_p2_a_rotation(installed: Installed, tmp_path: Path) -> None:
    _, key_id, text = one_key(installed)
    path = f"/operator/v1/keys/{key_id}/rotate"
    named = {"Idempotency-Key": f'"{secrets.token_hex(16)}"'}

    def check(left: Installed) -> None:
        assert left.events("key.rotated") == [f"key/{key_id}"]
        found = left.rows(sa.select(secret).order_by(secret.c.created_at))
        assert [each.ends_at is None for each in found] == [False, True]
        application = left.application()
        again = send(application, left.tokens.operator, "POST", path, **named)
        application.extensions[FOLLOW_UPS].store.engine.dispose()
        assert [verified(left, each) for each in (text, again["secret"])] == ["allow", "allow"]
        assert len(left.rows(sa.select(secret))) == 2

    request = Request("POST", path, installed.tokens.operator, headers=named)
    assert killed_everywhere(installed, tmp_path, check, request) >= 2


def test_p2_an_issue_of_keys_to_many(installed: Installed, tmp_path: Path) -> None:
    application, token = installed.application(), installed.tokens.scim
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"u{number}", "data": person(number)}
        for number in range(PEOPLE)
    ]
    made = send(application, token, "POST", "/scim/v2/Bulk", {"schemas": [BULK], "Operations": operations})
    people = [each["location"].rpartition("/")[2] for each in made["Operations"]]
    group = {
        "schemas": [GROUP],
        "displayName": "everybody",
        "members": [{"value": each} for each in people],
    }
    group_id = send(application, token, "POST", "/scim/v2/Groups", group)["id"]
    made = send(application, token, "POST", "/scim/v2/Entitlements", entitlement("orders-read"))
    application.extensions[FOLLOW_UPS].do_all()
    application.extensions[FOLLOW_UPS].store.engine.dispose()

    def check(left: Installed) -> None:
        issued = Counter(row.consumer_id for row in left.rows(sa.select(key.c.consumer_id)))
        assert issued == dict.fromkeys(people, 1)
        assert len(left.events("key.issued")) == PEOPLE
        # Who says it again has it followed up again, which then finds nothing to do.
        followed = left.rows(sa.select(follow_up).order_by(follow_up.c.id))
        assert len(followed) in (already + 1, already + 2)
        for each in followed[already:]:
            assert each.finished_at is not None
            assert (each.done, each.total) == (PEOPLE, PEOPLE)
        assert len(left.events("follow_up.finished")) == len(followed)

    already = len(installed.rows(sa.select(follow_up)))
    value = [{"value": group_id}]
    body = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "groups", "value": value}]}
    request = Request("PATCH", f"/scim/v2/Entitlements/{made['id']}", token, body)
    # The request, two batches, and each of them before and after.
    assert killed_everywhere(installed, tmp_path, check, request, follow_up=True) >= 6
