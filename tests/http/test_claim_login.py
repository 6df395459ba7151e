"""The consumers' own page: who logs in at the company's OpenID provider sees its keys, and claims them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.access.login_provider import ClientSecrets, get_login_provider
from app.settings import Settings
from tests.http.claims import another_key, events, issued_key, shown_secret
from tests.http.conftest import HOUR, Key, Tenant
from tests.openid_provider import Provider, openid_provider


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with openid_provider() as running:
        yield running


@dataclass(frozen=True)
class Company:
    """A tenant whose people log in at the provider."""

    tenant: Tenant
    provider: Provider
    settings: Settings

    def connect(self, authentication: str = "client_secret_basic", **body: Any) -> dict[str, Any]:
        """Let the tenant's people log in at the provider."""
        uri = f"{self.settings.root_url}/my/logged-in/{self.tenant.id}"
        client = self.provider.register(uri, authentication)
        body = {"clientAuthentication": authentication, "clientId": client.client_id, **body}
        answer = self.tenant.operator.put("/login-provider", {"issuer": self.provider.issuer, **body})
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.get_json()
        assert document["redirectUri"] == uri
        if authentication != "none":
            with self.tenant.store.reading(self.tenant.id) as unit:
                found = get_login_provider(unit)
            ClientSecrets(self.settings.login_secrets_folder).keep(found, client.client_secret)
        return document

    def browser(self) -> FlaskClient:
        return self.tenant.flask.test_client()

    def log_in(self, browser: FlaskClient, name: str, **attributes: Any) -> TestResponse:
        """Log somebody in, and return what is answered when the provider sends the person back."""
        person = self.provider.person(name, **attributes)
        return self.come_back(browser, self.sent(browser), person)

    def sent(self, browser: FlaskClient) -> str:
        """Return where the provider is asked."""
        answer = browser.get(f"/my/login/{self.tenant.id}")
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def come_back(self, browser: FlaskClient, asked: str, person: Any) -> TestResponse:
        with self.provider.logged_in(person):
            answer = httpx2.get(asked)
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["Location"])
        return browser.get(f"{back.path}?{back.query}")


@pytest.fixture
def company(tenant: Tenant, provider: Provider, settings: Settings) -> Company:
    return Company(tenant, provider, settings)


@pytest.fixture
def name() -> str:
    return f"ada-{secrets.token_hex(4)}"


def csrf(page: TestResponse) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def claim(browser: FlaskClient, key_id: str) -> TestResponse:
    return browser.post(f"/my/keys/{key_id}/claim", data={"csrf": csrf(browser.get("/my/keys"))})


@pytest.mark.parametrize("authentication", ["client_secret_basic", "client_secret_post", "none"])
def test_a_consumer_logs_in_and_claims_its_key(company: Company, name: str, authentication: str) -> None:
    tenant = company.tenant
    key_id = issued_key(tenant, name=name)
    company.connect(authentication)
    browser = company.browser()
    answer = company.log_in(browser, name)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].endswith("/my/keys")
    listed = browser.get("/my/keys")
    assert key_id in listed.text
    assert "orders" in listed.text
    assert "issued" in listed.text
    secret = shown_secret(claim(browser, key_id))
    assert tenant.verify(Key(key_id, secret)) == "allow"
    listed = browser.get("/my/keys")
    assert "active" in listed.text
    assert "Show my key once" not in listed.text
    assert secret not in listed.text
    assert browser.post(f"/my/keys/{key_id}/claim", data={"csrf": csrf(listed)}).status_code == 409
    user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    claimed = events(tenant, key_id)[-1]
    assert (claimed["type"], claimed["data"]["by"]) == ("key.claimed", "consumer")
    assert claimed["actor"] == f"consumer:{user}"
    signed_in = tenant.operator.get("/events", subject=f"User/{user}").get_json()["Resources"][-1]
    assert (signed_in["type"], signed_in["actor"]) == ("consumer.signed_in", f"consumer:{user}")


@pytest.fixture
def browser(company: Company, name: str) -> FlaskClient:
    """Return a browser in which somebody with a key is logged in."""
    company.connect()
    made = company.browser()
    issued_key(company.tenant, name=name)
    assert company.log_in(made, name).status_code == 303
    assert "You are logged in" in made.get("/my/keys").text
    return made


def own(company: Company) -> tuple[str, str]:
    """Return the ids of the only key and its consumer."""
    (key,) = company.tenant.keys()
    return key["id"], key["consumer"]["value"]


