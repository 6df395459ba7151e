from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from app.access.connections import create_connection
from app.access.credentials import Credential, get_credential, issue_credential, revoke_credential
from app.access.protector import Protector, Unauthenticated
from app.access.tenants import Tenant
from app.store.engine import create_engine
from app.store.peppers import Peppers
from app.store.unit_of_work import Store

Headers = list[tuple[str, str]]
Ask = Callable[..., Credential]


@pytest.fixture
def ask(store: Store, peppers: Peppers) -> Ask:
    """Return what asks the protector about a request with some headers."""
    protector = Protector(store, peppers)

    def acquire(headers: Headers, scopes: str | list[str] = "scim", path: str = "/") -> Credential:
        with Flask("test").test_request_context(path, headers=headers):
            return protector.acquire(scopes)

    return acquire


@pytest.fixture
def token(store: Store, peppers: Peppers, tenant: Tenant) -> str:
    with store.writing(tenant.id, actor="system") as unit:
        connection = create_connection(unit, "okta", "field")
        return issue_credential(unit, peppers, label="idp", scopes=["scim"], connection_id=connection.id)[1]


def refusal(ask: Ask, headers: Headers, **request: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as refused:
        ask(headers, **request)
    return refused.value


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {}", "Bearer\t{}", "{}", " {} "])
def test_a_token_is_taken_as_clients_send_it(ask: Ask, token: str, tenant: Tenant, form: str) -> None:
    credential = ask([("Authorization", form.format(token))])
    assert (credential.tenant_id, credential.dialect) == (tenant.id, "field")


def test_one_of_several_scopes_is_enough(ask: Ask, token: str) -> None:
    assert ask([("Authorization", f"Bearer {token}")], ["operator", "scim"]).scopes == ("scim",)


@pytest.mark.parametrize("value", [None, "", " ", "Bearer", "Bearer ", "Basic YTpi", "Digest a=b"])
def test_without_a_credential_the_challenge_is_bare(ask: Ask, value: str | None) -> None:
    refused = refusal(ask, [] if value is None else [("Authorization", value)])
    assert (refused.status, refused.challenge) == (401, 'Bearer realm="keysteward"')


def test_a_token_in_the_url_is_no_credential(ask: Ask, token: str) -> None:
    refused = refusal(ask, [], path=f"/?access_token={token}")
    assert (refused.status, refused.challenge) == (401, 'Bearer realm="keysteward"')


def test_malformed_and_unknown_tokens_get_the_same_answer(ask: Ask, store: Store, token: str) -> None:
    answers = {
        (refused.status, refused.challenge, refused.detail)
        for unknown in ("x", "é", "x" * 9000, token[:-1] + "-", token + "0", '"', "kst_scim_")
        for refused in [refusal(ask, [("Authorization", f"Bearer {unknown}")])]
    }
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.exec_driver_sql("DELETE FROM credential")
    gone = refusal(ask, [("Authorization", f"Bearer {token}")])
    assert answers == {(gone.status, gone.challenge, gone.detail)}
    assert gone.status == 401
    assert gone.challenge == (
        'Bearer realm="keysteward", error="invalid_token", '
        'error_description="the token is malformed or unknown"'
    )


def test_the_holder_of_a_revoked_token_is_told(ask: Ask, store: Store, token: str, tenant: Tenant) -> None:
    with store.writing(tenant.id, actor="system") as unit:
        revoke_credential(unit, token.split("_")[2])
    refused = refusal(ask, [("Authorization", f"Bearer {token}")])
    assert refused.status == 401
    assert 'error="invalid_token", error_description="the token was revoked"' in refused.challenge
    assert refused.detail == "The token was revoked"


def test_a_missing_scope_is_named(ask: Ask, token: str) -> None:
    refused = refusal(ask, [("Authorization", f"Bearer {token}")], scopes="operator")
    assert refused.status == 403
    assert 'error="insufficient_scope"' in refused.challenge
    assert refused.challenge.endswith('scope="operator"')


def test_two_credentials_in_one_request_are_refused(ask: Ask, token: str) -> None:
    for headers in (
        [("Authorization", f"Bearer {token}"), ("Authorization", "Bearer other")],
        [("Authorization", f"Bearer {token},Bearer other")],
    ):
        refused = refusal(ask, headers)
        assert refused.status == 400
        assert 'error="invalid_request"' in refused.challenge
    assert ask([("Authorization", f"Bearer {token}, Bearer {token}")]).scopes == ("scim",)


def test_no_answer_repeats_the_token(ask: Ask, token: str) -> None:
    for headers, scopes in (
        ([("Authorization", f"Bearer {token}0")], "scim"),
        ([("Authorization", f"Bearer {token}")], "operator"),
        ([("Authorization", f"Bearer {token},{token}")], "scim"),
    ):
        refused = refusal(ask, headers, scopes=scopes)
        assert token not in refused.challenge + refused.detail


def test_another_header_can_carry_the_token(store: Store, peppers: Peppers, token: str) -> None:
    protector = Protector(store, peppers, header="X-Gate-Authorization")
    headers = [("Authorization", "Bearer the caller's key"), ("X-Gate-Authorization", f"Bearer {token}")]
    with Flask("test").test_request_context(headers=headers):
        assert protector.acquire("scim").scopes == ("scim",)
    with (
        Flask("test").test_request_context(headers=[("Authorization", f"Bearer {token}")]),
        pytest.raises(Unauthenticated),
    ):
        protector.acquire("scim")


def test_a_use_is_noted_and_a_refusal_is_not(ask: Ask, store: Store, token: str, tenant: Tenant) -> None:
    def last_used_at() -> int | None:
        with store.reading(tenant.id) as unit:
            return get_credential(unit, token.split("_")[2]).last_used_at

    refusal(ask, [("Authorization", f"Bearer {token}")], scopes="operator")
    assert last_used_at() is None
    ask([("Authorization", f"Bearer {token}")])
    assert last_used_at() is not None


def test_a_store_that_does_not_answer_lets_nobody_in(peppers: Peppers, token: str) -> None:
    protector = Protector(Store(create_engine("postgresql://nobody@127.0.0.1:1/none")), peppers)
    with (
        Flask("test").test_request_context(headers=[("Authorization", f"Bearer {token}")]),
        pytest.raises(sa.exc.OperationalError),
    ):
        protector.acquire("scim")


def test_nothing_is_open_to_everyone(ask: Ask, token: str) -> None:
    with pytest.raises(ValueError, match="name a scope"):
        ask([("Authorization", f"Bearer {token}")], [])
