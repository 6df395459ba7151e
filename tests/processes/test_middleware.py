"""The middleware as docs/middleware.md shows it: real applications behind it, and keys that live and die."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.processes.conftest import LiveServer, bearer, free_port, http_client
from tests.processes.directory_of_people import patch, populate

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "middleware.md"


@contextmanager
def application(interface: str, server: LiveServer, folder: Path) -> Iterator[httpx2.Client]:
    """Serve the application that the document shows for an interface, by a real server of its own."""
    shown = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    code = shown[("wsgi", "asgi").index(interface)]
    (folder / f"{interface}_example.py").write_text(code, encoding="utf-8")
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", interface, "--port", str(port)),
            *("--working-dir", str(folder), f"{interface}_example:application"),
        ],
        env={
            **server.environment,
            "PYTHONPATH": f"{ROOT}:{folder}",
            "KEYSTEWARD_URL": server.root,
            "GATE_TOKEN": server.credentials["gate"]["token"],
        },
    )
    try:
        with http_client(base_url=f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                assert process.poll() is None
                try:
                    client.get("/")
                    break
                except httpx2.TransportError:
                    time.sleep(0.05)
            yield client
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
def test_keys_live_and_die_before_the_application(
    new_server: Callable[..., LiveServer], tmp_path: Path, interface: str
) -> None:
    server = new_server(KEYSTEWARD_TRUSTED_PROXIES="127.0.0.1")
    with (
        server.scim() as scim,
        server.operator() as operator,
        application(interface, server, tmp_path) as caller,
    ):
        (holder,) = populate(scim, operator, 1)
        key = bearer(holder.secret)
        allowed = caller.get("/orders/7?x=1", headers=key)
        assert (allowed.status_code, allowed.text) == (
            200,
            f"{holder.user_name} {holder.key_id} orders.read",
        )
        assert caller.get("/", headers={"X-API-Key": holder.secret}).status_code == 200
        without = caller.get("/")
        assert (without.status_code, without.headers["X-Auth-Reason"]) == (401, "no_key")
        assert without.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        assert without.json()["reason"] == "no_key"

        (entitlement,) = scim.get("/Entitlements").json()["Resources"]
        conditions = {"methods": ["GET"], "paths": ["/orders/*"]}
        path = f"/Entitlements/{entitlement['id']}"
        assert patch(scim, path, {"op": "add", "path": "conditions", "value": conditions}).is_success
        for method, target, expected in (
            ("GET", "/orders/7", 200),
            ("GET", "/%6Frders/7?x=/admin", 200),
            ("POST", "/orders/7", 403),
            ("GET", "/admin", 403),
            ("GET", "/orders/%2e%2e/admin", 403),
            ("GET", "/orders%2f7", 200 if interface == "wsgi" else 403),
            ("GET", "/orders/%252e%252e/admin", 403),
        ):
            assert caller.request(method, target, headers=key).status_code == expected, (method, target)

        # The application is called from 127.0.0.1, whatever a caller says.
        made_up = {"X-Forwarded-For": "203.0.113.5", "X-Real-IP": "203.0.113.5"}
        for network, expected in (("203.0.113.0/24", 403), ("127.0.0.1", 200)):
            networks = {"op": "replace", "path": "conditions", "value": {"networks": [network]}}
            assert patch(scim, path, networks).is_success
            for forged in ({}, made_up):
                assert caller.get("/orders/7", headers=key | forged).status_code == expected, network

        user = f"/Users/{holder.user_id}"
        for value, expected in ((False, 401), (True, 200), (False, 401)):
            assert patch(scim, user, {"op": "replace", "value": {"active": value}}).is_success
            assert caller.get("/orders/7", headers=key).status_code == expected
        assert patch(scim, user, {"op": "replace", "value": {"active": True}}).is_success
        server.stop()
        away = caller.get("/orders/7", headers=key)
        assert (away.status_code, away.headers["Retry-After"]) == (503, "1")
        server.start()
        assert caller.get("/orders/7", headers=key).status_code == 200