def test_nobody_sees_or_claims_anything_without_logging_in(company: Company, name: str) -> None:
    key_id = issued_key(company.tenant, name=name)
    company.connect()
    browser = company.browser()
    assert key_id not in browser.get("/my/keys").text
    assert browser.post(f"/my/keys/{key_id}/claim", data={"csrf": ""}).status_code == 401
    assert browser.post("/my/logout", data={"csrf": ""}).status_code == 401
    assert browser.get(f"/my/keys/{key_id}/claim").status_code == 405
    assert company.tenant.keys()[0]["state"] == "issued"


def test_a_deactivation_ends_the_session_at_once(company: Company, browser: FlaskClient) -> None:
    key_id, user = own(company)
    token = csrf(browser.get("/my/keys"))
    company.tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": {"active": False}})
    refused = browser.post(f"/my/keys/{key_id}/claim", data={"csrf": token})
    assert refused.status_code == 403
    assert "not active" in refused.text
    assert key_id not in browser.get("/my/keys").text
    assert company.tenant.keys()[0]["claimedAt"] is None


def test_who_comes_back_must_log_in_again(company: Company, browser: FlaskClient) -> None:
    key_id, user = own(company)
    for active in (False, True):
        company.tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": {"active": active}})
    answer = browser.get("/my/keys")
    assert (answer.status_code, "interrupted" in answer.text) == (401, True)
    assert key_id not in answer.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"active": False}, "not active"),
        (
            {"urn:keysteward:scim:schemas:extension:1.0:Consumer": {"accessEndsAt": "2020-01-01T00:00:00Z"}},
            "ended",
        ),
        (None, "removed"),
    ],
)
def test_whom_the_directory_does_not_let_in_sees_nothing_and_is_told_why(
    company: Company, browser: FlaskClient, change: dict[str, Any] | None, said: str
) -> None:
    key_id, user = own(company)
    if change is None:
        company.tenant.scim.delete(f"/Users/{user}")
    else:
        assert (
            company.tenant.scim.patch(f"/Users/{user}", {"op": "replace", "value": change}).status_code == 200
        )
    answer = browser.get("/my/keys")
    assert answer.status_code == 403
    assert said in answer.text
    assert key_id not in answer.text


def test_an_account_that_the_directory_does_not_know_is_told_so(company: Company, name: str) -> None:
    company.connect()
    browser = company.browser()
    answer = company.log_in(browser, name)
    assert answer.status_code == 403
    assert "no account" in answer.text
    assert "You are logged in" not in browser.get("/my/keys").text


def test_an_inactive_account_cannot_log_in(company: Company, name: str) -> None:
    company.connect()
    user = company.tenant.user(name, active=False)
    answer = company.log_in(company.browser(), name)
    assert (answer.status_code, "not active" in answer.text) == (403, True)
    told = company.tenant.operator.get("/events", subject=f"User/{user}").get_json()["Resources"]
    assert "consumer.signed_in" not in {each["type"] for each in told}


def test_a_form_of_another_site_does_nothing(company: Company, browser: FlaskClient, name: str) -> None:
    key_id, _ = own(company)
    other = company.browser()
    company.tenant.user(f"{name}-b")
    assert company.log_in(other, f"{name}-b").status_code == 303
    stolen = csrf(other.get("/my/keys"))
    for data in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": stolen}, {"csrf": ["x", "y"]}, {"csrf": "ä"}):
        for path in (f"/my/keys/{key_id}/claim", "/my/logout"):
            assert browser.post(path, data=data).status_code in (400, 403)
    assert "You are logged in" in browser.get("/my/keys").text
    assert company.tenant.keys()[0]["state"] == "issued"


def test_a_key_of_somebody_else_is_not_there(
    company: Company, browser: FlaskClient, name: str, found: Any
) -> None:
    tenant = company.tenant
    colleague = another_key(tenant, tenant.user(f"{name}-b", entitlements=[{"value": "orders"}]))
    stranger = found()
    foreign = issued_key(stranger, name=name)
    listed = browser.get("/my/keys").text
    for key_id, owner in ((colleague, tenant), (foreign, stranger)):
        assert key_id not in listed
        assert claim(browser, key_id).status_code == 404
        assert owner.operator.get(f"/keys/{key_id}").get_json()["state"] == "issued"


