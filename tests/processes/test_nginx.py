"""A real nginx in front of a small API, with the configuration that docs/gateways.md shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from tests.processes.conftest import LiveServer, free_port
from tests.processes.directory_of_people import patch, populate

DOCUMENT = Path(__file__).parents[2] / "docs" / "gateways.md"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="needs the Debian package nginx")


class Api(BaseHTTPRequestHandler):
    """Answers with the headers that reached it."""

    def do_GET(self) -> None:
        body = "".join(f"{name.lower()}: {value}\n" for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def behind_nginx(
    new_server: Callable[..., LiveServer], api: int, tmp_path: Path
) -> Iterator[tuple[LiveServer, str]]:
    """Start a server, and nginx in front of the API with the documented configuration."""
    server = new_server()
    found = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    token = tmp_path / "keysteward-token.conf"
    token.write_text(
        f'proxy_set_header X-Gate-Authorization "Bearer {server.credentials["gate"]["token"]}";\n'
    )
    token.chmod(0o600)
    locations = (
        found[1]
        .replace("http://127.0.0.1:8470", server.root)
        .replace("http://127.0.0.1:9000", f"http://127.0.0.1:{api}")
        .replace("/etc/nginx/keysteward-token.conf", str(token))
    )
    port = free_port()
    folders = " ".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"daemon off; user root; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {folders}\n"
        f"server {{ listen 127.0.0.1:{port};\n{locations}\n}} }}\n"
    )
    assert NGINX is not None
    process = subprocess.Popen([NGINX, "-c", str(configuration), "-p", str(tmp_path)])
    front = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx2.get(front)
            break
        except httpx2.TransportError:
            assert process.poll() is None, (tmp_path / "error.log").read_text()
            time.sleep(0.05)
    yield server, front
    process.terminate()
    process.wait(10)


def test_keys_live_and_die_behind_nginx(behind_nginx: tuple[LiveServer, str]) -> None:
    server, front = behind_nginx
    with server.scim() as scim, server.operator() as operator, httpx2.Client(base_url=front) as caller:
        (holder,) = populate(scim, operator, 1)
        bearer = {"Authorization": f"Bearer {holder.secret}"}

        allowed = caller.get(
            "/orders", headers={**bearer, "X-Auth-Subject": "somebody-else", "X-Auth-Tenant": "x"}
        )
        assert allowed.status_code == 200
        reached = dict(line.split(": ", 1) for line in allowed.text.splitlines())
        assert reached["x-auth-subject"] == holder.user_id
        assert reached["x-auth-key-id"] == holder.key_id
        assert "x-auth-tenant" not in reached
        assert holder.secret not in allowed.text
        assert server.credentials["gate"]["token"] not in allowed.text

        without = caller.get("/orders")
        assert (without.status_code, without.headers["WWW-Authenticate"]) == (401, 'Bearer realm="api"')
        assert caller.get("/orders", headers={"Authorization": "Bearer nonsense"}).status_code == 401

        assert patch(
            scim, f"/Users/{holder.user_id}", {"op": "replace", "value": {"active": False}}
        ).is_success
        assert caller.get("/orders", headers=bearer).status_code == 401
        assert patch(
            scim, f"/Users/{holder.user_id}", {"op": "replace", "value": {"active": True}}
        ).is_success
        assert caller.get("/orders", headers=bearer).status_code == 200
        assert patch(scim, f"/Users/{holder.user_id}", {"op": "remove", "path": "entitlements"}).is_success
        assert caller.get("/orders", headers=bearer).status_code == 403
        server.stop()
        assert caller.get("/orders", headers=bearer).status_code >= 500
