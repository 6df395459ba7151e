"""No secret is left anywhere: not in a log line, an error, an event, a table or a process's arguments.

Recognisable secrets go in by every way there is, and by ways that people take by mistake; a real server with
several workers logs all it can while keys live, fail and end; then everything that is left is searched.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, RSAKey

from app.access.token_face import ASSERTION_TYPE
from app.store.engine import create_engine
from app.store.secrets import PATTERN, SecretMalformed, parse
from tests.processes.conftest import LiveServer
from tests.processes.directory_of_people import BULK, USER, create, entitlement, patch
from tests.processes.planted_secrets import (
    Planted,
    client,
    search_database,
    search_files,
    search_processes,
)

PROJECT = Path(__file__).parents[2]


@dataclass
class Story:
    """The whole life of keys on one server, told by clients whose answers are all searched."""

    server: LiveServer
    planted: Planted
    scim: httpx2.Client
    operator: httpx2.Client
    gate: httpx2.Client

    def tell(self) -> None:
        user_id = self.people()
        first, rotated = self.keys_by_the_operator(user_id)
        self.key_by_link()
        self.key_for_a_machine()
        self.connection_and_client()
        self.login_provider()
        self.by_mistake(first, rotated)
        self.store_fails(rotated)
        self.endings(user_id, rotated)

    def people(self) -> str:
        """As Okta does: with a password that nobody uses, in every kind of request."""
        create(self.scim, "/scim/v2/Entitlements", entitlement("orders", keyPolicy={"issuance": "manual"}))
        create(self.scim, "/scim/v2/Entitlements", entitlement("more", keyPolicy={"issuance": "manual"}))

        def body(name: str) -> dict[str, Any]:
            password = self.planted.plant(f"password of {name}", f"Okta-{secrets.token_hex(12)}")
            held = [{"value": "orders"}, {"value": "more"}]
            return {"schemas": [USER], "userName": name, "password": password, "entitlements": held}

        user_id = str(create(self.scim, "/scim/v2/Users", body("ada"))["id"])
        assert self.scim.put(f"/scim/v2/Users/{user_id}", json=body("ada")).status_code == 200
        changed = {"op": "replace", "path": "password", "value": body("patched")["password"]}
        assert patch(self.scim, f"/scim/v2/Users/{user_id}", changed).status_code == 200
        operations = [{"method": "POST", "path": "/Users", "bulkId": "b", "data": body("bob")}]
        bulk = {"schemas": [BULK], "Operations": operations}
        assert self.scim.post("/scim/v2/Bulk", json=bulk).status_code == 200
        taken = self.scim.post("/scim/v2/Users", json=body("ada"))
        assert taken.status_code == 409
        wrong = {**body("cyd"), "emails": body("cyd")["password"]}
        assert self.scim.post("/scim/v2/Users", json=wrong).status_code == 400
        broken = json.dumps(body("dan"))[:-5]
        assert self._post_json("/scim/v2/Users", broken).status_code == 400
        later = self.scim.post("/scim/v2/Users", json=body("eve"), headers={"Prefer": "respond-async"})
        assert later.status_code == 202
        while self.scim.get(later.headers["Location"]).status_code == 202:
            time.sleep(0.05)
        return user_id

    def keys_by_the_operator(self, user_id: str) -> tuple[str, str]:
        """A key that is issued, claimed and rotated, with Idempotency-Keys, and said again."""
        asked = {"consumer": user_id, "entitlements": ["orders"]}
        key_id = self._done("/operator/v1/keys", asked, self._once("issue"))["id"]
        path, once = f"/operator/v1/keys/{key_id}", self._once("claim")
        first = self.planted.plant("first secret", self._done(f"{path}/claim", {}, once)["secret"])
        assert self._done(f"{path}/claim", {}, once)["secret"] == first
        assert self.operator.post(f"{path}/rotate", json={}, headers=once).status_code == 422
        answer = self._done(f"{path}/rotate", {}, self._once("rotate"))
        rotated = self.planted.plant("rotated secret", answer["secret"])
        for secret in (first, rotated):
            assert self._verify(secret) == 200
        return first, rotated

    def key_by_link(self) -> None:
        asked = {"consumer": "bob", "entitlements": ["orders"]}
        key_id = self._done("/operator/v1/keys", asked)["id"]
        old, new = (self._done(f"/operator/v1/keys/{key_id}/claim-link", {})["url"] for _ in range(2))
        for name, link in (("replaced link", old), ("link", new)):
            self.planted.plant(name, link.partition("#")[2])
        with client(self.server, self.planted, {}) as browser:
            assert browser.post("/claim", data={"code": old}).status_code == 410
            shown = browser.post("/claim", data={"code": new})
            (secret,) = re.findall(r'class="secret">([^<]+)<', shown.text)
            assert browser.post("/claim", data={"code": new}).status_code == 410
        self.planted.plant("secret by link", secret)
        assert self._verify(secret) == 200

    def key_for_a_machine(self) -> None:
        private = ECKey.generate_key("P-256")
        asked = {"consumer": "bob", "entitlements": ["more"]}
        path = f"/operator/v1/keys/{self._done('/operator/v1/keys', asked)['id']}/claim"
        whole = private.as_dict(private=True)
        self.planted.plant("private key of a machine", str(whole["d"]))
        assert self.operator.post(path, json={"recipient": whole}).status_code == 400
        sealed = self._done(path, {"recipient": private.as_dict(private=False)}, self._once("machine"))
        algorithms = ["ECDH-ES+A256KW", "A256GCM"]
        opened = json.loads(
            jwe.decrypt_compact(sealed["jwe"], private, algorithms=algorithms).plaintext or b""
        )
        self.planted.plant("secret of a machine", opened["secret"])
        assert self._verify(opened["secret"]) == 200

    def connection_and_client(self) -> None:
        """A connection whose token is rotated, and an OAuth client with assertions, good and bad."""
        made = self._done("/operator/v1/connections", {"name": "okta", "dialect": "okta"})
        self.planted.plant("token of a connection", made["token"])
        path = f"/operator/v1/connections/{made['id']}"
        self.planted.plant("rotated token", self._done(f"{path}/tokens", {})["token"])
        private = RSAKey.generate_key(2048, {"kid": "one"})
        jwks = {"keys": [private.as_dict(private=False)]}
        registered = self._done(f"{path}/clients", {"name": "client", "jwks": jwks})["id"]
        good = self._assertion(private, registered, self.server.root)
        token = self._ask_token(good)
        assert token.status_code == 200, token.text
        self.planted.plant("token of a client", token.json()["access_token"])
        assert self._ask_token(good).is_error
        for issuer, audience in ((registered, "https://else.example"), ("nobody", self.server.root)):
            assert self._ask_token(self._assertion(private, issuer, audience)).is_error
        stranger = RSAKey.generate_key(2048, {"kid": "one"})
        assert self._ask_token(self._assertion(stranger, registered, self.server.root)).is_error
        revoking = {"name": "logout", "purpose": "revocation", "jwks": jwks}
        revoker = self._done(f"{path}/clients", revoking)
        for key, user, status in ((stranger, "nobody", 401), (private, "nobody", 404), (private, "eve", 204)):
            shown = self._assertion(key, revoker["id"], revoker["endpoint"], "global-token-revocation+jwt")
            assert self._revoke_all(revoker["endpoint"], shown, user).status_code == status

    def login_provider(self) -> None:
        """A provider that does not answer, with a client's secret in its file."""
        asked = {"issuer": "http://127.0.0.1:9", "clientId": "keysteward"}
        shown = self.operator.put("/operator/v1/login-provider", json=asked)
        assert shown.status_code == 200, shown.text
        folder = Path(self.server.environment["KEYSTEWARD_DATA_DIR"]) / "login-secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        secret = self.planted.plant("login client secret", f"client-{secrets.token_hex(16)}")
        file = folder / shown.json()["clientSecretFile"]
        file.write_text(secret)
        file.chmod(0o600)
        code = self.planted.plant("code of a login", f"code-{secrets.token_hex(16)}")
        with client(self.server, self.planted, {}) as browser:
            start = browser.get("/my/keys")
            for link in re.findall(r'href="([^"]+/my/login/[^"]+)"', start.text):
                assert browser.get(link).status_code >= 400
            tenant = shown.json()["redirectUri"].rpartition("/")[2]
            assert browser.get(f"/my/logged-in/{tenant}", params={"code": code, "state": code}).is_error

    def by_mistake(self, first: str, rotated: str) -> None:
        """Secrets where none belongs: in paths, queries, names, filters, reasons and other faces."""
        token = self.operator.headers["Authorization"].partition(" ")[2]
        for secret in (first, rotated, token):
            for path in ("/operator/v1/keys", "/operator/v1/consumers", "/scim/v2/Users"):
                for url in (f"{path}/{secret}", f"{path}/{secret}/explain", f"{path}/x/{secret}"):
                    assert self.operator.get(url).is_error
                for name in ("consumer", "filter", "sortBy", "attributes", "nonsense", secret):
                    self.operator.get(path, params={name: secret})
                    self.scim.get(path, params={name: f'{secret} eq "{secret}"'})
                assert self._post_json(path, f'{{"{secret}": "{secret}"').is_error
                assert self.operator.post(path, json={secret: secret}).is_error
                assert self.scim.post(path, json={"schemas": [secret], secret: secret}).is_error
            asked = {"consumer": secret, "entitlements": [secret]}
            assert self.operator.post("/operator/v1/keys", json=asked).status_code == 404
            asked = {"consumer": "ada", "entitlements": [secret]}
            assert self.operator.post("/operator/v1/keys", json=asked).status_code == 409
            asked = {"sub_id": {"format": "email", "email": secret}}
            assert self.operator.post("/global-token-revocation", json=asked).status_code == 404
            assert self.operator.post("/oauth2/revoke", data={"token": f"{secret}x"}).status_code == 200
            assert self.operator.post("/oauth2/revoke", data={"tokens": secret}).status_code == 400
            for query in ({"access_token": secret}, {"scope": secret}, {secret: "1"}):
                self.gate.get("/gate/verify", params=query, headers={"Authorization": f"Bearer {secret}"})
            assert self.gate.get("/gate/verify", headers={"Authorization": f"Basic {secret}"}).is_error
            for header in ("Authorization", "X-Gate-Authorization", "If-Match", "Idempotency-Key", "Cookie"):
                with client(self.server, self.planted, {header: f"Bearer {secret}"}) as wrong:
                    for path in ("/scim/v2/Users", "/operator/v1/keys", "/gate/verify", "/my/keys"):
                        wrong.get(path, params={"key": secret})
        with client(self.server, self.planted, {}) as browser:
            assert browser.post("/claim", data={"code": rotated}).is_error

    def store_fails(self, rotated: str) -> None:
        """Take tables away: each face fails, and logs it."""
        engine = create_engine(self.server.environment["KEYSTEWARD_DATABASE_URL"])
        failed = []
        for table in ("secret", "event", "credential"):
            with _taken_away(engine, table):
                failed.append(self._verify(rotated))
                body = {"schemas": [USER], "userName": table, "password": f"Okta-{secrets.token_hex(12)}"}
                self.planted.plant(f"password without {table}", body["password"])
                failed.append(self.scim.post("/scim/v2/Users", json=body).status_code)
                asked = {"consumer": "ada", "entitlements": ["more"]}
                answer = self.operator.post("/operator/v1/keys", json=asked, headers=self._once(table))
                failed.append(answer.status_code)
                failed.append(self.operator.post("/oauth2/revoke", data={"token": rotated}).status_code)
        engine.dispose()
        assert len([status for status in failed if status >= 500]) >= 6, failed
        assert self._verify(rotated) == 200

    def endings(self, user_id: str, rotated: str) -> None:
        """A leak that is told of by pasting what leaked, the reuse of the dead, and everything at once."""
        key_id = self.operator.get("/operator/v1/keys", params={"consumer": "ada"}).json()["Resources"][0][
            "id"
        ]
        reason = {"reason": f"somebody put {rotated} on a paste site"}
        assert self.operator.post(f"/operator/v1/keys/{key_id}/revoke", json=reason).status_code == 200
        assert self._verify(rotated) in (401, 403)
        killed = self.operator.post(f"/operator/v1/consumers/{user_id}/revoke-keys", json=reason)
        assert killed.status_code == 200
        assert self.scim.delete(f"/scim/v2/Users/{user_id}").status_code == 204
        of_it = (f"keys/{key_id}/receipt", f"keys/{key_id}/explain")
        for path in ("events?limit=1000", "keys", "consumers", *of_it):
            assert self.operator.get(f"/operator/v1/{path}").status_code == 200
        assert self.operator.get("/operator/v1/openapi.json").status_code == 200

    def _once(self, name: str) -> dict[str, str]:
        text = self.planted.plant(f"Idempotency-Key of {name}", f"once-{secrets.token_hex(16)}")
        return {"Idempotency-Key": f'"{text}"'}

    def _done(self, path: str, body: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
        answer = self.operator.post(path, json=body, headers=headers)
        assert answer.is_success, (path, answer.text)
        document: dict[str, Any] = answer.json()
        return document

    def _post_json(self, path: str, text: str) -> httpx2.Response:
        sender = self.scim if path.startswith("/scim") else self.operator
        return sender.post(path, content=text, headers={"Content-Type": "application/json"})

    def _verify(self, secret: str) -> int:
        answer = self.gate.get("/gate/verify", headers={"Authorization": f"Bearer {secret}"})
        return int(answer.status_code)

    def _revoke_all(self, endpoint: str, assertion: str, user: str) -> httpx2.Response:
        asked = {"sub_id": {"format": "email", "email": user}}
        with client(self.server, self.planted, {"Authorization": f"Bearer {assertion}"}) as asking:
            return asking.post(endpoint, json=asked)

    def _assertion(self, private: RSAKey, client_id: str, audience: str, kind: str = "JWT") -> str:
        now = int(time.time())
        claims: dict[str, Any] = {"iss": client_id, "sub": client_id, "aud": audience}
        claims |= {"iat": now, "exp": now + 60, "jti": secrets.token_hex()}
        header = {"alg": "RS256", "kid": "one", "typ": kind}
        return self.planted.plant("assertion", jwt.encode(header, claims, private))

    def _ask_token(self, assertion: str) -> httpx2.Response:
        form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        with client(self.server, self.planted, {}) as asking:
            return asking.post("/oauth2/token", data={**form, "client_assertion": assertion})


@contextmanager
def _taken_away(engine: sa.Engine, table: str) -> Iterator[None]:
    def rename(old: str, new: str) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(f'ALTER TABLE "{old}" RENAME TO "{new}"')

    rename(table, f"{table}_away")
    try:
        yield
    finally:
        rename(f"{table}_away", table)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_secret_is_left_anywhere(
    new_server: Callable[..., LiveServer], tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/keysteward.sqlite3"
    if kind == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    server = new_server(
        start=False,
        KEYSTEWARD_WORKERS="2",
        KEYSTEWARD_LOG_LEVEL="debug",
        KEYSTEWARD_LOOPBACK_ISSUERS="yes",
        KEYSTEWARD_DATABASE_URL=url,
    )
    server.start(as_program=True)
    planted = Planted()
    tokens = {name: planted.plant(f"{name} token", server.credentials[name]["token"]) for name in _FACES}
    data = Path(server.environment["KEYSTEWARD_DATA_DIR"])
    for version, pepper in json.loads((data / "peppers.json").read_text()).items():
        if version.isdigit():
            planted.plant(f"pepper {version}", pepper)
    with (
        client(server, planted, {"Authorization": f"Bearer {tokens['scim']}"}) as scim,
        client(server, planted, {"Authorization": f"Bearer {tokens['operator']}"}) as operator,
        client(server, planted, {"X-Gate-Authorization": f"Bearer {tokens['gate']}"}) as gate,
    ):
        Story(server, planted, scim, operator, gate).tell()
    search_processes(server, planted)
    server.stop()
    log = server.log.read_bytes()
    assert log.count(b"Traceback") >= 2, "nothing failed, so nothing was logged"
    planted.search("log", log)
    assert search_database(url, planted) > 700
    search_files(data, planted, but=("peppers", "login-secrets"))
    search_files(tmp_path, planted, but=("peppers", "login-secrets"))
    assert len(planted.secrets) > 35
    assert sorted(set(planted.found)) == []


_FACES = ("scim", "operator", "gate")


def test_the_search_finds_what_was_planted() -> None:
    planted = Planted()
    secret = planted.plant("a key", "ks_live_0123456789abcdef_" + "x" * 49)
    pepper = planted.plant("a pepper", "cGVwcGVy" * 4)
    public = "ks_live_0123456789abcdef_…"
    for text in (f"…{secret}…", secret[-49:], secret.encode().hex(), pepper.encode(), public):
        planted.search("a place", text)
    assert planted.found == [("a key", "a place")] * 3 + [("a pepper", "a place")]


def test_what_is_documented_holds_no_real_secret() -> None:
    for file in (*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")):
        for found in PATTERN.findall(file.read_text(encoding="utf-8")):
            with pytest.raises(SecretMalformed):
                parse(found)


def test_the_environment_of_a_worker_keeps_no_secret(tmp_path: Path) -> None:
    """What a request sees of the environment is what the worker's process has after it has loaded."""
    peppers = json.dumps({"1": base64.b64encode(secrets.token_bytes(32)).decode()})
    url = f"sqlite:///{tmp_path}/keysteward.sqlite3?application=secret-word"
    environment = {
        **os.environ,
        "KEYSTEWARD_DATA_DIR": str(tmp_path),
        "KEYSTEWARD_PEPPERS": peppers,
        "KEYSTEWARD_DATABASE_URL": url,
    }
    program = "import json, os; from app.worker import load; load(); print(json.dumps(dict(os.environ)))"
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    kept = json.loads(printed.stdout)
    assert kept["KEYSTEWARD_DATA_DIR"] == str(tmp_path)
    assert "KEYSTEWARD_PEPPERS" not in kept
    assert "secret-word" not in printed.stdout.decode()
