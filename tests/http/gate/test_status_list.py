"""The status lists: what an edge that cannot ask learns of each secret, and how late it may be."""

from __future__ import annotations

import base64
import secrets
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet

from app.gate import status_list
from app.keys import status_index
from app.store import tables
from app.store.unit_of_work import Store
from tests.http.conftest import CONSUMER, HOUR, Key, Tenant

VALID, INVALID, SUSPENDED = 0, 1, 2
ROOT = "http://127.0.0.1:8470"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each list anew when it is asked for."""
    monkeypatch.setattr(status_list, "KEPT_FOR", 0)


def reference(tenant: Tenant, key: Key) -> dict[str, Any]:
    """Return the list and the place of a secret, as introspection tells them."""
    headers = {"Authorization": tenant.gate.headers["X-Gate-Authorization"]}
    answer = tenant.gate.client.post("/oauth2/introspect", data={"token": key.secret}, headers=headers)
    told: dict[str, Any] = answer.get_json()["status"]["status_list"]
    return told


def fetch(client: FlaskClient, uri: str) -> dict[str, Any]:
    """Fetch a list as an edge does, and believe it by the published keys."""
    keys = KeySet.import_key_set(client.get("/.well-known/jwks.json").get_json())
    answer = client.get(uri.removeprefix(ROOT), headers={"Accept": "application/statuslist+jwt"})
    assert (answer.status_code, answer.content_type) == (200, "application/statuslist+jwt")
    read = jwt.decode(answer.text, keys, algorithms=["ES256"])
    assert read.header["typ"] == "statuslist+jwt"
    assert read.claims["sub"] == uri
    claims: dict[str, Any] = read.claims
    return claims


def statuses(claims: dict[str, Any]) -> list[int]:
    """Read a list as the draft says, bit by bit."""
    bits, text = claims["status_list"]["bits"], claims["status_list"]["lst"]
    packed = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return [byte >> shift & (1 << bits) - 1 for byte in packed for shift in range(0, 8, bits)]


def status(tenant: Tenant, where: dict[str, Any]) -> int:
    return statuses(fetch(tenant.gate.client, where["uri"]))[where["idx"]]


@pytest.fixture
def holder(tenant: Tenant) -> str:
    tenant.entitlement("orders", keyPolicy={"lifetimeSeconds": 7200})
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.mark.usefixtures("fresh")
def test_a_secret_is_valid_suspended_or_invalid(tenant: Tenant, holder: str) -> None:
    def patch(*operations: dict[str, Any]) -> None:
        assert tenant.scim.patch(f"/Users/{holder}", *operations).status_code == 200

    one, two, three = (tenant.key(holder, "orders") for _ in range(3))
    first, second, third = (reference(tenant, each) for each in (one, two, three))
    assert [status(tenant, each) for each in (first, second, third)] == [VALID] * 3
    patch({"op": "replace", "value": {"active": False}})
    assert [status(tenant, each) for each in (first, second)] == [SUSPENDED] * 2
    patch({"op": "replace", "value": {"active": True}})
    assert status(tenant, first) == VALID
    patch({"op": "add", "path": f"{CONSUMER}:accessStartsAt", "value": "2199-01-01T00:00:00Z"})
    assert status(tenant, first) == SUSPENDED
    patch({"op": "remove", "path": f"{CONSUMER}:accessStartsAt"})
    tenant.operator.post(f"/keys/{one.id}/revoke")
    rotated = tenant.operator.post(f"/keys/{two.id}/rotate", {"overlapSeconds": 600}).get_json()
    successor = reference(tenant, Key(two.id, rotated["secret"]))
    assert successor["idx"] != second["idx"]
    assert [status(tenant, each) for each in (first, second, successor, third)] == [
        INVALID,
        VALID,
        VALID,
        VALID,
    ]
    tenant.let_pass(HOUR)
    assert [status(tenant, each) for each in (second, successor)] == [INVALID, VALID]
    tenant.let_pass(2 * HOUR)
    assert [status(tenant, each) for each in (successor, third)] == [INVALID] * 2, "expired"


@pytest.mark.usefixtures("fresh")
def test_a_list_tells_nothing_else(tenant: Tenant, holder: str) -> None:
    where = reference(tenant, tenant.key(holder, "orders"))
    claims = fetch(tenant.gate.client, where["uri"])
    every = statuses(claims)
    assert len(every) == status_index.LIST_SIZE
    assert [place for place, each in enumerate(every) if each != INVALID] == [where["idx"]]
    assert set(claims) == {"sub", "iat", "exp", "ttl", "status_list"}
    assert claims["ttl"] <= claims["exp"] - claims["iat"] == 60


def test_a_list_is_never_told_older_than_it_says(
    tenant: Tenant, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tenant.key(holder, "orders")
    where = reference(tenant, key)
    clock = [1_000_000_000.0]
    monkeypatch.setattr("app.gate.status_list.time.time", lambda: clock[0])
    before = fetch(tenant.gate.client, where["uri"])
    tenant.operator.post(f"/keys/{key.id}/revoke")
    clock[0] += 14
    assert fetch(tenant.gate.client, where["uri"]) == before
    assert tenant.verify(key) == "key_revoked", "the gate itself is never late"
    clock[0] += 2
    assert status(tenant, where) == INVALID
    assert status_list.KEPT_FOR < status_list.TIME_TO_LIVE <= status_list.LIFETIME // 2


def test_one_thread_at_a_time_makes_lists(
    tenant: Tenant, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = reference(tenant, tenant.key(holder, "orders"))
    path = where["uri"].removeprefix(ROOT)
    clock = [1_000_000_000.0]
    monkeypatch.setattr("app.gate.status_list.time.time", lambda: clock[0])
    begun, go_on = threading.Event(), threading.Event()
    made = status_list.StatusLists._made

    def slowly(*arguments: Any) -> str:
        begun.set()
        assert go_on.wait(60)
        return made(*arguments)

    fetch(tenant.gate.client, where["uri"])
    monkeypatch.setattr(status_list.StatusLists, "_made", slowly)
    clock[0] += 20
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: tenant.flask.test_client().get(path).status_code)
        try:
            assert begun.wait(60)
            assert tenant.gate.client.get(path).status_code == 200, "the one that there is, 20 seconds old"
            clock[0] += 20
            refused = tenant.gate.client.get(path)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        finally:
            go_on.set()
        assert waiting.result(60) == 200
    assert tenant.gate.client.get(path).status_code == 200


def test_places_are_drawn_at_random_and_a_full_list_is_followed_by_another(
    tenant: Tenant, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = [reference(tenant, tenant.key(holder, "orders"))["idx"] for _ in range(8)]
    assert len(set(drawn)) == 8
    assert drawn != sorted(drawn), "one time in 40,000 by chance"
    monkeypatch.setattr(status_index, "LIST_SIZE", 4)
    tenant.sql(sa.delete(tables.secret).where(tables.secret.c.tenant_id == tenant.id))
    for _ in range(12):
        tenant.key(holder, "orders")
    mine = tables.secret.c.tenant_id == tenant.id
    places = [row[0] for row in tenant.sql(sa.select(tables.secret.c.status_index).where(mine))]
    assert len(set(places)) == 12
    assert 3 <= len({place // 4 for place in places}) <= 6


@pytest.mark.usefixtures("fresh")
def test_lists_of_tenants_never_meet(found: Callable[..., Tenant], tenant: Tenant, holder: str) -> None:
    other = found()
    where = reference(tenant, tenant.key(holder, "orders"))
    assert set(statuses(fetch(other.gate.client, f"{ROOT}/statuslists/{other.id}/0"))) == {INVALID}
    for path in (
        f"{tenant.id}/1",
        f"{tenant.id}/99999999999999999999",
        f"{secrets.token_hex(16)}/0",
        "%00/0",
        f"{tenant.id}/-1",
        tenant.id,
    ):
        assert tenant.gate.client.get(f"/statuslists/{path}").status_code == 404, path
    refused = tenant.gate.client.get(where["uri"].removeprefix(ROOT), headers={"Accept": "text/html"})
    assert refused.status_code == 406


def test_a_store_that_does_not_answer_tells_no_list(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_arguments: Any, **_named: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused"))

    monkeypatch.setattr(Store, "reading", down)
    answer = tenant.gate.client.get(f"/statuslists/{tenant.id}/0")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.usefixtures("fresh")
def test_a_secret_from_before_there_were_lists_is_in_none(tenant: Tenant, holder: str) -> None:
    key = tenant.key(holder, "orders")
    tenant.sql(sa.update(tables.secret).where(tables.secret.c.key_id == key.id).values(status_index=None))
    with pytest.raises(KeyError, match="status"):
        reference(tenant, key)
    assert tenant.verify(key) == "allow"
    rotated = tenant.operator.post(f"/keys/{key.id}/rotate", {"overlapSeconds": 60}).get_json()
    assert status(tenant, reference(tenant, Key(key.id, rotated["secret"]))) == VALID
