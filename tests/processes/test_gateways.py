"""Real gateways in front of a small API, with the configurations that docs/gateways.md shows.

nginx is Debian's, Envoy comes by pip. No package brings Traefik: there the documented requests are replayed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.processes.conftest import LiveServer, http_client
from tests.processes.directory_of_people import Holder, patch, populate
from tests.processes.gateways import Gateway, gateway, small_api
from tests.processes.own_postgresql import OwnPostgresql, own_postgresql


@pytest.fixture
def api() -> Iterator[int]:
    with small_api() as port:
        yield port


@pytest.fixture(params=["nginx", "envoy", "traefik"])
def behind(
    request: pytest.FixtureRequest, new_server: Callable[..., LiveServer], api: int, tmp_path: Path
) -> Iterator[tuple[LiveServer, Gateway]]:
    server = new_server()
    with gateway(request.param, server, api, tmp_path) as started:
        yield server, started


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def reached(answer: httpx2.Response) -> dict[str, str]:
    """The headers that came to the API."""
    assert answer.status_code == 200, answer.text
    return dict(line.split(": ", 1) for line in answer.text.splitlines() if ": " in line)


def set_active(scim: httpx2.Client, holder: Holder, active: bool) -> None:
    said = {"op": "replace", "value": {"active": active}}
    assert patch(scim, f"/Users/{holder.user_id}", said).is_success


def rotate(operator: httpx2.Client, holder: Holder, **overlap: int) -> str:
    rotated = operator.post(f"/keys/{holder.key_id}/rotate", json=overlap)
    assert rotated.status_code == 200, rotated.text
    return str(rotated.json()["secret"])


def test_keys_live_and_die_behind_a_gateway(behind: tuple[LiveServer, Gateway]) -> None:
    server, started = behind
    with (
        server.scim() as scim,
        server.operator() as operator,
        http_client(base_url=started.front) as caller,
    ):
        leaver, mover, rotating, revoked = populate(scim, operator, 4)

        def status(secret: str, **headers: str) -> int:
            return caller.get("/orders", headers={**bearer(secret), **headers}).status_code

        forged = {"X-Auth-Subject": "somebody-else", "X-Auth-Tenant": "x", "X-Auth-User-Name": "x"}
        allowed = caller.get("/orders", headers={**bearer(leaver.secret), **forged})
        told = reached(allowed)
        assert told["x-auth-subject"] == leaver.user_id
        assert told["x-auth-key-id"] == leaver.key_id
        assert told["x-auth-scopes"] == "orders.read"
        assert not {"x-auth-tenant", "x-auth-user-name"} & told.keys()
        for secret in (leaver.secret, server.credentials["gate"]["token"]):
            assert secret not in allowed.text
        assert caller.get("/orders", headers={"X-API-Key": leaver.secret}).status_code == 200

        without = caller.get("/orders")
        assert (without.status_code, without.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
        assert status("nonsense") == 401
        # A gateway's token that a caller sends does not take the place of the gateway's own.
        assert status(leaver.secret, **{"X-Gate-Authorization": "Bearer nonsense"}) == 200
        assert status(leaver.secret, **{"X-Gate-Scope": "orders.delete"}) in (200, 403)

        set_active(scim, leaver, False)
        assert status(leaver.secret) == 401
        set_active(scim, leaver, True)
        assert status(leaver.secret) == 200

        gone = {"op": "remove", "path": "entitlements"}
        back = {"op": "add", "path": "entitlements", "value": [{"value": "orders-read"}]}
        assert patch(scim, f"/Users/{mover.user_id}", gone).is_success
        assert status(mover.secret) == 403
        assert patch(scim, f"/Users/{mover.user_id}", back).is_success
        assert status(mover.secret) == 200
        assert scim.delete(f"/Users/{mover.user_id}").status_code == 204
        assert status(mover.secret) == 401

        assert operator.post(f"/keys/{revoked.key_id}/revoke", json={}).status_code == 200
        assert status(revoked.secret) == 401

        second = rotate(operator, rotating)
        overlapping = caller.get("/orders", headers=bearer(rotating.secret))
        assert overlapping.status_code == 200
        rotation_is_told(started, overlapping.headers)
        fresh = caller.get("/orders", headers=bearer(second))
        assert fresh.status_code == 200
        assert not {"deprecation", "sunset"} & fresh.headers.keys()
        third = rotate(operator, rotating, overlapSeconds=0)
        assert [status(each) for each in (rotating.secret, second, third)] == [401, 401, 200]

        server.stop()
        assert status(third) in (403, 500, 502, 503)
        server.start()
        assert status(third) == 200


def rotation_is_told(started: Gateway, headers: Any) -> None:
    if started.kind == "traefik":
        # ForwardAuth hands headers to the API, and to the caller only those of a denial.
        assert not {"deprecation", "sunset"} & headers.keys()
        return
    assert headers["Deprecation"].startswith("@")
    assert headers["Sunset"].endswith("GMT")


def test_the_gate_is_told_who_calls(behind: tuple[LiveServer, Gateway]) -> None:
    server, started = behind
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    forged = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Method": "PUT", "X-Forwarded-Uri": "/admin"}
    with http_client(base_url=started.front) as caller:
        assert caller.get("/orders?page=2", headers={**bearer(holder.secret), **forged}).status_code == 200
        assert caller.post("/orders", headers=bearer(holder.secret)).status_code == 200
    asked = started.asked[-2]
    # The last address is the one that the gateway saw; what stands before it, the caller said. (Envoy has
    # another address of this machine for one that calls from within it.)
    here = {each.address for addresses in psutil.net_if_addrs().values() for each in addresses}
    assert asked["x-forwarded-for"].rsplit(",", 1)[-1].strip() in here
    named = {"nginx": "x-original", "traefik": "x-forwarded"}.get(started.kind)
    if named is not None:
        assert (asked[f"{named}-method"], asked[f"{named}-uri"]) == ("GET", "/orders?page=2")
        assert not {"PUT", "/admin"} & set(asked.values())


@pytest.fixture
def postgresql() -> Iterator[OwnPostgresql]:
    with own_postgresql() as own:
        yield own


@pytest.mark.parametrize("kind", ["nginx", "envoy"])
def test_nothing_passes_a_gateway_while_the_store_is_down(
    kind: str,
    new_server: Callable[..., LiveServer],
    postgresql: OwnPostgresql,
    api: int,
    tmp_path: Path,
) -> None:
    server = new_server(KEYSTEWARD_DATABASE_URL=postgresql.url)
    with server.scim() as scim, server.operator() as operator:
        (holder,) = populate(scim, operator, 1)
    with (
        gateway(kind, server, api, tmp_path) as started,
        http_client(base_url=started.front, headers=bearer(holder.secret)) as caller,
    ):
        assert caller.get("/orders").status_code == 200
        postgresql.kill()
        assert {caller.get("/orders").status_code for _ in range(10)} == {403}
        postgresql.start()
        deadline = time.monotonic() + 60
        while caller.get("/orders").status_code != 200:
            assert time.monotonic() < deadline
