"""What a provider says is believed only if it is this provider's, for this client, to this browser, now."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from joserfc.jwk import OctKey, RSAKey
from werkzeug.test import TestResponse

from app.access.login_provider import ClientSecrets, get_login_provider
from app.settings import Settings
from tests.http.conftest import Tenant
from tests.http.lying_provider import LyingProvider, lying_provider

# What a provider says is judged before any database is asked: one of them is enough.
pytestmark = pytest.mark.parametrize("shared_engine", ["sqlite"], indirect=True, scope="session")

SECRET = "planted-client-secret-0123456789abcdef"


@pytest.fixture
def provider(tenant: Tenant, settings: Settings) -> Iterator[LyingProvider]:
    with lying_provider() as running:
        connect(tenant, settings, running)
        tenant.user("ada", emails=[{"value": "ada@acme.example"}])
        yield running


def connect(tenant: Tenant, settings: Settings, provider: LyingProvider, **body: Any) -> None:
    body = {"issuer": provider.issuer, "clientId": "keysteward", **body}
    assert tenant.operator.put("/login-provider", body).status_code == 200
    with tenant.store.reading(tenant.id) as unit:
        ClientSecrets(settings.login_secrets_folder).keep(get_login_provider(unit), SECRET)


@pytest.fixture
def browser(tenant: Tenant) -> FlaskClient:
    return tenant.flask.test_client()


def log_in(tenant: Tenant, provider: LyingProvider, browser: FlaskClient, **query: str) -> TestResponse:
    sent = browser.get(f"/my/login/{tenant.id}")
    if sent.status_code != 302:
        return sent
    asked = parse_qs(urlsplit(sent.headers["Location"]).query)
    provider.nonce = asked["nonce"][0]
    query = {"code": "planted-authorization-code", "state": asked["state"][0], **query}
    return browser.get(f"/my/logged-in/{tenant.id}", query_string=query)


def test_the_truth_is_believed(tenant: Tenant, provider: LyingProvider, browser: FlaskClient) -> None:
    provider.claims = {"preferred_username": "ada"}
    assert log_in(tenant, provider, browser).status_code == 303
    # PKCE: what the browser was sent with is proved to the provider (RFC 7636).
    (form,) = provider.forms
    assert len(form["code_verifier"][0]) >= 43
    assert "client_secret" not in form


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": None},
        {"aud": ["keysteward", "another"], "azp": "another"},
        {"iss": "https://another.example"},
        {"iss": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": None},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
    ],
    # The same in every process: some of the claims are times.
    ids=lambda claims: " ".join(f"{name} {type(value).__name__}" for name, value in claims.items()),
)
def test_a_token_that_is_not_for_this_is_refused(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient, claims: dict[str, Any]
) -> None:
    provider.claims = {"preferred_username": "ada", **claims}
    answer = log_in(tenant, provider, browser)
    assert answer.status_code == 403
    assert "You are logged in" not in browser.get("/my/keys").text


@pytest.mark.parametrize("how", ["another key", "client secret", "none"])
def test_a_token_that_is_not_signed_by_the_provider_is_refused(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient, how: str
) -> None:
    provider.claims = {"preferred_username": "ada"}
    if how == "another key":
        provider.signing_key = RSAKey.generate_key(2048)
    else:
        provider.algorithm = "none" if how == "none" else "HS256"
        provider.signing_key = OctKey.import_key(SECRET)
    assert log_in(tenant, provider, browser).status_code == 403


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"email": "ada@acme.example", "email_verified": True}, 303),
        ({"email": "ada@acme.example", "email_verified": False}, 403),
        ({"email": "ada@acme.example", "email_verified": "true"}, 403),
        ({"email": "ada@acme.example"}, 403),
        ({"email": ["ada@acme.example"], "email_verified": True}, 403),
        ({"email": "", "email_verified": True}, 403),
        ({"email": "a\0b", "email_verified": True}, 403),
        ({"email": "x" * 2000, "email_verified": True}, 403),
    ],
    ids=str,
)
def test_an_address_counts_if_it_is_verified(
    tenant: Tenant,
    provider: LyingProvider,
    browser: FlaskClient,
    settings: Settings,
    claims: dict[str, Any],
    status: int,
) -> None:
    connect(tenant, settings, provider, claim="email", attribute="emails")
    provider.claims = claims
    assert log_in(tenant, provider, browser).status_code == status


def test_what_the_token_leaves_out_is_asked_for(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient
) -> None:
    provider.userinfo = {"sub": "1", "preferred_username": "ada"}
    assert log_in(tenant, provider, browser).status_code == 303
    provider.userinfo = {"sub": "2", "preferred_username": "ada"}
    assert log_in(tenant, provider, browser).status_code == 403
    provider.userinfo = {"preferred_username": "ada"}
    assert log_in(tenant, provider, browser).status_code == 403


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://another.example"},
        {"token_endpoint": "http://another.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"id_token_signing_alg_values_supported": 5},
    ],
    ids=str,
)
def test_a_provider_that_describes_itself_wrongly_is_not_used(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient, metadata: dict[str, Any]
) -> None:
    provider.claims = {"preferred_username": "ada"}
    provider.metadata = metadata
    assert log_in(tenant, provider, browser).status_code == 403
    # It may come to its senses.
    provider.metadata = {}
    assert log_in(tenant, provider, browser).status_code == 303


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"oops"),
        (200, {}, b"no json"),
        (200, {}, b"[]"),
        (200, {"Content-Type": "application/json"}, b'{"access_token": "x"}'),
        (400, {}, b'{"error": "invalid_client", "error_description": "planted-client-secret"}'),
        (307, {"Location": "/elsewhere"}, b""),
    ],
    ids=str,
)
def test_a_provider_that_is_broken_lets_nobody_in(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient, answer: tuple[int, dict[str, str], bytes]
) -> None:
    provider.token_answer = answer
    assert log_in(tenant, provider, browser).status_code == 403
    assert "/elsewhere" not in provider.asked


def test_an_answer_that_names_another_issuer_is_refused(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient
) -> None:
    provider.claims = {"preferred_username": "ada"}
    assert log_in(tenant, provider, browser, iss="https://another.example").status_code == 403
    assert log_in(tenant, provider, browser, iss=provider.issuer).status_code == 303


def test_what_a_login_is_made_of_is_in_no_log(
    tenant: Tenant, provider: LyingProvider, browser: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        provider.claims = {"preferred_username": "ada"}
        assert log_in(tenant, provider, browser).status_code == 303
        (form,) = provider.forms
        provider.token_answer = (400, {}, f'{{"error": "invalid_client", "x": "{SECRET}"}}'.encode())
        assert log_in(tenant, provider, browser).status_code == 403
    cookie = browser.get_cookie("keysteward_session", path="/my")
    assert "invalid_client" in caplog.text
    for planted in (SECRET, form["code_verifier"][0], "planted-authorization-code", provider.nonce):
        assert planted not in caplog.text
    assert cookie is None or cookie.value not in caplog.text
