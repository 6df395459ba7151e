"""The face for gateways: what it reads, and what it answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from app import VERIFY
from app.gate.door import Door
from app.gate.reasons import Reason
from app.store.secrets import mint
from tests.http.conftest import Key, Tenant

DOCUMENT = Path(__file__).parents[3] / "docs" / "gateways.md"


def nobody(environ: Any, start_response: Any) -> list[bytes]:
    """Answer what the door leaves to others."""
    start_response("418 I'm a teapot", [])
    return [b""]


@pytest.fixture(params=["door", "view"])
def tenant(request: pytest.FixtureRequest, tenant: Tenant) -> Tenant:
    """Return the tenant with a gateway that asks by the hot door, with no Flask behind it, or by the view."""
    if request.param == "view":
        return tenant
    client: Any = Client(Door(tenant.flask.extensions[VERIFY], nobody))
    return replace(tenant, gate=replace(tenant.gate, client=client))


@pytest.fixture
def key(tenant: Tenant) -> Key:
    tenant.entitlement(
        "orders",
        audience="https://api.example",
        scopes=["orders.read"],
        conditions={"methods": ["GET"], "paths": ["/orders/*"]},
    )
    return tenant.key(tenant.user("Ada Löve\r\nX-Injected: 1", entitlements=[{"value": "orders"}]), "orders")


def ask(
    tenant: Tenant, path: str = "/gate/verify", *, method: str = "GET", query: str = "", **headers: Any
) -> TestResponse:
    sent = [
        (name.replace("_", "-"), each)
        for name, value in headers.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return tenant.gate.client.open(
        path, method=method, query_string=query, headers=[*tenant.gate.headers.items(), *sent]
    )


def nginx(key: Key, method: str = "GET", path: str = "/orders/7") -> dict[str, str]:
    return {"Authorization": f"Bearer {key.secret}", "X_Original_Method": method, "X_Original_URI": path}


def test_allow_says_who_and_what(tenant: Tenant, key: Key) -> None:
    answer = ask(tenant, query="scope=orders.read&audience=https://api.example", **nginx(key))
    assert answer.status_code == 200
    assert answer.get_data() == b""
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Auth-Key-Id"] == key.id
    assert answer.headers["X-Auth-Tenant"] == tenant.id
    assert answer.headers["X-Auth-Scopes"] == "orders.read"
    assert answer.headers["X-Auth-Entitlements"] == "orders"
    assert answer.headers["X-Auth-Subject"] == tenant.keys()[0]["consumer"]["value"]
    assert "X-Injected" not in answer.headers
    assert answer.headers["X-Auth-User-Name"].startswith("Ada%20L%C3%B6ve%0D%0A")


def test_every_gateway_s_way_of_naming_the_call(tenant: Tenant, key: Key) -> None:
    bearer = {"Authorization": f"Bearer {key.secret}"}
    assert ask(tenant, **nginx(key)).status_code == 200
    traefik = {"X_Forwarded_Method": "GET", "X_Forwarded_Uri": "/orders/7?page=2"}
    assert ask(tenant, **bearer, **traefik).status_code == 200
    assert ask(tenant, "/gate/verify/orders/7", **bearer).status_code == 200
    assert ask(tenant, "/gate/verify/orders/7", method="POST", **bearer).status_code == 403
    assert ask(tenant, "/gate/verify/admin", **bearer).status_code == 403


@pytest.mark.parametrize(
    "contradiction",
    [
        {"X_Original_URI": "/orders/1", "X_Forwarded_Uri": "/admin", "X_Original_Method": "GET"},
        {"X_Original_URI": ["/orders/1", "/admin"], "X_Original_Method": "GET"},
        {"X_Original_URI": "/orders/1", "X_Original_Method": "GET", "X_Forwarded_Method": "DELETE"},
    ],
)
def test_contradicting_headers_make_the_call_unknown(
    tenant: Tenant, key: Key, contradiction: dict[str, Any]
) -> None:
    answer = ask(tenant, Authorization=f"Bearer {key.secret}", **contradiction)
    assert answer.status_code == 403


def test_a_caller_can_only_narrow(tenant: Tenant, key: Key) -> None:
    more = ask(tenant, query="scope=orders.read", **nginx(key), X_Gate_Scope="orders.delete")
    assert (more.status_code, more.headers["X-Auth-Reason"]) == (403, "scope_missing")
    other = ask(tenant, query="audience=https://api.example", **nginx(key), X_Gate_Audience="https://other")
    assert (other.status_code, other.headers["X-Auth-Reason"]) == (403, "audience_mismatch")


def test_on_envoy_s_form_the_query_is_the_caller_s(tenant: Tenant, key: Key) -> None:
    answer = ask(tenant, "/gate/verify/orders/7", query="scope=nothing", Authorization=f"Bearer {key.secret}")
    assert answer.status_code == 200


@pytest.mark.parametrize("form", ["Bearer {}", "bearer   {}", "{}", "Bearer secret-token:{}"])
def test_ways_to_present_a_key(tenant: Tenant, key: Key, form: str) -> None:
    headers = nginx(key) | {"Authorization": form.format(key.secret)}
    assert ask(tenant, **headers).status_code == 200


def test_a_key_in_the_other_header(tenant: Tenant, key: Key) -> None:
    headers = nginx(key)
    del headers["Authorization"]
    assert ask(tenant, **headers, X_API_Key=key.secret).status_code == 200
    assert ask(tenant, **nginx(key), X_API_Key=key.secret).status_code == 200


def test_denials_say_why_and_never_what_was_sent(tenant: Tenant, key: Key) -> None:
    other = mint("ks", "live").text
    mistyped = key.secret[:-1] + ("y" if key.secret.endswith("x") else "x")
    cases: list[tuple[str, dict[str, Any]]] = [
        ("no_key", {}),
        ("key_malformed", {"Authorization": f"Bearer {mistyped}"}),
        ("key_malformed", {"Authorization": "Bearer " + "a" * 5000}),
        ("key_malformed", {"Authorization": "Basic dXNlcjpwYXNz"}),
        ("key_unknown", {"Authorization": f"Bearer {other}"}),
        ("keys_conflict", {"Authorization": f"Bearer {key.secret}", "X_API_Key": other}),
        ("keys_conflict", {"Authorization": [f"Bearer {key.secret}", f"Bearer {other}"]}),
    ]
    for reason, headers in cases:
        answer = ask(tenant, **headers)
        assert (answer.status_code, answer.headers["X-Auth-Reason"]) == (401, reason)
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["reason"] == reason
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Auth-Decision-Id"]
        assert ("error=" in answer.headers["WWW-Authenticate"]) == (reason != "no_key")
        assert key.secret[-20:] not in answer.text


def test_a_wrong_secret_under_a_right_identifier_is_unknown(tenant: Tenant, key: Key) -> None:
    from app.store.secrets import _checksum

    forged = key.secret[:-49] + "A" * 43
    answer = ask(tenant, Authorization=f"Bearer {forged}{_checksum(forged)}")
    assert (answer.status_code, answer.headers["X-Auth-Reason"]) == (401, "key_unknown")


@pytest.mark.parametrize("token", [None, "Bearer nonsense", "operator"])
def test_a_gateway_without_its_own_token_is_denied(tenant: Tenant, key: Key, token: str | None) -> None:
    headers = {"Authorization": f"Bearer {key.secret}"}
    if token is not None:
        held = tenant.operator.headers["Authorization"] if token == "operator" else token
        headers["X-Gate-Authorization"] = held
    answer = tenant.gate.client.get("/gate/verify", headers=headers)
    assert (answer.status_code, answer.headers["X-Auth-Reason"]) == (403, "gate_unauthenticated")


def test_the_document_lists_every_reason() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for reason in Reason:
        assert f"| `{reason.code}` | {reason.status} | {reason.description} |" in text


def test_the_door_leaves_other_paths_to_others(tenant: Tenant) -> None:
    door = Client(Door(tenant.flask.extensions[VERIFY], nobody))
    for path in ("/", "/gate", "/gate/verifying", "/gate/verif", "/healthz"):
        assert door.get(path).status_code == 418, path
    for path in ("/gate/verify", "/gate/verify/", "/gate/verify/healthz"):
        assert door.get(path).status_code == 403, path


@pytest.mark.parametrize("below", ["//orders//7", "//", "/orders//", "///a/../b"])
def test_whatever_path_follows_it_is_the_gate_that_answers(tenant: Tenant, below: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        answer = ask(tenant, f"/gate/verify{below}", method=method)
        assert (answer.status_code, answer.headers["X-Auth-Reason"]) == (401, "no_key")


def test_an_answer_to_head_has_no_body(tenant: Tenant) -> None:
    answer = ask(tenant, method="HEAD")
    assert (answer.status_code, answer.get_data()) == (401, b"")
    assert int(answer.headers["Content-Length"]) == len(ask(tenant).get_data())


def test_garbage_costs_no_statement(tenant: Tenant, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(tenant, **nginx(key)).status_code == 200
    touched: list[object] = []
    for name in ("_Sqlite", "_Postgresql"):
        for method in ("version", "rows"):
            monkeypatch.setattr(
                f"app.store.prepared_reads.{name}.{method}", lambda *call, **_: touched.append(call)
            )
    for text in (f"{key.secret[:-1]}-", "a" * 5000, "\xe9" * 80, f"{key.secret[:-6]}000000"):
        answer = ask(tenant, Authorization=f"Bearer {text}")
        assert (answer.status_code, answer.headers["X-Auth-Reason"]) == (401, "key_malformed")
    assert touched == []