def test_a_login_of_one_tenant_opens_nothing_of_another(
    company: Company, provider: Provider, settings: Settings, name: str, found: Any
) -> None:
    """The same person, with the same name at the same provider, in two tenants."""
    company.connect()
    other = Company(found(), provider, settings)
    other.connect()
    keys = {each.tenant.id: issued_key(each.tenant, name=name) for each in (company, other)}
    person = provider.person(name)
    browser = company.browser()
    assert company.come_back(browser, company.sent(browser), person).status_code == 303
    listed = browser.get("/my/keys").text
    assert keys[company.tenant.id] in listed
    assert keys[other.tenant.id] not in listed
    assert claim(browser, keys[other.tenant.id]).status_code == 404
    with browser.session_transaction("/my/keys") as session:
        assert session["tenant"] == company.tenant.id
    # What one tenant's provider said, brought to the other tenant's door.
    browser = company.browser()
    asked = company.sent(browser)
    with provider.logged_in(person):
        back = urlsplit(httpx2.get(asked).headers["Location"])
    assert browser.get(f"/my/logged-in/{other.tenant.id}?{back.query}").status_code == 403
    users = [
        each.tenant.operator.get("/events", limit=1000).get_json()["Resources"] for each in (company, other)
    ]
    assert [sum(e["type"] == "consumer.signed_in" for e in of_tenant) for of_tenant in users] == [1, 0]


def test_an_answer_of_the_provider_is_for_one_browser_and_once(company: Company, name: str) -> None:
    company.connect()
    company.tenant.user(name)
    person = company.provider.person(name)
    browser, thief = company.browser(), company.browser()
    asked = company.sent(browser)
    query = parse_qs(urlsplit(asked).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["nonce"]
    assert query["response_type"] == ["code"]
    with company.provider.logged_in(person):
        back = urlsplit(httpx2.get(asked).headers["Location"])
    address = f"{back.path}?{back.query}"
    assert thief.get(address).status_code == 403
    company.sent(thief)
    assert thief.get(address).status_code == 403
    assert "You are logged in" not in thief.get("/my/keys").text
    assert browser.get(address).status_code == 303
    assert browser.get(address).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "code=x", "state=x", "error=access_denied", "code=x&state=x&iss=https://x"]
)
def test_a_made_up_answer_is_refused(company: Company, query: str) -> None:
    company.connect()
    browser = company.browser()
    company.sent(browser)
    answer = browser.get(f"/my/logged-in/{company.tenant.id}?{query}")
    assert answer.status_code == 403
    assert "You are logged in" not in browser.get("/my/keys").text


@pytest.mark.parametrize("how", ["changed", "removed"])
def test_another_login_provider_ends_the_sessions(company: Company, browser: FlaskClient, how: str) -> None:
    key_id, _ = own(company)
    if how == "changed":
        company.connect()
    else:
        assert company.tenant.operator.delete("/login-provider").status_code == 204
        assert company.tenant.operator.get("/login-provider").status_code == 404
        assert company.browser().get(f"/my/login/{company.tenant.id}").status_code == 404
    answer = browser.get("/my/keys")
    assert answer.status_code == 401
    assert key_id not in answer.text


def test_a_session_lasts_for_a_quarter_of_an_hour(company: Company, browser: FlaskClient) -> None:
    # The session's moment moves back below; the directory must be older still.
    company.tenant.let_pass(HOUR)
    for seconds, status in ((-890, 200), (-20, 401)):
        with browser.session_transaction("/my/keys") as session:
            session["at"] += seconds * 1_000_000
        assert browser.get("/my/keys").status_code == status


def test_the_session_is_a_signed_cookie_that_is_kept_close(company: Company, browser: FlaskClient) -> None:
    answer = browser.get("/my/keys")
    cookie = browser.get_cookie("keysteward_session", path="/my")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"
    assert "Content-Security-Policy" in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    forged = company.browser()
    head, _, signature = cookie.value.rpartition(".")
    for value in (f"{head}.{signature[::-1]}", f"x{cookie.value}", head, "", "."):
        forged.set_cookie("keysteward_session", value, path="/my")
        assert "You are logged in" not in forged.get("/my/keys").text
    # It is for the consumers' page alone: no other face gets it.
    assert browser.get_cookie("keysteward_session", path="/") is None


