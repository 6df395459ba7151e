"""The one-time link: fetching it does nothing, following it shows the secret to one, once."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.keys.claims import find_link
from app.store.secrets import ALPHABET, mint, parse
from app.store.tables import claim_link
from tests.http.claims import another_key, events, follow, issued_key, make_link, shown_secret
from tests.http.conftest import DAY, HOUR, SECOND, Key, Tenant

INACTIVE = {"op": "replace", "value": {"active": False}}
ACTIVE = {"op": "replace", "value": {"active": True}}


@pytest.fixture
def key_id(tenant: Tenant) -> str:
    return issued_key(tenant)


def code_of(link: str) -> str:
    return link.partition("#")[2]


def with_checksum(text: str) -> str:
    number, checksum = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = ALPHABET[digit] + checksum
    return text + checksum


def test_a_link_shows_a_secret_that_works_once(tenant: Tenant, key_id: str) -> None:
    link = make_link(tenant, key_id)
    secret = shown_secret(follow(tenant, code_of(link)))
    assert tenant.verify(Key(key_id, secret)) == "allow"
    again = follow(tenant, code_of(link))
    assert again.status_code == 410
    assert "used already" in again.text
    assert "revoked" in again.text
    assert secret not in again.text


def test_fetching_a_link_reveals_and_consumes_nothing(tenant: Tenant, key_id: str) -> None:
    link = make_link(tenant, key_id)
    code = code_of(link)
    plain = tenant.flask.test_client().get("/claim").text
    assert key_id not in plain
    for _ in range(3):
        # A scanner sends no fragment; a clumsy one may send it as anything else.
        for fetched in ("/claim", f"/claim?code={code}", f"/claim?{code}"):
            assert tenant.flask.test_client().get(fetched).text == plain
            assert tenant.flask.test_client().head(fetched).status_code == 200
    assert tenant.flask.test_client().post(f"/claim?code={code}").status_code == 400
    assert tenant.operator.get(f"/keys/{key_id}").get_json()["state"] == "issued"
    assert shown_secret(follow(tenant, code))


def test_the_token_is_where_browsers_keep_it_to_themselves(tenant: Tenant, key_id: str) -> None:
    link = make_link(tenant, key_id)
    address, _, code = link.partition("#")
    assert address.endswith("/claim")
    # 43 characters of base62 are 256 bits.
    assert re.fullmatch(r"kst_claim_[0-9A-Za-z]{16}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", code)


def test_the_whole_link_may_be_pasted(tenant: Tenant, key_id: str) -> None:
    assert shown_secret(follow(tenant, f"  {make_link(tenant, key_id)}\n"))


def test_the_pages_are_kept_to_themselves(tenant: Tenant, key_id: str) -> None:
    shown = follow(tenant, code_of(make_link(tenant, key_id)))
    for answer in (tenant.flask.test_client().get("/claim"), shown, follow(tenant, "wrong")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert {"form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
        for kind, inside in re.findall(r"<(style|script)>(.*?)</\1>", answer.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
        assert not re.search(r"\son\w+=|style=|src=|javascript:", answer.text)


@pytest.mark.parametrize(
    "code", ["", "wrong", "kst_claim_", "claim", "key", "ä" * 500], ids=lambda code: code[:10] or "nothing"
)
def test_a_wrong_token_is_not_found(tenant: Tenant, key_id: str, code: str) -> None:
    make_link(tenant, key_id)
    minted = {"claim": mint("kst", "claim").text, "key": mint("ks", "live").text}
    assert follow(tenant, minted.get(code, code)).status_code == 404


def test_a_token_that_only_looks_like_the_link_is_not_found(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    forged = mint("kst", "claim").text
    # The public part of the true link, and a checksum that is right.
    text = f"{code[:27]}{forged[27:-6]}"
    assert follow(tenant, with_checksum(text)).status_code == 404
    # A key's secret and a connection's token open no link.
    assert follow(tenant, tenant.operator.headers["Authorization"].removeprefix("Bearer ")).status_code == 404
    assert shown_secret(follow(tenant, code))


def test_a_wrong_token_costs_what_a_right_one_costs(tenant: Tenant, key_id: str) -> None:
    """The same statements, for a token of no form, of no link, and of a link that does not match."""
    counted: list[str] = []

    def listener(*told: Any) -> None:
        counted.append(told[2])

    sa.event.listen(tenant.store.engine, "before_cursor_execute", listener)
    try:
        costs = set()
        code = code_of(make_link(tenant, key_id))
        forged = with_checksum(f"{code[:27]}{mint('kst', 'claim').text[27:-6]}")
        assert parse(forged).id == parse(code).id
        for wrong in ("x", mint("kst", "claim").text, forged):
            counted.clear()
            assert find_link(tenant.store, tenant.peppers, wrong) is None
            costs.add(tuple(counted))
    finally:
        sa.event.remove(tenant.store.engine, "before_cursor_execute", listener)
    assert len(costs) == 1


def test_a_link_lives_for_a_day_unless_told_otherwise(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    tenant.let_pass(DAY - 60 * SECOND)
    assert tenant.operator.get(f"/keys/{key_id}").get_json()["state"] == "issued"
    tenant.let_pass(60 * SECOND)
    ended = follow(tenant, code)
    assert ended.status_code == 410
    assert "expired" in ended.text
    week = code_of(make_link(tenant, key_id, expiresInSeconds=7 * 86_400))
    tenant.let_pass(7 * DAY - HOUR)
    assert shown_secret(follow(tenant, week))


@pytest.mark.parametrize("lifetime", [0, -1, 7 * 86_400 + 1, "60", 1.5, True, None])
def test_no_link_lives_longer_than_a_week(tenant: Tenant, key_id: str, lifetime: object) -> None:
    answer = tenant.operator.post(f"/keys/{key_id}/claim-link", {"expiresInSeconds": lifetime})
    assert answer.status_code == 400
    assert tenant.sql(sa.select(claim_link).where(claim_link.c.key_id == key_id)) == []


def test_a_newer_link_ends_the_older(tenant: Tenant, key_id: str) -> None:
    older, newer = (code_of(make_link(tenant, key_id)) for _ in range(2))
    ended = follow(tenant, older)
    assert ended.status_code == 410
    assert "newer link" in ended.text
    assert shown_secret(follow(tenant, newer))
    assert "used already" in follow(tenant, newer).text
    assert "newer link" in follow(tenant, older).text


def test_a_dormant_key_is_refused_and_the_link_stays(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
    tenant.scim.patch(f"/Users/{user}", INACTIVE)
    refused = follow(tenant, code)
    assert refused.status_code == 409
    assert "dormant" in refused.text
    assert tenant.operator.post(f"/keys/{key_id}/claim-link").status_code == 409
    tenant.scim.patch(f"/Users/{user}", ACTIVE)
    assert tenant.verify(Key(key_id, shown_secret(follow(tenant, code)))) == "allow"


def test_a_revoked_key_is_refused_and_the_link_is_not_used(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    tenant.operator.post(f"/keys/{key_id}/revoke")
    refused = follow(tenant, code)
    assert refused.status_code == 409
    assert "revoked" in refused.text
    assert tenant.sql(sa.select(claim_link.c.used_at).where(claim_link.c.key_id == key_id)) == [(None,)]
    refused = tenant.operator.post(f"/keys/{key_id}/claim-link")
    assert (refused.status_code, refused.get_json()["type"]) == (
        409,
        "urn:keysteward:problem:key-not-claimable",
    )


def test_two_who_follow_it_at_once_get_one_secret(tenant: Tenant) -> None:
    user = None
    for _ in range(3):
        key_id = issued_key(tenant) if user is None else another_key(tenant, user)
        user = tenant.operator.get(f"/keys/{key_id}").get_json()["consumer"]["value"]
        code = code_of(make_link(tenant, key_id))
        ready = threading.Barrier(4)
        answers: list[int] = []

        def turn(code: str = code, ready: threading.Barrier = ready, answers: list[int] = answers) -> None:
            ready.wait()
            answers.append(follow(tenant, code).status_code)

        threads = [threading.Thread(target=turn) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(answers) == [200, 410, 410, 410]
        assert [each["type"] for each in events(tenant, key_id)].count("key.claimed") == 1


def test_making_and_using_a_link_are_events(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    secret = shown_secret(follow(tenant, code))
    made, claimed = events(tenant, key_id)[-2:]
    link_id = code.split("_")[2]
    assert (made["type"], made["data"]["link"]) == ("key.claim_link_made", link_id)
    assert (claimed["type"], claimed["data"]["by"]) == ("key.claimed", "link")
    assert claimed["actor"] == f"link:{link_id}"
    assert claimed["data"]["secret"] == secret.split("_")[2]
    assert code.split("_")[3] not in str((made, claimed))


def test_an_operator_makes_links_for_its_own_keys_only(
    tenant: Tenant, key_id: str, found: Callable[..., Tenant]
) -> None:
    other = found()
    code = code_of(make_link(tenant, key_id))
    assert other.operator.post(f"/keys/{key_id}/claim-link").status_code == 404
    # And the attempt has not ended the link that there is.
    assert shown_secret(follow(tenant, code))
    nobody: FlaskClient = tenant.flask.test_client()
    assert nobody.post(f"/operator/v1/keys/{key_id}/claim-link").status_code == 401
    for face in (tenant.scim, tenant.gate):
        answer = nobody.post(f"/operator/v1/keys/{key_id}/claim-link", headers=face.headers)
        assert answer.status_code in (401, 403)


def test_a_form_that_is_too_large_or_says_it_twice_is_refused(tenant: Tenant, key_id: str) -> None:
    code = code_of(make_link(tenant, key_id))
    client = tenant.flask.test_client()
    assert client.post("/claim", data={"code": code + " " * 20_000}).status_code == 413
    assert client.post("/claim", data={"code": [code, code]}).status_code == 400
    assert client.post("/claim", json={"code": code}).status_code == 400
    assert shown_secret(follow(tenant, code))
