"""What a resource is compared and found by."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import Resource, ScimPolicy, default_comparison_key
from scim2_server.utils import load_default_provider

from app.directory.comparable import MatchValue, comparable, match_key, matchable

PROVIDER = load_default_provider()
CORE = "urn:ietf:params:scim:schemas:core:2.0:user"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def user(**attributes: Any) -> Resource[Any]:
    model: Any = PROVIDER.model_for("User")
    return model.model_validate({"userName": "BJensen", **attributes})


def test_strings_are_prepared_as_their_attribute_says() -> None:
    made = user(externalId="ExtId", title="E\u0301COLE", profileUrl="https://Example.com/A")
    form = comparable(made)
    assert form["username"] == "bjensen"
    assert form["title"] == "école"
    assert form["externalid"] == "ExtId"
    assert form["profileurl"] == "https://Example.com/A"


def test_values_that_are_no_strings_are_what_both_databases_compare() -> None:
    form = comparable(user(active=False, x509Certificates=[{"value": "YQ==", "primary": True}]))
    assert form["active"] == 0
    assert form["x509certificates"] == [{"value": "YQ==", "primary": 1}]


def test_the_structure_is_kept() -> None:
    form = comparable(
        user(
            name={"givenName": "Barbara"},
            emails=[{"value": "B@Example.com", "type": "Work"}, {"value": "b@home.example"}],
        )
    )
    assert form["name"] == {"givenname": "barbara"}
    assert form["emails"] == [{"value": "b@example.com", "type": "work"}, {"value": "b@home.example"}]


def test_what_an_extension_holds_stands_under_its_schema() -> None:
    form = comparable(user(**{ENTERPRISE: {"employeeNumber": "Nr 7", "manager": {"value": "ID-1"}}}))
    assert form[ENTERPRISE.lower()] == {"employeenumber": "nr 7", "manager": {"value": "ID-1"}}
    assert form["schemas"] == [CORE, ENTERPRISE.lower()]


@pytest.mark.parametrize(
    "unassigned",
    [
        {"title": None},
        {"emails": []},
        {"emails": [{}]},
        {"name": {}},
        {"name": {"givenName": None}},
        {ENTERPRISE: {}},
        {ENTERPRISE: {"manager": {}}},
    ],
)
def test_what_is_unassigned_is_left_out(unassigned: dict[str, Any]) -> None:
    assert comparable(user(**unassigned)) == comparable(user())


def test_an_empty_string_is_a_value() -> None:
    assert comparable(user(title=""))["title"] == ""


def test_what_other_tables_hold_is_left_out() -> None:
    model: Any = PROVIDER.model_for("Group")
    group = model.model_validate({"id": "1", "displayName": "Tour", "members": [{"value": "2"}]})
    assert comparable(group).keys() == {"displayname", "schemas"}
    assert comparable(user(id="1", groups=[{"value": "2"}])) == comparable(user())


def test_a_user_is_found_by_unique_values_and_by_what_identity_providers_match_on() -> None:
    emails = [{"value": "A@example.com"}, {"value": "b@example.com"}, {"value": "a@EXAMPLE.com"}]
    made = user(externalId="X1", displayName="Babs", title="Boss", emails=emails)
    assert sorted(matchable(made), key=lambda each: (each.attribute, each.value)) == [
        MatchValue(f"{CORE}:displayname", "babs", is_unique=False),
        MatchValue(f"{CORE}:emails.value", "a@example.com", is_unique=False),
        MatchValue(f"{CORE}:emails.value", "b@example.com", is_unique=False),
        MatchValue(f"{CORE}:externalid", "X1", is_unique=False),
        MatchValue(f"{CORE}:username", "bjensen", is_unique=True),
    ]


def test_an_index_holds_the_digest_of_a_long_value() -> None:
    assert match_key("é" * 128) == "é" * 128
    assert match_key("é" * 128 + "a").startswith("sha256:")
    assert len(match_key("a" * 100_000)) == len("sha256:") + 64


def test_a_string_that_cannot_be_prepared_is_left_out() -> None:
    def without_spaces(binding: Any, value: str) -> str:
        if " " in value:
            raise ValueError("a space")
        return default_comparison_key(binding, value)

    with ScimPolicy(comparison_key=without_spaces):
        made = user(title="the boss", emails=[{"value": "a b", "type": "work"}])
        assert "title" not in comparable(made)
        assert comparable(made)["emails"] == [{"type": "work"}]
        assert [each.attribute for each in matchable(made)] == [f"{CORE}:username"]