def test_who_logs_out_is_out(company: Company, browser: FlaskClient) -> None:
    assert browser.post("/my/logout", data={"csrf": csrf(browser.get("/my/keys"))}).status_code == 200
    assert "You are logged in" not in browser.get("/my/keys").text


@pytest.mark.parametrize("written", ["{name}", "{NAME}", "ｘ{name}"])
def test_a_name_means_whom_the_directory_means_by_it(company: Company, name: str, written: str) -> None:
    """The provider's letter case and width need not be the directory's (RFC 8265)."""
    company.connect()
    stored = f"x{name}" if "ｘ" in written else name
    user = company.tenant.user(stored)
    told = written.format(name=name, NAME=name.upper())
    browser = company.browser()
    assert company.log_in(browser, told).status_code == 303
    with browser.session_transaction("/my/keys") as session:
        assert session["consumer"] == user


def test_another_claim_may_name_another_attribute(company: Company, name: str) -> None:
    company.connect(claim="sub", attribute="externalId")
    company.tenant.user(name)
    user = company.tenant.user(f"{name}-b", externalId=name)
    browser = company.browser()
    assert company.log_in(browser, name).status_code == 303
    with browser.session_transaction("/my/keys") as session:
        assert session["consumer"] == user
    # An externalId is compared to the letter.
    assert company.log_in(company.browser(), name.upper()).status_code == 403


def test_several_accounts_that_fit_open_none(company: Company, name: str) -> None:
    company.connect(claim="sub", attribute="externalId")
    for each in ("b", "c"):
        company.tenant.user(f"{name}-{each}", externalId=name)
    answer = company.log_in(company.browser(), name)
    assert (answer.status_code, "Several" in answer.text) == (403, True)


def test_who_does_not_say_which_organisation_is_asked(
    company: Company, provider: Provider, found: Any
) -> None:
    company.connect()
    Company(found(), provider, company.settings).connect()
    browser = company.browser()
    assert 'name="organisation"' in browser.get("/my/login").text
    asked = browser.get("/my/login", query_string={"organisation": company.tenant.id})
    assert f"/my/login/{company.tenant.id}" in asked.text
    for nobody in ("no-such", "a\0b", "<script>"):
        answer = browser.get("/my/login", query_string={"organisation": nobody})
        assert answer.status_code == 404
        assert "<script>" not in answer.text
    without = found()
    assert browser.get(f"/my/login/{without.id}").status_code == 404
    assert browser.get(f"/my/logged-in/{without.id}").status_code == 404


def test_a_secret_that_is_missing_or_open_to_others_lets_nobody_in(
    company: Company, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    document = company.connect()
    file = company.settings.login_secrets_folder / document["clientSecretFile"]
    assert file.stat().st_mode & 0o777 == 0o600
    secret = file.read_text().strip()
    file.chmod(0o644)
    refused = company.browser().get(f"/my/login/{company.tenant.id}")
    assert refused.status_code == 403
    assert "chmod 600" in caplog.text
    file.unlink()
    assert company.browser().get(f"/my/login/{company.tenant.id}").status_code == 403
    assert secret not in caplog.text + refused.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"issuer": "https://idp.example"},
        {"issuer": "http://idp.example", "clientId": "x"},
        {"issuer": "https://user@idp.example", "clientId": "x"},
        {"issuer": "ftp://idp.example", "clientId": "x"},
        {"issuer": "https://idp.example", "clientId": "x", "clientAuthentication": "magic"},
        {"issuer": "https://idp.example", "clientId": "x", "attribute": "displayName"},
        {"issuer": "https://idp.example", "clientId": "x", "claim": "a b"},
        {"issuer": "https://idp.example", "clientId": "x", "clientSecret": "x"},
        {"issuer": "https://idp.example", "clientId": "x\ny"},
    ],
)
def test_a_login_provider_that_will_not_do_is_refused(tenant: Tenant, body: dict[str, Any]) -> None:
    assert tenant.operator.put("/login-provider", body).status_code == 400
    assert tenant.operator.get("/login-provider").status_code == 404


def test_setting_a_login_provider_is_an_event(company: Company) -> None:
    document = company.connect()
    company.tenant.operator.delete("/login-provider")
    told = company.tenant.operator.get("/events", subject=f"tenant/{company.tenant.id}").get_json()[
        "Resources"
    ]
    assert [each["type"] for each in told[-2:]] == ["login_provider.set", "login_provider.removed"]
    assert told[-2]["data"]["clientId"] == document["clientId"]
