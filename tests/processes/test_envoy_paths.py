"""The path of a call as Envoy appends it to ``/gate/verify``, on a real server that decodes it on the way."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import ENTITLEMENT, USER


def asked(server: LiveServer, secret: str, path: str) -> int:
    """Ask about a path as it stands, which no HTTP library would send."""
    parts = urlsplit(server.root)
    request = (
        f"GET /gate/verify{path} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n"
        f"X-Gate-Authorization: Bearer {server.credentials['gate']['token']}\r\n"
        f"Authorization: Bearer {secret}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request.encode())
        status_line = connection.makefile("rb").readline()
    return int(status_line.split()[1])


def test_a_path_is_judged_by_what_it_resolves_to(new_server: Callable[..., LiveServer]) -> None:
    server = new_server()
    with server.scim() as scim, server.operator() as operator:
        entitlement = {
            "schemas": [ENTITLEMENT],
            "value": "orders",
            "conditions": {"paths": ["/", "/orders/*"]},
        }
        assert scim.post("/Entitlements", json=entitlement).status_code == 201
        user = {"schemas": [USER], "userName": "ada", "entitlements": [{"value": "orders"}]}
        user_id = scim.post("/Users", json=user).json()["id"]
        issued = operator.post("/keys", json={"consumer": user_id, "entitlements": ["orders"]}).json()
        secret = operator.post(f"/keys/{issued['id']}/claim").json()["secret"]
    for path in ("/", "/orders/1", "/orders/1?of=me", "/orders/a%20b", "/orders/%C3%A9", "/x/../orders/1"):
        assert asked(server, secret, path) == 200, path
    for path in (
        "",
        "/admin",
        "/orders/../admin",
        "/orders/..%2Fadmin",
        "/orders/%2e%2e/admin",
        "/orders/%252e%252e/admin",
        "/orders/%252Fx",
        "/orders/..%5Cadmin",
        "/orders/%00",
        "/orders/%FF",
        "/admin%3F/orders/1",
        "/admin%23/orders/1",
        "/admin?/orders/1",
    ):
        assert asked(server, secret, path) in (401, 403), path
