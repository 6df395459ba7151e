"""What no dialect understands is refused, and what is not named is not touched (P7)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scim2_models import SCIMException

from app.scim.dialects import DIALECTS
from tests.unit.scim.scim_bodies import (
    ENTERPRISE,
    KNOWN_GROUP,
    MANAGER,
    TOLERANT,
    op,
    patched,
    refused,
)

MEMBERS = KNOWN_GROUP["members"]

# P7: what is not understood changes nothing, in any dialect.
NOT_UNDERSTOOD = {
    "a removal of an empty string": ("Group", op("Remove", "members", ""), "invalidValue"),
    "a removal of an empty object": ("Group", op("Remove", "members", [{}]), "invalidValue"),
    "a removal without a path": ("Group", op("Remove", {"members": [{"value": "b"}]}), "noTarget"),
    "a removal by an unknown filter": (
        "Group",
        [{"op": "Remove", "path": 'members[vaalue eq "b"]'}],
        "invalidFilter",
    ),
    "a removal of another attribute's values": ("Group", op("Remove", "members.value", "b"), "invalidValue"),
    "members emptied by an empty string": ("Group", op("Replace", "members", ""), "invalidValue"),
    "a group without a name": ("Group", op("Replace", "displayName", ""), "mutability"),
    "a user without a name": ("User", op("Replace", "userName", ""), "mutability"),
    "the id": ("User", op("Replace", "id", "x"), "mutability"),
    "the groups": ("User", op("Replace", "groups", []), "mutability"),
    "a boolean that is none": ("User", op("Replace", "active", "perhaps"), "invalidValue"),
    "a boolean emptied": ("User", op("Replace", "active", ""), "invalidValue"),
    "a boolean in an object": ("User", op("Replace", "active", {"value": False}), "invalidValue"),
    "two values for one": ("User", op("Replace", "active", [False, True]), "invalidValue"),
    "an unknown operation": ("User", op("Toggle", "active", False), "invalidValue"),
    "no operation": ("User", [], "invalidValue"),
}


@pytest.mark.parametrize("dialect", TOLERANT)
@pytest.mark.parametrize(("kind", "operations", "scim_type"), NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_what_is_not_understood_is_refused(dialect, kind, operations, scim_type):
    assert refused(dialect, kind, operations) == scim_type


@pytest.mark.parametrize("dialect", ["okta", "rfc-strict"])
@pytest.mark.parametrize("name", [name for name in NOT_UNDERSTOOD if name != "a group without a name"])
def test_a_narrower_dialect_refuses_it_too(dialect, name):
    kind, operations, _ = NOT_UNDERSTOOD[name]
    assert refused(dialect, kind, operations)


names = st.sampled_from(
    ["members", "roles", "active", "password", "id", "name.givenName", MANAGER, ENTERPRISE, "x[", ""]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from(["", "b", "False", '{"value":"b"}', "2026"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "$ref", "x"]) | names, inner)
    ),
    max_leaves=8,
)
operation = st.fixed_dictionaries(
    {"op": st.sampled_from(["Add", "Replace", "Remove", "toggle"])},
    optional={"path": names | st.sampled_from(['members[value eq "b"]', "members.value"]), "value": anything},
)


@given(st.lists(operation, max_size=3), st.sampled_from(["User", "Group"]), st.sampled_from(list(DIALECTS)))
def test_any_patch_is_applied_or_refused(operations, kind, dialect):
    try:
        changed, deviations = patched(dialect, kind, operations)
    except (SCIMException, ValidationError):
        return
    assert set(deviations) <= set(DIALECTS[dialect].deviations)
    named = json.dumps(operations).lower()
    for name in changed:
        assert name.lower() in named, "what is not named is not touched"


@given(st.lists(st.sampled_from(["a", "b", "c", "z"]), max_size=4), st.booleans())
def test_a_removal_removes_those_it_lists_and_no_other(listed, as_text):
    value = listed if as_text else [{"value": each, "display": "whoever"} for each in listed]
    changed, _ = patched("entra", "Group", op("Remove", "members", value))
    left = [each["value"] for each in changed.get("members", MEMBERS) or []]
    assert left == [each["value"] for each in MEMBERS if each["value"] not in listed]
