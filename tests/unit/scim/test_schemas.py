"""The schema files: in the form of RFC 7643 §7, complete, and true to what the standard fixes."""

import json
from importlib import resources

import pytest
from scim2_models import Schema

FILES = {
    "user.json": "urn:ietf:params:scim:schemas:core:2.0:User",
    "group.json": "urn:ietf:params:scim:schemas:core:2.0:Group",
    "enterprise-user.json": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "consumer.json": "urn:keysteward:scim:schemas:extension:1.0:Consumer",
    "entitlement.json": "urn:keysteward:scim:schemas:core:1.0:Entitlement",
    "role.json": "urn:ietf:params:scim:schemas:core:2.0:Role",
    "agent.json": "urn:ietf:params:scim:schemas:core:2.0:Agent",
    "okta-entitlement.json": "urn:okta:scim:schemas:core:1.0:Entitlement",
    "okta-role.json": "urn:okta:scim:schemas:core:1.0:Role",
    "ietf-entitlement.json": "urn:ietf:params:scim:schemas:core:2.0:Entitlement",
}
CHARACTERISTICS = {
    *("name", "type", "multiValued", "description", "required"),
    *("caseExact", "mutability", "returned", "uniqueness"),
}


def document(file):
    return json.loads(resources.files("schemas").joinpath(file).read_text(encoding="utf-8"))


def walk(attributes, prefix=""):
    for attribute in attributes:
        yield prefix + attribute["name"], attribute
        yield from walk(attribute.get("subAttributes", ()), f"{prefix}{attribute['name']}.")


def attributes_of(file):
    return dict(walk(document(file)["attributes"]))


def test_every_file_is_known_and_every_known_file_is_there():
    found = {each.name for each in resources.files("schemas").iterdir() if each.name.endswith(".json")}
    # Keys are resources of the operator's face.
    assert found - {"resource-types.json", "key.json"} == set(FILES)


@pytest.mark.parametrize(("file", "urn"), FILES.items())
def test_a_file_is_a_schema_resource(file, urn):
    schema = document(file)
    assert set(schema) == {"schemas", "id", "name", "description", "attributes"}
    assert schema["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:Schema"]
    assert schema["id"] == urn
    assert Schema.model_validate(schema).model_dump() == schema


@pytest.mark.parametrize("file", FILES)
def test_every_characteristic_is_said(file):
    for name, attribute in attributes_of(file).items():
        assert set(attribute) >= CHARACTERISTICS, name
        assert attribute["description"].endswith("."), name
        assert ("subAttributes" in attribute) is (attribute["type"] == "complex"), name
        assert ("referenceTypes" in attribute) is (attribute["type"] == "reference"), name
        # RFC 7643 §2.3.6, §2.3.7: binary and reference values are compared exactly.
        if attribute["type"] in ("reference", "binary"):
            assert attribute["caseExact"] is True, name


def test_no_password_is_ever_listed():
    for file in FILES:
        assert not [name for name in attributes_of(file) if "password" in name.lower()]


def test_the_characteristics_that_the_rights_hang_on():
    user, group, entitlement = (attributes_of(f"{name}.json") for name in ("user", "group", "entitlement"))
    assert (user["userName"]["required"], user["userName"]["caseExact"], user["userName"]["uniqueness"]) == (
        True,
        False,
        "server",
    )
    for exact in ("roles.value", "entitlements.value", "groups.value"):
        assert user[exact]["caseExact"] is True
    assert group["members.value"]["caseExact"] is True
    assert (
        entitlement["value"]["required"],
        entitlement["value"]["caseExact"],
        entitlement["value"]["uniqueness"],
    ) == (True, True, "server")
    for exact in ("audience", "scopes", "conditions.paths", "roles.value", "groups.value"):
        assert entitlement[exact]["caseExact"] is True
    assert entitlement["keyPolicy.issuance"]["canonicalValues"] == ["automatic", "manual"]
    consumer = attributes_of("consumer.json")
    assert {name for name in consumer if "." not in name} == {"accessStartsAt", "accessEndsAt", "sponsor"}
    assert consumer["sponsor.value"]["caseExact"] is True


def test_memberships_are_written_on_groups_only():
    user = attributes_of("user.json")
    read_only = {name for name, attribute in user.items() if attribute["mutability"] == "readOnly"}
    assert read_only == {"groups", "groups.value", "groups.$ref", "groups.display", "groups.type"}
    members = {name: each["mutability"] for name, each in attributes_of("group.json").items() if "." in name}
    assert members == {
        "members.value": "immutable",
        "members.$ref": "immutable",
        "members.type": "immutable",
        "members.display": "readWrite",
    }


@pytest.mark.parametrize(
    "name", ["emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"]
)
def test_multi_valued_attributes_have_the_sub_attributes_of_the_standard(name):
    user = attributes_of("user.json")
    assert {f"{name}.{sub}" for sub in ("value", "display", "type", "primary")} <= user.keys()
    assert user[name]["multiValued"] is True
    assert user[f"{name}.primary"]["type"] == "boolean"
