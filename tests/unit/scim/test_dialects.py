"""The dialects: what each is, and whole resources as real identity providers send them."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError
from scim2_models import Context, SearchRequest

from app.scim.deviations import Deviation
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS, normalise
from app.scim.provider import load_provider
from tests.unit.scim.scim_bodies import (
    CONSUMER,
    ENTERPRISE,
    GROUP,
    MANAGER,
    MICROSOFT_GROUP,
    OKTA_CREATE,
    PATCH,
    TOLERANT,
    USER,
    WITHOUT_SECRETS,
    created,
    op,
    refused,
)

CREATIONS = {
    "okta 4: password and groups": ("User", OKTA_CREATE, WITHOUT_SECRETS, ["password_discarded"]),
    "okta 5: the whole resource back": (
        "User",
        {
            **OKTA_CREATE,
            "id": "23a35c27",
            "meta": {"resourceType": "User", "created": "not a time of ours"},
            "groups": [{"value": "g-1", "display": "Staff"}],
            "emails": [{"primary": True, "value": "t@x", "type": "work", "display": "t@x"}],
        },
        {**WITHOUT_SECRETS, "emails": [{"primary": True, "value": "t@x", "type": "work", "display": "t@x"}]},
        ["password_discarded"],
    ),
    "okta 10: an empty group": (
        "Group",
        {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []},
        {"schemas": [GROUP], "displayName": "Test SCIMv2"},
        [],
    ),
    "okta governance: entitlements without a type": (
        "User",
        {
            "schemas": [USER],
            "userName": "t",
            "entitlements": [{"value": "00ge45ghjkL987", "display": "Premium_Subscriber", "primary": False}],
            "roles": [{"value": "role123", "display": "First Role"}],
        },
        {
            "schemas": [USER],
            "userName": "t",
            "entitlements": [{"value": "00ge45ghjkL987", "display": "Premium_Subscriber", "primary": False}],
            "roles": [{"value": "role123", "display": "First Role"}],
        },
        [],
    ),
    "entra 4: null attributes, unlisted extensions": (
        "User",
        {
            "schemas": [USER],
            "externalId": "58342554",
            "userName": "t",
            "active": True,
            **dict.fromkeys(
                ("addresses", "phoneNumbers", "preferredLanguage", "title", "department", "manager")
            ),
            "emails": [{"primary": True, "type": "work", "value": "t@x"}],
            "meta": {"resourceType": "User"},
            "name": {"formatted": "T U"},
            "roles": [],
            ENTERPRISE: {"department": "Sales"},
            "urn:ietf:params:scim:schemas:extension:CustomExtension:2.0:User": {"tag": "1"},
        },
        {
            "schemas": [USER, ENTERPRISE],
            "externalId": "58342554",
            "userName": "t",
            "active": True,
            "emails": [{"primary": True, "type": "work", "value": "t@x"}],
            "name": {"formatted": "T U"},
            ENTERPRISE: {"department": "Sales"},
        },
        ["unknown_attribute"],
    ),
    "entra 5: a second, undeclared schema": (
        "Group",
        {
            "schemas": [GROUP, MICROSOFT_GROUP],
            "externalId": "8aa1a0c0",
            "displayName": "displayName",
            "meta": {"resourceType": "Group"},
        },
        {"schemas": [GROUP], "externalId": "8aa1a0c0", "displayName": "displayName"},
        ["undeclared_schema"],
    ),
    "entra 12: roles with an extra key": (
        "User",
        {
            "schemas": [USER],
            "userName": "t",
            "roles": [
                {
                    "primary": True,
                    "type": "WindowsAzureActiveDirectoryRole",
                    "value": "Admin",
                    "displayName": "x",
                }
            ],
        },
        {
            "schemas": [USER],
            "userName": "t",
            "roles": [{"primary": True, "type": "WindowsAzureActiveDirectoryRole", "value": "Admin"}],
        },
        ["unknown_attribute"],
    ),
    "entra 12: roles as JSON in a string": (
        "User",
        {
            "schemas": [USER],
            "userName": "t",
            "roles": [{"value": '{"id":"06b0","value":"25","displayName":"Role1234"}'}],
        },
        {"schemas": [USER], "userName": "t", "roles": [{"value": "25", "display": "Role1234"}]},
        ["json_as_text"],
    ),
    "entra 13: empty strings": (
        "User",
        {
            "schemas": [USER],
            "userName": "t",
            "title": "",
            "name": {"givenName": ""},
            "profileUrl": "",
            CONSUMER: {"accessEndsAt": ""},
        },
        {"schemas": [USER], "userName": "t"},
        ["empty_string"],
    ),
    "the manager as text": (
        "User",
        {"schemas": [USER, ENTERPRISE], "userName": "t", ENTERPRISE: {"manager": "m-2"}},
        {"schemas": [USER, ENTERPRISE], "userName": "t", ENTERPRISE: {"manager": {"value": "m-2"}}},
        ["value_as_text"],
    ),
    "numbers and booleans as templates write them": (
        "User",
        {
            "schemas": [USER],
            "userName": "t",
            "active": "True",
            "roles": ["Admin"],
            ENTERPRISE: {"employeeNumber": 1042},
        },
        {
            "schemas": [USER, ENTERPRISE],
            "userName": "t",
            "active": True,
            "roles": [{"value": "Admin"}],
            ENTERPRISE: {"employeeNumber": "1042"},
        },
        ["boolean_as_text", "number_for_text", "value_as_text"],
    ),
    "names and URNs in other letter case": (
        "User",
        {
            "Schemas": [USER.upper().replace("URN:", "urn:")],
            "USERNAME": "t",
            "PassWord": "x",
            ENTERPRISE.upper(): {"DEPARTMENT": "Sales"},
        },
        {"schemas": [USER, ENTERPRISE], "userName": "t", ENTERPRISE: {"department": "Sales"}},
        ["password_discarded", "schema_letter_case"],
    ),
}


@pytest.mark.parametrize("dialect", TOLERANT)
@pytest.mark.parametrize(("kind", "body", "expected", "tolerated"), CREATIONS.values(), ids=CREATIONS)
def test_a_creation(dialect, kind, body, expected, tolerated):
    resource, deviations = created(dialect, kind, body)
    assert resource == expected
    assert sorted(deviations) == tolerated


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        ("User", op("Replace", "active", "False")),
        ("User", op("Replace", "active", 0)),
        ("User", op("Replace", MANAGER, "m-2")),
        ("User", op("replace", {"id": "x", "nickName": "N"})),
        ("User", op("replace", {"unknown": 1})),
        ("User", op("Replace", 'emails[type eq "other"].value', "x")),
        ("User", op("Add", "nickName", None)),
        ("Group", op("Remove", "members", [{"value": "b"}])),
        ("Group", op("Add", "members", ["d"])),
    ],
)
def test_deviations_are_refused_by_the_letter(kind, operations):
    assert refused("rfc-strict", kind, operations)


def test_the_letter_still_discards_passwords_and_reads_urns_in_any_case():
    body = {"schemas": [USER.replace("scim", "SCIM")], "userName": "t", "password": "hunter2"}
    assert created("rfc-strict", "User", body) == (
        {"schemas": [USER], "userName": "t"},
        ("schema_letter_case", "password_discarded"),
    )


def test_the_letter_refuses_an_undeclared_schema_and_an_unknown_attribute():
    for body in ({"schemas": [GROUP, MICROSOFT_GROUP], "displayName": "g"}, {"displayName": "g", "x": 1}):
        with pytest.raises(ValidationError):
            created("rfc-strict", "Group", body)


def test_json_in_a_string_that_says_nothing_stays_text():
    for text in ('{"id":"x"}', '{"value":""}', '{"value":7}', '{"value":"a"', "{}", '{"value":"a\\u0000"}'):
        resource, deviations = created("field", "User", {"userName": "t", "roles": [{"value": text}]})
        assert resource["roles"] == [{"value": text}]
        assert deviations == ()


def test_each_deviation_is_described_under_the_name_it_is_counted_by():
    described = set(
        re.findall(
            r"^\| `(\w+)` \|", (Path(__file__).parents[3] / "docs/dialects.md").read_text(), re.MULTILINE
        )
    )
    assert described == {str(deviation) for deviation in Deviation}


def test_a_bulk_request_is_read_operation_by_operation():
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "1", "data": OKTA_CREATE},
            {
                "method": "patch",
                "path": "/groups/7",
                "data": {
                    "schemas": [PATCH],
                    "Operations": op("Remove", "members", [{"value": "b", "display": "B"}]),
                },
            },
            {"method": "PUT", "path": "/Users/8", "data": {"userName": "t", "active": "perhaps"}},
            {"method": "POST", "path": "/Unknown", "data": {"password": "x"}},
            {"method": "DELETE", "path": "/Users/9"},
            "nonsense",
        ],
    }
    prepared, tolerated = normalise(DIALECTS["field"], load_provider(), body, message="bulk")
    first, second, third, *rest = prepared["Operations"]
    assert first["data"] == WITHOUT_SECRETS
    assert second["data"]["Operations"] == op("Remove", "members", [{"value": "b"}])
    assert third["data"]["active"] == {}, "left for the library to refuse, so that it fails alone"
    assert rest == body["Operations"][3:]
    assert tolerated == ("password_discarded", "remove_with_value")


@pytest.mark.parametrize("message", ["resource", "patch", "bulk"])
@pytest.mark.parametrize(
    "body", [None, 1, "x", [], {}, {"Operations": None}, {"Operations": [None, 1, {}, {"op": 1}]}]
)
def test_what_is_no_message_is_left_for_the_library(message, body):
    read, _tolerated = normalise(
        DIALECTS["field"], load_provider(), body, message=message, resource_type_name="User"
    )
    assert read == body


def test_every_dialect_is_data():
    assert DEFAULT_DIALECT == "field"
    assert set(DIALECTS) == {"field", "okta", "ietf", "entra", "rfc-strict"}
    assert {name: each.patch_answer_member_limit for name, each in DIALECTS.items()} == {
        "field": 100,
        "okta": 100,
        "ietf": 100,
        "entra": 0,
        "rfc-strict": 100,
    }
    assert {name: each.catalogue for name, each in DIALECTS.items() if each.catalogue} == {
        "okta": "okta",
        "ietf": "ietf",
    }
    assert {name for name, each in DIALECTS.items() if each.unknown_members == "refuse"} == {"rfc-strict"}
    assert set(DIALECTS["rfc-strict"].deviations) < set(DIALECTS["okta"].deviations) < set(Deviation)


def test_searches_as_entra_sends_them():
    user = load_provider(DIALECTS["field"].policy).model_for("User")
    asked = SearchRequest[user].model_validate(
        {
            "filter": 'active eq true and (meta.lastModified ge "0001-01-03T00:00:00.0000000Z" '
            'and meta.lastModified le "2026-01-01T00:00:00.0000000Z")',
            "startIndex": "6",
            "count": "5",
        },
        scim_ctx=Context.SEARCH_REQUEST,
    )
    assert (asked.start_index, asked.count) == (6, 5)
