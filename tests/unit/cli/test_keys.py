"""`keysteward key …` and `keysteward explain`."""

from __future__ import annotations

import getpass

import pytest
import sqlalchemy as sa

from app.store.secrets import parse
from app.store.tables import event
from tests.unit.cli.conftest import Keysteward


@pytest.fixture
def key_id(keysteward: Keysteward) -> str:
    """Return the id of ada's key for "orders"."""
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic", "--scope", "orders.read")
    keysteward.user("ada", "orders")
    (key,) = keysteward.document("key", "list")["Resources"]
    assert key["consumer"]["userName"] == "ada"
    return str(key["id"])


def test_a_key_is_claimed_once(keysteward: Keysteward, key_id: str) -> None:
    claimed = keysteward.document("key", "claim", key_id)
    assert claimed["id"] == key_id
    assert parse(claimed["secret"]).text == claimed["secret"]
    assert "only once" in keysteward.refused("key", "claim", key_id)
    assert claimed["secret"] not in keysteward.told("key", "list", "--json") + keysteward.told(
        "explain", key_id
    )


def test_a_claim_for_people_prints_the_secret_alone_on_stdout(keysteward: Keysteward, key_id: str) -> None:
    assert parse(keysteward.told("key", "claim", key_id).strip())


def test_a_key_is_revoked_for_good_and_by_whom_is_told(keysteward: Keysteward, key_id: str) -> None:
    revoked = keysteward.document("key", "revoke", key_id, "--reason", "leaked")
    assert (revoked["state"], revoked["reason"]) == ("revoked", "leaked")
    assert keysteward.document("key", "revoke", key_id) == revoked
    with keysteward.writing() as unit:
        actor = sa.select(event.c.actor).where(event.c.type == "key.revoked")
        assert unit.execute(actor).scalars().all() == [f"cli:{getpass.getuser()}"]


def test_a_key_is_issued_on_request(keysteward: Keysteward) -> None:
    keysteward.told("entitlement", "create", "orders")
    keysteward.user("ada", "orders")
    assert keysteward.document("key", "list")["totalResults"] == 0
    issued = keysteward.document("key", "issue", "ada", "orders")
    assert issued["state"] == "issued"
    assert "'invoices'" in keysteward.refused("key", "issue", "ada", "orders", "invoices")
    assert "nobody" in keysteward.refused("key", "issue", "nobody", "orders")
    assert keysteward.document("key", "list", "--state", "issued")["totalResults"] == 1
    assert keysteward.document("key", "list", "--state", "active")["totalResults"] == 0


def test_keys_are_listed_for_people(keysteward: Keysteward, key_id: str) -> None:
    table = keysteward.told("key", "list", "--consumer", "ada")
    for word in (key_id, "issued", "ada", "orders"):
        assert word in table
    assert keysteward.told("key", "list", "--consumer", "nobody") == "No keys.\n"


def test_a_key_is_explained_by_the_groups_that_lead_to_it(keysteward: Keysteward) -> None:
    user_id = keysteward.user("ada")
    team = keysteward.group("Team", user_id)
    everyone = keysteward.group("Everyone", team, kind="Group")
    keysteward.told("entitlement", "create", "orders", "--group", "Everyone", "--issuance", "automatic")
    (key,) = keysteward.document("key", "list")["Resources"]
    keysteward.told("key", "claim", key["id"])
    told = keysteward.told("explain", key["id"])
    assert f"by the group Team ({team}) in Everyone ({everyone})" in told
    assert "The key works, for 'orders'." in told
    (right,) = keysteward.document("explain", key["id"])["entitlements"]
    assert [group["value"] for group in right["paths"][0]["groups"]] == [team, everyone]


def test_a_key_that_does_not_work_is_explained(keysteward: Keysteward, key_id: str) -> None:
    user_id = keysteward.document("explain", "ada")["consumer"]["id"]
    keysteward.user("ada", "orders", user_id=user_id, active=False)
    told = keysteward.told("explain", key_id)
    assert f"key {key_id}: dormant" in told
    assert "The key does not work: the user 'ada' has been inactive since" in told


