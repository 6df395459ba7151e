"""A dead secret's reuse is recognised and reported, once an hour; garbage is not, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from app import AFTERWARDS
from app.gate.afterwards import Afterwards
from app.gate.decision import Call, Deny, decide
from app.gate.lookup import look_up
from app.store.secrets import _checksum, mint, parse
from app.store.unit_of_work import Store
from tests.http.conftest import DAY, HOUR, SECOND, Key, Tenant

INACTIVE = {"op": "replace", "value": {"active": False}}


@pytest.fixture
def user(tenant: Tenant) -> str:
    tenant.entitlement("orders")
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def key(tenant: Tenant, user: str) -> Key:
    return tenant.key(user, "orders")


def reports(tenant: Tenant) -> list[dict[str, Any]]:
    """Return the reports of dead secrets' use, after all that verifications left is written."""
    tenant.flask.extensions[AFTERWARDS].settle()
    events = tenant.operator.get("/events", limit=1000).get_json()["Resources"]
    return [each for each in events if each["type"] == "key.dead_secret_used"]


def revoke(tenant: Tenant, user: str, key: Key) -> None:
    tenant.operator.post(f"/keys/{key.id}/revoke")


def delete(tenant: Tenant, user: str, key: Key) -> None:
    tenant.scim.delete(f"/Users/{user}")


def let_lapse(tenant: Tenant, user: str, key: Key) -> None:
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    tenant.let_pass(2 * DAY)


def rotate_out(tenant: Tenant, user: str, key: Key) -> None:
    tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 0})


@pytest.mark.parametrize(
    ("kill", "reason"),
    [
        (revoke, "key_revoked"),
        (delete, "key_revoked"),
        (let_lapse, "right_lapsed"),
        (rotate_out, "secret_rotated"),
    ],
)
def test_the_use_of_a_dead_secret_is_an_event_with_its_reason(
    tenant: Tenant, user: str, key: Key, kill: Callable[[Tenant, str, Key], None], reason: str
) -> None:
    assert tenant.verify(key) == "allow"
    kill(tenant, user, key)
    assert reports(tenant) == []
    assert tenant.verify(key) == reason
    (report,) = reports(tenant)
    assert report["subject"] == f"key/{key.id}"
    assert report["data"] == {"consumer": user, "secret": parse(key.secret).id, "reason": reason}
    assert report["actor"].startswith("credential:")
    shown = tenant.operator.get("/events", consumer=user).get_json()["Resources"]
    assert report in shown


def test_an_expired_key(tenant: Tenant, user: str) -> None:
    tenant.entitlement("invoices", keyPolicy={"lifetimeSeconds": 3600})
    tenant.scim.patch(
        f"/Users/{user}", {"op": "add", "path": "entitlements", "value": [{"value": "invoices"}]}
    )
    key = tenant.key(user, "invoices")
    tenant.let_pass(2 * HOUR)
    assert tenant.verify(key) == "key_expired"
    assert [each["data"]["reason"] for each in reports(tenant)] == ["key_expired"]


def test_it_is_reported_once_an_hour(tenant: Tenant, user: str, key: Key) -> None:
    revoke(tenant, user, key)
    for _ in range(5):
        tenant.verify(key)
    assert len(reports(tenant)) == 1
    tenant.let_pass(HOUR - 60 * SECOND)
    tenant.verify(key)
    assert len(reports(tenant)) == 1
    tenant.let_pass(60 * SECOND)
    tenant.verify(key)
    assert len(reports(tenant)) == 2


def test_processes_that_see_it_at_once_report_it_once(tenant: Tenant, user: str, key: Key) -> None:
    revoke(tenant, user, key)
    found = look_up(tenant.store, tenant.peppers, tenant.id, parse(key.secret))
    assert found is not None
    denial = decide(found.holding, Call(frozenset(), frozenset(), None, None), found.now)
    assert isinstance(denial, Deny)
    processes = [Afterwards(tenant.store) for _ in range(3)]
    for each in processes:
        each.note_denial(denial, found.now, "credential:test")
    for each in processes:
        each.settle()
    assert len(reports(tenant)) == 1


def test_neither_garbage_nor_the_living_are_reported(tenant: Tenant, user: str, key: Key) -> None:
    revoke(tenant, user, key)
    stranger = mint("ks", "live")
    near = Key("", f"{key.secret[:-49]}{stranger.text[-49:]}")
    assert tenant.verify(near) == "key_malformed"
    assert tenant.verify(Key("", stranger.text)) == "key_unknown"
    forged = stranger.text.replace(stranger.id, parse(key.secret).id)[:-6]
    assert tenant.verify(Key("", forged + _checksum(forged))) == "key_unknown"
    living = tenant.key(user, "orders")
    tenant.verify(living, scope="none.such")
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    assert tenant.verify(living) == "consumer_inactive"
    assert reports(tenant) == []


def test_nobody_else_learns_of_it(tenant: Tenant, found: Callable[..., Tenant], user: str, key: Key) -> None:
    revoke(tenant, user, key)
    other = found()
    assert other.verify(key) == "key_unknown"
    assert reports(tenant) == reports(other) == []


class Unwritable(Store):
    """A store that can be read only."""

    def writing(self, *_: Any, **__: Any) -> Any:
        raise sa.exc.OperationalError("no statement", {}, Exception("read only"))


def test_a_report_that_fails_changes_nothing_and_is_made_by_the_next_use(
    tenant: Tenant, user: str, key: Key
) -> None:
    revoke(tenant, user, key)
    afterwards: Afterwards = tenant.flask.extensions[AFTERWARDS]
    store, afterwards._store = afterwards._store, Unwritable(tenant.store.engine)
    try:
        assert tenant.verify(key) == "key_revoked"
        assert reports(tenant) == []
    finally:
        afterwards._store = store
    assert tenant.verify(key) == "key_revoked"
    assert len(reports(tenant)) == 1
