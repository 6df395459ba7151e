"""`keysteward entitlement …`."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import Keysteward


def test_an_entitlement_is_made_with_all_it_says(keysteward: Keysteward) -> None:
    group_id = keysteward.group("Buyers")
    made = keysteward.document(
        "entitlement", "create", "orders",
        "--display", "Orders", "--audience", "shop", "--scope", "orders.read", "--scope", "orders.write",
        "--issuance", "automatic", "--role", "Buyer", "--group", "Buyers",
        "--method", "GET", "--method", "POST", "--path", "/orders/*", "--lifetime", "90d",
    )  # fmt: skip
    assert (made["value"], made["display"], made["audience"]) == ("orders", "Orders", "shop")
    assert made["scopes"] == ["orders.read", "orders.write"]
    assert made["conditions"] == {"methods": ["GET", "POST"], "paths": ["/orders/*"]}
    assert made["keyPolicy"] == {"issuance": "automatic", "lifetimeSeconds": 90 * 86_400}
    assert [role["value"] for role in made["roles"]] == ["Buyer"]
    assert [group["value"] for group in made["groups"]] == [group_id]
    shown = keysteward.document("entitlement", "show", "orders")
    assert shown == keysteward.document("entitlement", "show", made["id"])
    assert shown == made
    table = keysteward.told("entitlement", "list")
    for word in ("orders", "shop", "orders.read", "/orders/*", "automatic, for 90 days", "Buyer", "Buyers"):
        assert word in table


def test_entitlements_are_listed_by_their_values(keysteward: Keysteward) -> None:
    for value in ("orders", "accounts", "invoices"):
        keysteward.told("entitlement", "create", value)
    listed = keysteward.document("entitlement", "list")
    assert [each["value"] for each in listed["Resources"]] == ["accounts", "invoices", "orders"]
    assert listed["totalResults"] == 3


def test_a_new_entitlement_makes_a_waiting_value_a_grant(keysteward: Keysteward) -> None:
    keysteward.user("ada", "orders")
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    assert keysteward.document("key", "list")["totalResults"] == 1
    assert [each["value"] for each in keysteward.document("explain", "ada")["grants"]] == ["orders"]


def test_deleting_an_entitlement_revokes_what_was_for_it(keysteward: Keysteward) -> None:
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    keysteward.user("ada", "orders")
    assert keysteward.document("entitlement", "delete", "orders")["value"] == "orders"
    (key,) = keysteward.document("key", "list")["Resources"]
    assert (key["state"], key["reason"]) == ("revoked", "entitlement_deleted")
    assert keysteward.refused("entitlement", "delete", "orders") == "no entitlement 'orders'"


def test_a_group_is_named_by_its_id_or_by_a_display_name_that_only_it_has(keysteward: Keysteward) -> None:
    first = keysteward.group("Buyers")
    keysteward.group("Buyers")
    refused = keysteward.refused("entitlement", "create", "orders", "--group", "Buyers")
    assert "more than one group 'Buyers'" in refused
    assert first in refused
    keysteward.told("entitlement", "create", "orders", "--group", first)
    assert keysteward.refused("entitlement", "create", "other", "--group", "Nobody") == "no group 'Nobody'"
    assert keysteward.document("entitlement", "list")["totalResults"] == 1


def test_a_value_is_taken_only_once(keysteward: Keysteward) -> None:
    keysteward.told("entitlement", "create", "orders")
    refused = keysteward.refused("entitlement", "create", "orders")
    assert refused == "there is an entitlement 'orders' already"


@pytest.mark.parametrize(
    "words",
    [
        ("create",),
        ("create", ""),
        ("create", "x", "--role", ""),
        ("create", "x", "--lifetime", "0"),
        ("create", "x", "--lifetime", "soon"),
        ("create", "x", "--issuance", "never"),
        ("show", "x"),
    ],
)
def test_wrong_use_ends_with_2_and_makes_nothing(keysteward: Keysteward, words: tuple[str, ...]) -> None:
    assert keysteward.run("entitlement", *words).exit_code == 2
    assert keysteward.document("entitlement", "list")["totalResults"] == 0
