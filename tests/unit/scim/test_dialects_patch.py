"""The dialects on the PATCH requests of real identity providers: each payload, and what it changes."""

import json

import pytest

from tests.unit.scim.scim_bodies import (
    ENTERPRISE,
    KNOWN_GROUP,
    KNOWN_USER,
    MANAGER,
    OKTA_CREATE,
    TOLERANT,
    USER,
    WITHOUT_SECRETS,
    created,
    op,
    patched,
)

ROLE_AS_JSON = json.dumps(
    {"id": "06b07648-ecfe-589f-9d2f-6325724a46ee", "value": "25", "displayName": "Role1234"}
)
EMAILS = KNOWN_USER["emails"]
WITHOUT_MANAGER = {ENTERPRISE: {"department": "Sales"}}
WITHOUT_DEPARTMENT = {ENTERPRISE: {"manager": {"value": "m-1"}}}

USER_PATCHES = {
    "okta 6: deactivate": (op("replace", {"active": False}), {"active": False}, []),
    "okta 6: password sync": (op("replace", {"password": "hunter2"}), {}, ["password_discarded"]),
    "a password by its path": (op("replace", "password", "hunter2"), {}, ["password_discarded"]),
    "a password by its URN": (op("Add", f"{USER}:password", "hunter2"), {}, ["password_discarded"]),
    "a password removed": ([{"op": "Remove", "path": "password"}], {}, ["password_discarded"]),
    "entra 6: disable": (op("Replace", "active", "False"), {"active": False}, ["boolean_as_text"]),
    "entra 6: disable, with the flag": (op("replace", "active", False), {"active": False}, []),
    "entra 6: add one string": (op("Add", "nickName", "Babs"), {"nickName": "Babs"}, []),
    "entra 6: dotted keys": (
        op(
            "replace",
            {
                "displayName": "Bjfe",
                "name.givenName": "Kkom",
                "name.familyName": "Unua",
                f"{ENTERPRISE}:employeeNumber": "Aklq",
            },
        ),
        {
            "displayName": "Bjfe",
            "name": {"givenName": "Kkom", "familyName": "Unua"},
            ENTERPRISE: {"employeeNumber": "Aklq", "department": "Sales", "manager": {"value": "m-1"}},
        },
        [],
    ),
    "entra 9: a filtered path that matches": (
        op("Replace", 'emails[type eq "work"].value', "new@example.com"),
        {"emails": [{"value": "new@example.com", "type": "work", "primary": True}, EMAILS[1]]},
        [],
    ),
    "entra 9: a filtered path that creates": (
        op("Add", 'phoneNumbers[type eq "mobile"].value', "55555555555"),
        {"phoneNumbers": [{"value": "55555555555", "type": "mobile"}]},
        [],
    ),
    "entra 9: a filtered path that creates by replace": (
        op("Replace", 'addresses[type eq "work"].postalCode', "12345"),
        {"addresses": [{"postalCode": "12345", "type": "work"}]},
        [],
    ),
    "entra 10: the primary one": (
        op("Replace", "emails[primary eq true].value", "new@example.com"),
        {"emails": [{"value": "new@example.com", "type": "work", "primary": True}, EMAILS[1]]},
        [],
    ),
    "entra 12: the primary role, as text": (
        op("Add", 'roles[primary eq "True"].value', "Admin"),
        {"roles": [{"value": "Reader"}, {"value": "Admin", "primary": True}]},
        [],
    ),
    "entra 11: change the manager": (
        op("replace", MANAGER, "m-2"),
        {ENTERPRISE: {"department": "Sales", "manager": {"value": "m-2"}}},
        ["value_as_text"],
    ),
    "entra 11: remove the manager by an empty string": (
        op("replace", MANAGER, ""),
        WITHOUT_MANAGER,
        ["value_as_text"],
    ),
    "entra 11: remove the manager by null": (op("replace", MANAGER, None), WITHOUT_MANAGER, []),
    "entra 11: remove the manager with an empty value": (
        op("Remove", MANAGER, ""),
        WITHOUT_MANAGER,
        ["remove_with_value"],
    ),
    "entra 11: the manager in a list": (
        op("Add", MANAGER, [{"$ref": None, "value": "m-2"}]),
        {ENTERPRISE: {"department": "Sales", "manager": {"value": "m-2"}}},
        ["wrapped_value"],
    ),
    "entra 11: the manager under the extension": (
        op("replace", {ENTERPRISE: {"manager": "m-2"}}),
        {ENTERPRISE: {"department": "Sales", "manager": {"value": "m-2"}}},
        ["value_as_text"],
    ),
    "the manager with its read-only name": (
        op("replace", MANAGER, {"value": "m-2", "displayName": "M"}),
        {ENTERPRISE: {"department": "Sales", "manager": {"value": "m-2"}}},
        ["read_only_member"],
    ),
    "entra 12: a role as JSON in a string": (
        op("Add", "roles", [{"value": ROLE_AS_JSON}]),
        {"roles": [{"value": "Reader"}, {"value": "25", "display": "Role1234"}]},
        ["json_as_text"],
    ),
    "entra 12: all roles": (
        op("replace", "roles", [{"primary": False, "type": "W", "display": "User", "value": "User"}]),
        {"roles": [{"primary": False, "type": "W", "display": "User", "value": "User"}]},
        [],
    ),
    "entra 13: an empty string clears": (op("Replace", "nickName", ""), {"nickName": None}, ["empty_string"]),
    "entra 13: an empty string on what is not there": (op("Add", "title", ""), {}, ["empty_string"]),
    "entra 13: an empty string clears an id": (
        op("Add", "externalId", ""),
        {"externalId": None},
        ["empty_string"],
    ),
    "entra 13: an empty list clears": (op("Replace", "emails", []), {"emails": None}, []),
    "entra 13: a filtered path and an empty string": (
        op("Replace", 'emails[type eq "work"].value', ""),
        {"emails": [{"type": "work", "primary": True}, EMAILS[1]]},
        ["empty_string"],
    ),
    "entra 13: a filtered path without a match and an empty string": (
        op("Replace", 'emails[type eq "other"].value', ""),
        {},
        ["empty_string"],
    ),
    "entra 13: path-less URN object": (
        op("Replace", {ENTERPRISE: {"department": ""}}),
        WITHOUT_DEPARTMENT,
        ["empty_string"],
    ),
    "entra 13: path-less dotted keys and empty strings": (
        op("replace", {"name.givenName": "", f"{ENTERPRISE}:department": ""}),
        {"name": {"familyName": "User"}, **WITHOUT_DEPARTMENT},
        ["empty_string"],
    ),
    "entra 13: the URN as path": (
        op("Replace", ENTERPRISE, {"department": ""}),
        WITHOUT_DEPARTMENT,
        ["empty_string"],
    ),
    "entra 13: remove a part of the name": (
        [{"op": "Remove", "path": "name.givenName"}],
        {"name": {"familyName": "User"}},
        [],
    ),
    "entra 13: a URN and a filter": (
        op("Replace", f'{USER}:emails[type eq "home"].value', "new@example.com"),
        {"emails": [EMAILS[0], {"value": "new@example.com", "type": "home"}]},
        [],
    ),
    "entra 13: replacing the name merges": (
        op("Replace", "name", {"givenName": "New"}),
        {"name": {"givenName": "New", "familyName": "User"}},
        [],
    ),
    "entra 14: null clears": (op("replace", "nickName", None), {"nickName": None}, []),
    "entra 14: null added clears": (op("Add", "nickName", None), {"nickName": None}, ["added_null"]),
    "entra 14: null on a filtered path": (
        op("Replace", 'emails[type eq "other"].value', None),
        {},
        ["added_null"],
    ),
    "a filtered path as a key": (
        op("replace", {"nickName": "N", 'emails[type eq "home"].value': "new@example.com"}),
        {"nickName": "N", "emails": [EMAILS[0], {"value": "new@example.com", "type": "home"}]},
        ["filtered_member"],
    ),
    "a wrapped value": (
        op("Replace", "active", [{"$ref": None, "value": "False"}]),
        {"active": False},
        ["boolean_as_text", "wrapped_value"],
    ),
    "read-only members": (
        op("replace", {"id": "x", "meta": {"version": "1"}, "groups": [], "nickName": "N"}),
        {"nickName": "N"},
        ["read_only_member"],
    ),
    "unknown attributes": (
        [
            *op("Replace", "scimusername", "x"),
            *op("replace", {"external_manager_id": 7, "urn:x:y": {"z": 1}}),
        ],
        {},
        ["unknown_attribute"],
    ),
    "a role removed by its value, though its label differs": (
        op("Remove", "entitlements", [{"value": "orders.read", "display": "Other", "primary": False}]),
        {"entitlements": None},
        ["remove_with_value"],
    ),
    "a role removed by JSON in a string": (
        op("Remove", "roles", [{"value": '{"id":"x","value":"Reader"}'}]),
        {"roles": None},
        ["json_as_text", "remove_with_value"],
    ),
    "an email removed by value and type": (
        op("Remove", "emails", [{"value": "work@example.com", "type": "work", "primary": False}]),
        {"emails": [EMAILS[1]]},
        ["remove_with_value"],
    ),
    "an email of another type is not removed": (
        op("Remove", "emails", [{"value": "work@example.com", "type": "home"}]),
        {},
        ["remove_with_value"],
    ),
}

