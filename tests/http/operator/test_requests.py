"""What bad requests get: a problem that says what is wrong, and nothing is written."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.store.unit_of_work import Store
from app.store.upgrading import upgrade
from tests.http.operator.conftest import Client, Directory, found, serve
from tests.http.operator.test_keys import problem

ROUTES = [
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("GET", "/keys/x"),
    ("POST", "/keys/x/claim"),
    ("POST", "/keys/x/rotate"),
    ("POST", "/keys/x/revoke"),
    ("GET", "/keys/x/receipt"),
    ("GET", "/keys/x/explain"),
    ("GET", "/schemas"),
    ("GET", "/schemas/x"),
    ("GET", "/consumers"),
    ("GET", "/consumers/x/explain"),
    ("GET", "/consumers/x/receipt"),
    ("POST", "/consumers/x/revoke-keys"),
    ("GET", "/unmatched-values"),
    ("GET", "/events"),
    ("GET", "/follow-ups"),
    ("GET", "/connections"),
    ("POST", "/connections"),
    ("POST", "/connections/x/tokens"),
    ("GET", "/connections/x/deviations"),
    ("POST", "/connections/x/disable"),
]


def test_the_routes_listed_here_are_those_of_the_face(directory: Directory) -> None:
    served = {
        (method, re.sub("<[a-z_]+>", "x", rule.rule))
        for rule in directory.flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/operator/v1")
    }
    assert served == {(method, f"/operator/v1{path}") for method, path in ROUTES}


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_open_without_the_operators_token(directory: Directory, method: str, path: str) -> None:
    client = directory.flask.test_client()
    url = f"/operator/v1{path}"
    anonymous = client.open(url, method=method)
    problem(anonymous, 401)
    assert anonymous.headers["WWW-Authenticate"].startswith("Bearer")
    unknown = client.open(url, method=method, headers={"Authorization": "Bearer nonsense"})
    assert problem(unknown, 401)["detail"]
    for scope in ("gate", "audit"):
        allowed = scope == "audit" and path.endswith(("/events", "/receipt", "/schemas", "/schemas/x"))
        headers = {"Authorization": f"Bearer {directory.tokens[scope]}"}
        answer = client.open(url, method=method, headers=headers)
        if allowed:
            assert answer.status_code == (200 if path in ("/events", "/schemas") else 404)
        else:
            problem(answer, 403)
            assert 'scope="operator' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/nowhere", "/keys/a/b/c", "", "/keys/%00", "/keys/%ff", "/keys/x"])
def test_what_is_not_there_is_404(operator: Client, path: str) -> None:
    problem(operator.get(path), 404)


def test_a_method_that_is_not_there_is_405(operator: Client) -> None:
    answer = operator.flask.delete("/operator/v1/keys")
    problem(answer, 405)
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[]", "object"),
        (b'"text"', "object"),
        (b"null", "object"),
        (b"\xff\xfe{}", "UTF-8"),
        ("\ufeff{}".encode(), "JSON"),
        (b'{"reason": NaN}', "NaN"),
        (b'{"reason": "a", "reason": "b"}', "twice"),
        (b'{"reason": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "deeply"),
        (b'{"reason": ' + b"1" * 5000 + b"}", "number"),
        (b'{"raeson": "typo", "x": 1}', "'raeson', 'x'"),
        (b'{"reason": 1}', "'reason'"),
        (b'{"reason": null}', "'reason'"),
        (b'{"reason": ""}', "'reason'"),
        (b'{"reason": "\\u0000"}', "'reason'"),
        (b'{"reason": "\\ud800"}', "'reason'"),
        (b'{"\\ud800": 1}', "nknown members"),
        (json.dumps({"reason": "x" * 1001}).encode(), "'reason'"),
    ],
)
def test_a_body_that_is_not_understood_is_400(operator: Client, body: bytes, words: str) -> None:
    assert words in problem(operator.send("/keys/x/revoke", body), 400)["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"consumer": "ada"},
        {"entitlements": ["orders"]},
        {"consumer": "ada", "entitlements": []},
        {"consumer": "ada", "entitlements": "orders"},
        {"consumer": "ada", "entitlements": [1]},
        {"consumer": ["ada"], "entitlements": ["orders"]},
        {"consumer": "ada", "entitlements": ["orders"], "more": True},
    ],
)
def test_an_issue_is_read_strictly(operator: Client, body: object) -> None:
    problem(operator.post("/keys", body), 400)


@pytest.mark.parametrize("overlap", [-1, 1.5, "10", True, 10**9, None])
def test_an_overlap_is_a_number_of_seconds(operator: Client, overlap: object) -> None:
    problem(operator.post("/connections/x/tokens", {"overlapSeconds": overlap}), 400)


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_of_another_kind_is_415(operator: Client, media_type: str | None) -> None:
    problem(operator.send("/keys/x/revoke", b"{}", media_type), 415)


def test_a_body_over_the_limit_is_413(directory: Directory, operator: Client) -> None:
    body = json.dumps({"reason": "x" * 70_000}).encode()
    problem(operator.send("/keys/x/revoke", body), 413)
    directory.flask.config["MAX_CONTENT_LENGTH"] = 100
    problem(operator.send("/keys/x/revoke", json.dumps({"reason": "x" * 200}).encode()), 413)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/keys", "consmer=ada"),
        ("/keys", "state=dead"),
        ("/keys", "consumer="),
        ("/keys", "consumer=a&consumer=b"),
        ("/keys", "consumer=%00"),
        ("/keys", "count=ten"),
        ("/keys", "count=1.5"),
        ("/keys", "startIndex=99999999999999999999"),
        ("/keys", "startIndex=%D9%A1"),
        ("/events", "after=x"),
        ("/events", "subject=key/x&consumer=y"),
        ("/consumers", "filter=userName"),
        ("/keys/x", "y=1"),
        ("/connections", "y=1"),
    ],
)
def test_a_query_that_is_not_understood_is_400(operator: Client, path: str, query: str) -> None:
    problem(operator.get(f"{path}?{query}"), 400)


def test_a_store_that_fails_is_told_without_a_trace(engine: Engine) -> None:
    upgrade(engine)
    store = Store(engine)
    operator = found(serve(store), store).client()
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE key_entitlement RENAME TO elsewhere"))
    answer = operator.get("/keys")
    told = problem(answer, answer.status_code)
    assert answer.status_code in (500, 503)
    assert "key_entitlement" not in json.dumps(told)
    assert "SELECT" not in json.dumps(told)