def test_a_user_is_explained(keysteward: Keysteward, key_id: str) -> None:
    user_id = keysteward.document("explain", "ada")["consumer"]["id"]
    keysteward.user("ada", "orders", "typo", user_id=user_id)
    told = keysteward.told("explain", "ada")
    assert "holds orders (scopes orders.read): held since" in told
    assert "carries 'typo' in entitlements, which names no entitlement" in told
    assert f"key {key_id}: issued" in told
    assert keysteward.document("explain", user_id) == keysteward.document("explain", "ada")


def test_characters_of_a_user_name_do_nothing_to_the_terminal(keysteward: Keysteward) -> None:
    keysteward.user("\x1b[31mada[bold]\n")
    told = keysteward.told("explain", "\x1b[31mada[bold]\n")
    assert "\x1b" not in told
    assert "ada[bold]" in told


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("key", "claim", "key_no"), "no key 'key_no'"),
        (("key", "revoke", "key_no"), "no key 'key_no'"),
        (("explain", "nobody"), "no consumer 'nobody'"),
        (("key", "list", "--tenant", "elsewhere"), "no tenant 'elsewhere'"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    keysteward: Keysteward, words: tuple[str, ...], line: str
) -> None:
    assert keysteward.refused(*words) == line


@pytest.mark.parametrize(
    "words",
    [
        ("key", "list", "--state", "dead"),
        ("key", "list", "--count", "many"),
        ("key", "claim"),
        ("key", "issue", "ada"),
        ("key", "nothing"),
        ("explain",),
    ],
)
def test_wrong_use_ends_with_2(keysteward: Keysteward, words: tuple[str, ...]) -> None:
    assert keysteward.run(*words).exit_code == 2


def test_a_key_is_rotated_and_the_new_secret_stands_alone_on_stdout(
    keysteward: Keysteward, key_id: str
) -> None:
    assert "claim it" in keysteward.refused("key", "rotate", key_id)
    first = keysteward.document("key", "claim", key_id)["secret"]
    result = keysteward.run("key", "rotate", key_id, "--overlap", "90m")
    second = result.stdout.strip()
    assert parse(second).text != first
    assert "The old secret ends at" in result.stderr
    rotated = keysteward.document("key", "rotate", key_id, "--overlap", "0")
    assert rotated["replaced"]["secret"] == parse(second).id
    assert keysteward.run("key", "rotate", key_id, "--overlap", "soon").exit_code == 2


def test_all_keys_of_a_user_are_revoked_with_a_receipt(keysteward: Keysteward, key_id: str) -> None:
    secret = parse(keysteward.document("key", "claim", key_id)["secret"])
    assert "not withdrawn" in keysteward.told("key", "receipt", key_id)
    told = keysteward.told("key", "revoke", "--user", "ada", "--reason", "laptop stolen")
    for words in (f"key {key_id} of ada: revoked", "laptop stolen", f"secret {secret.id}", "of the ledger"):
        assert words in told
    assert keysteward.told("key", "receipt", "--user", "ada") == keysteward.told("key", "receipt", key_id)
    receipt = keysteward.document("key", "receipt", key_id)
    (of_user,) = keysteward.document("key", "receipt", "--user", "ada")["keys"]
    assert {**receipt, "at": ""} == {**of_user, "at": ""}
    assert receipt["cause"]["actor"] == f"cli:{getpass.getuser()}"


@pytest.mark.parametrize("command", ["revoke", "receipt"])
def test_a_key_or_a_user_is_named_not_both(keysteward: Keysteward, command: str) -> None:
    for words in ((), ("key_1", "--user", "ada")):
        assert keysteward.run("key", command, *words).exit_code == 2
    assert keysteward.refused("key", command, "--user", "nobody") == "no consumer 'nobody'"
