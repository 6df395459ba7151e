"""Readable once, by one, and the reading is an event: across all ways to claim together."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from app.access.login_provider import get_login_provider, set_login_provider
from app.claiming.sessions import Session
from app.store import tables
from tests.http.claims import another_key, events, follow, issued_key, make_link, opened, seal, shown_secret
from tests.http.conftest import Key, Tenant

PRIVATE: Final = ECKey.generate_key("P-256")

Attempt = Callable[[], TestResponse]


def logged_in(tenant: Tenant, key_id: str) -> tuple[FlaskClient, Session]:
    """Return a browser with the session that a login ends in; the login itself has tests of its own."""
    with tenant.store.writing(tenant.id, actor="test") as unit:
        provider = set_login_provider(unit, "https://idp.example", "keysteward")
    with tenant.store.reading(tenant.id) as unit:
        provider = get_login_provider(unit)
        now = unit.now
    consumer = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    session = Session(tenant.id, consumer, provider.id, now, "token")
    browser = tenant.flask.test_client()
    with browser.session_transaction("/my/keys") as kept:
        kept.update(tenant=tenant.id, consumer=consumer, provider=provider.id, at=now, csrf=session.csrf)
    return browser, session


def ways(tenant: Tenant, key_id: str) -> dict[str, Attempt]:
    """Return each way to claim a key, prepared so that only the last step is left."""
    link = make_link(tenant, key_id)
    browser, session = logged_in(tenant, key_id)
    headers = tenant.operator.headers
    return {
        "operator": lambda: tenant.flask.test_client().post(
            f"/operator/v1/keys/{key_id}/claim", headers=headers
        ),
        "encrypted": lambda: seal(tenant, key_id, PRIVATE.as_dict(private=False)),
        "link": lambda: follow(tenant, link),
        "consumer": lambda: browser.post(f"/my/keys/{key_id}/claim", data={"csrf": session.csrf}),
    }


def read(way: str, answer: TestResponse) -> str:
    """Return the secret that a way hands out."""
    if way in ("link", "consumer"):
        return shown_secret(answer)
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    secret: str = opened(body["jwe"], PRIVATE)["secret"] if way == "encrypted" else body["secret"]
    return secret


WAYS: Final = ("operator", "encrypted", "link", "consumer")


@pytest.mark.parametrize(("first", "second"), itertools.product(WAYS, WAYS))
def test_what_was_claimed_in_one_way_is_claimed_in_no_other(tenant: Tenant, first: str, second: str) -> None:
    key_id = issued_key(tenant)
    attempts = ways(tenant, key_id)
    secret = read(first, attempts[first]())
    refused = attempts[second]()
    assert refused.status_code in (409, 410)
    assert secret not in refused.text
    (claimed,) = [each for each in events(tenant, key_id) if each["type"] == "key.claimed"]
    assert claimed["data"]["by"] == {"encrypted": "operator"}.get(first, first)
    assert tenant.verify(Key(key_id, secret)) == "allow"
    # And no link can be made for it any more.
    assert tenant.operator.post(f"/keys/{key_id}/claim-link").status_code == 409


def test_all_ways_at_once_hand_out_one_secret(tenant: Tenant) -> None:
    key_id = issued_key(tenant)
    user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    for _ in range(3):
        attempts = ways(tenant, key_id)
        ready = threading.Barrier(len(attempts))
        answers: dict[str, TestResponse] = {}

        def turn(
            way: str,
            attempt: Attempt,
            ready: threading.Barrier = ready,
            answers: dict[str, TestResponse] = answers,
        ) -> None:
            ready.wait()
            answers[way] = attempt()

        threads = [threading.Thread(target=turn, args=each) for each in attempts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [way for way, answer in answers.items() if answer.status_code == 200]
        assert tenant.verify(Key(key_id, read(winner, answers[winner]))) == "allow"
        assert [each["type"] for each in events(tenant, key_id)].count("key.claimed") == 1
        key_id = another_key(tenant, user)


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


def test_no_secret_or_token_is_written_anywhere(
    tenant: Tenant, everything_logged: pytest.LogCaptureFixture
) -> None:
    """Each way is gone, well and ill; then every table and every line of the log is searched."""
    key_id = issued_key(tenant)
    user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    planted: list[str] = []
    for way in WAYS:
        attempts = ways(tenant, key_id)
        older, link = make_link(tenant, key_id), make_link(tenant, key_id)
        planted += [older, link]
        # The links made meanwhile have ended the one of the attempt.
        claimed = follow(tenant, link) if way == "link" else attempts[way]()
        secret = read(way, claimed)
        planted.append(secret)
        for token in (older, link, secret):
            assert follow(tenant, token).status_code in (404, 410)
            refused = tenant.operator.post(f"/keys/{key_id}/claim", {"recipient": {"kty": token}})
            assert refused.status_code == 400
            assert token not in refused.text
        key_id = another_key(tenant, user)
    secret_parts = {each.split("_")[3][:43] for each in planted}
    assert len(secret_parts) == len(set(planted))
    written = everything_logged.text
    for table in tables.metadata.sorted_tables:
        written += str(tenant.sql(sa.select(table)))
    assert "key.claimed" in written
    assert [part for part in secret_parts if part in written] == []
