"""A consumer's whole way with real servers: the company's OpenID provider, workers, a browser's steps."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from app.directory.entitlements import ENTITLEMENT_SCHEMA
from tests.openid_provider import Provider, openid_provider
from tests.processes.conftest import LiveServer, http_client
from tests.processes.forked import KEYSTEWARD

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with openid_provider() as running:
        yield running


def set_login_provider(server: LiveServer, provider: Provider, tenant_id: str) -> str:
    """Set the login provider up as an administrator does; return the client's secret."""
    registered = provider.register(f"{server.root}/my/logged-in/{tenant_id}")
    words = ["login-provider", "set", "--issuer", provider.issuer, "--client-id", registered.client_id]
    subprocess.run(
        [*KEYSTEWARD, *words, "--client-secret-stdin"],
        env=server.environment,
        input=registered.client_secret.encode(),
        capture_output=True,
        check=True,
    )
    return registered.client_secret


def test_a_consumer_logs_in_and_claims_and_nothing_of_it_is_logged(
    new_server: Callable[..., LiveServer], provider: Provider
) -> None:
    server = new_server(
        KEYSTEWARD_LOOPBACK_ISSUERS="yes", KEYSTEWARD_LOG_LEVEL="debug", KEYSTEWARD_WORKERS="2"
    )
    with server.scim() as scim:
        scim.post(
            "/Entitlements",
            json={
                "schemas": [ENTITLEMENT_SCHEMA],
                "value": "orders",
                "scopes": ["orders.read"],
                "keyPolicy": {"issuance": "automatic"},
            },
        ).raise_for_status()
        user = {"schemas": [USER], "userName": "ada@acme.example", "active": True}
        scim.post("/Users", json={**user, "entitlements": [{"value": "orders"}]}).raise_for_status()
    with server.operator() as operator:
        (key,) = operator.get("/keys").json()["Resources"]
        linked = operator.post(
            "/keys", json={"consumer": "ada@acme.example", "entitlements": ["orders"]}
        ).json()
        link = operator.post(f"/keys/{linked['id']}/claim-link").json()["url"]
        tenants = subprocess.run(
            [*KEYSTEWARD, "tenant", "list", "--json"], env=server.environment, capture_output=True, check=True
        )
        tenant_id = re.findall(rb'"id": "(ten_[0-9a-f]+)"', tenants.stdout)[0].decode()
    planted = [set_login_provider(server, provider, tenant_id), link.partition("#")[2]]
    person = provider.person("ADA@acme.example")

    # Session cookies are kept by path and host, as a browser does; each step may meet another worker.
    with http_client(base_url=server.root) as browser, provider.logged_in(person):
        start = browser.get("/my/keys")
        (onward,) = re.findall(r'href="([^"]+/my/login/[^"]+)"', start.text)
        listed = browser.get(html.unescape(onward), follow_redirects=True)
        assert listed.status_code == 200, listed.text
        assert str(listed.url) == f"{server.root}/my/keys"
        planted += [str(value) for each in listed.history for value in each.cookies.values()]
        planted.append(httpx2.URL(listed.history[-1].url).params["code"])
        tokens = re.findall(r'name="csrf" value="([^"]+)"', listed.text)
        claimed = browser.post(f"/my/keys/{key['id']}/claim", data={"csrf": tokens[0]})
        by_login = re.findall(r'class="secret">([^<]+)<', claimed.text)[0]
    with http_client(base_url=server.root) as browser:
        fetched = browser.get(link)
        assert fetched.status_code == 200
        by_link = re.findall(r'class="secret">([^<]+)<', browser.post("/claim", data={"code": link}).text)[0]
        assert browser.post("/claim", data={"code": link}).status_code == 410
    with server.gate() as gate:
        for secret in (by_login, by_link):
            verified = gate.get("/gate/verify", headers={"Authorization": f"Bearer {secret}"})
            assert verified.status_code == 200
    server.stop()
    log = server.log.read_text()
    kept = b"".join(
        file.read_bytes()
        for file in Path(server.environment["KEYSTEWARD_DATA_DIR"]).iterdir()
        if file.is_file() and not file.name.startswith("peppers")
    )
    assert log
    for text in [*planted, by_login, by_link]:
        assert text
        assert text not in log
        assert text.encode() not in kept
    assert os.path.getsize(Path(server.environment["KEYSTEWARD_DATA_DIR"]) / "keysteward.sqlite3")