MEMBERS = KNOWN_GROUP["members"]
WITHOUT_B = {"members": [MEMBERS[0], MEMBERS[2]]}
GROUP_PATCHES = {
    "okta 11: rename, with the id inside": (
        op("replace", {"id": "abf4dd94", "displayName": "Test SCIMv2"}),
        {"displayName": "Test SCIMv2"},
        ["read_only_member"],
    ),
    "okta 12: a membership delta": (
        [
            {"op": "remove", "path": 'members[value eq "b"]'},
            *op("add", "members", [{"value": "d", "display": "d@x"}]),
        ],
        {"members": [MEMBERS[0], MEMBERS[2], {"value": "d", "display": "d@x"}]},
        [],
    ),
    "okta 12: a full push": (
        op("replace", "members", [{"value": "x"}, {"value": "y"}]),
        {"members": [{"value": "x"}, {"value": "y"}]},
        [],
    ),
    "okta 13: push an empty group": (op("replace", "members", []), {"members": None}, []),
    "entra 6: remove a member": (op("Remove", "members", [{"value": "b"}]), WITHOUT_B, ["remove_with_value"]),
    "entra 6: remove two members": (
        op("Remove", "members", [{"value": "a"}, {"value": "c"}]),
        {"members": [MEMBERS[1]]},
        ["remove_with_value"],
    ),
    "entra 6: remove a member, with the flag": (
        [{"op": "remove", "path": 'members[value eq "b"]'}],
        WITHOUT_B,
        [],
    ),
    "entra 7: remove with a null reference": (
        op("Remove", "members", [{"$ref": None, "value": "b"}]),
        WITHOUT_B,
        ["remove_with_value"],
    ),
    "entra 7: add": (
        op("Add", "members", [{"$ref": None, "value": "d"}]),
        {"members": [*MEMBERS, {"value": "d"}]},
        [],
    ),
    "entra 7: add who is there": (op("Add", "members", [{"$ref": None, "value": "b"}]), {}, []),
    "entra 7: remove who is not there": (
        op("Remove", "members", [{"value": "z"}]),
        {},
        ["remove_with_value"],
    ),
    "entra 6: remove all": ([{"op": "Remove", "path": "members"}], {"members": None}, []),
    "a member whose label changed is removed": (
        op("Remove", "members", [{"value": "a", "display": "Anna", "type": "User"}]),
        {"members": MEMBERS[1:]},
        ["remove_with_value"],
    ),
    "removing nobody removes nobody": (op("Remove", "members", []), {}, ["remove_with_value"]),
    "members as text": (
        op("Remove", "members", ["a", "b"]),
        {"members": [MEMBERS[2]]},
        ["remove_with_value", "value_as_text"],
    ),
    "jumpcloud: one member, not in a list": (
        op("remove", "members", {"value": "b"}),
        WITHOUT_B,
        ["remove_with_value"],
    ),
}


