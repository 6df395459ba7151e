"""What the tests of claims share: the ways to claim, as a consumer goes them."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from joserfc import jwe
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from werkzeug.test import TestResponse

from tests.http.conftest import Tenant

Private = RSAKey | ECKey | OKPKey


def issued_key(tenant: Tenant, *, name: str = "ada") -> str:
    """Return the id of a key that nobody has claimed."""
    tenant.entitlement("orders", scopes=["orders.read"])
    return another_key(tenant, tenant.user(name, entitlements=[{"value": "orders"}]))


def another_key(tenant: Tenant, user_id: str) -> str:
    answer = tenant.operator.post("/keys", {"consumer": user_id, "entitlements": ["orders"]})
    assert answer.status_code == 201, answer.text
    made: str = answer.get_json()["id"]
    return made


def make_link(tenant: Tenant, key_id: str, **body: Any) -> str:
    answer = tenant.operator.post(f"/keys/{key_id}/claim-link", body)
    assert answer.status_code == 201, answer.text
    url: str = answer.get_json()["url"]
    return url


def follow(tenant: Tenant, code: str) -> TestResponse:
    """Send the form of a link's page."""
    return tenant.flask.test_client().post("/claim", data={"code": code})


def shown_secret(answer: TestResponse) -> str:
    """Return the secret that a page shows."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'<code class="secret">([^<]+)</code>', answer.text)
    assert found is not None, answer.text
    return html.unescape(found[1])


def seal(tenant: Tenant, key_id: str, public: dict[str, Any]) -> TestResponse:
    return tenant.operator.post(f"/keys/{key_id}/claim", {"recipient": public})


def opened(text: str, private: Key) -> dict[str, Any]:
    """Return what a JWE holds."""
    algorithms = ["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"]
    document: dict[str, Any] = json.loads(
        jwe.decrypt_compact(text, private, algorithms=algorithms).plaintext or b""
    )
    return document


def events(tenant: Tenant, key_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tenant.operator.get("/events", subject=f"key/{key_id}").get_json()[
        "Resources"
    ]
    return found