@pytest.mark.parametrize("dialect", TOLERANT)
@pytest.mark.parametrize(("operations", "changes", "tolerated"), USER_PATCHES.values(), ids=USER_PATCHES)
def test_a_patch_of_a_user(dialect, operations, changes, tolerated):
    changed, deviations = patched(dialect, "User", operations)
    assert changed == changes
    assert sorted(deviations) == tolerated


@pytest.mark.parametrize("dialect", TOLERANT)
@pytest.mark.parametrize(("operations", "changes", "tolerated"), GROUP_PATCHES.values(), ids=GROUP_PATCHES)
def test_a_patch_of_a_group(dialect, operations, changes, tolerated):
    changed, deviations = patched(dialect, "Group", operations)
    assert changed == changes
    assert sorted(deviations) == tolerated


@pytest.mark.parametrize("kind", ["replace", "add"])
@pytest.mark.parametrize("dialect", ["okta", "field"])
def test_oktas_own_traffic_is_read_in_oktas_dialect(dialect, kind):
    body, expected = OKTA_CREATE, WITHOUT_SECRETS
    assert created(dialect, "User", body)[0] == expected
    assert patched(dialect, "User", op(kind, {"active": False}))[0] == {"active": False}
    for name in (
        "okta 11: rename, with the id inside",
        "okta 12: a membership delta",
        "okta 13: push an empty group",
    ):
        operations, changes, _ = GROUP_PATCHES[name]
        assert patched(dialect, "Group", operations)[0] == changes
