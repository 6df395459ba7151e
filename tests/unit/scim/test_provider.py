"""The provider: models built from the schema files, and equal to them."""

import json
from importlib import resources

import pytest
from scim2_models import ScimPolicy

from app.scim.provider import load_provider
from app.scim.resource_types import LIST, SchemasInvalid, load_schema


def document(file):
    return json.loads(resources.files("schemas").joinpath(file).read_text(encoding="utf-8"))


EVERY = document(LIST)
LISTED = [each for each in EVERY if "catalogue" not in each]
EXTENSIONS = {more["file"] for each in LISTED for more in each.get("extensions", [])}
FILES = sorted({each["schema"] for each in LISTED} | EXTENSIONS)


@pytest.mark.parametrize("file", FILES)
def test_what_is_served_is_what_the_file_says(file):
    expected = document(file)
    served = {schema.id: schema for schema in load_provider().schemas}[expected["id"]].model_dump()
    for wanted, got in zip(expected["attributes"], served["attributes"], strict=True):
        assert got == wanted
    assert served == expected


def test_every_schema_is_served_once():
    assert sorted(schema.id for schema in load_provider().schemas) == sorted(
        document(file)["id"] for file in FILES
    )


def test_every_schema_file_is_of_a_type():
    found = {each.name for each in resources.files("schemas").iterdir() if each.name.endswith(".json")}
    # Keys are resources of the operator's face.
    assert found == {LIST, "key.json", *FILES, *(each["schema"] for each in EVERY)}


def test_what_is_served_as_resource_types_is_the_list():
    served = {each.name: each.model_dump() for each in load_provider().resource_types}
    assert list(served) == [each["name"] for each in LISTED]
    for each in LISTED:
        expected = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": each["name"],
            "name": each["name"],
            "description": each["description"],
            "endpoint": each["endpoint"],
            "schema": document(each["schema"])["id"],
        }
        if "extensions" in each:
            expected["schemaExtensions"] = [
                {"schema": document(more["file"])["id"], "required": more.get("required", False)}
                for more in each["extensions"]
            ]
        assert served[each["name"]] == expected


def test_the_capabilities_are_those_served_today():
    config = load_provider().config
    assert config is not None
    served = config.model_dump()
    schemes = served.pop("authenticationSchemes")
    assert served == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": {"supported": True},
        "bulk": {"supported": True, "maxOperations": 1000, "maxPayloadSize": 4 * 1024 * 1024},
        "filter": {"supported": True, "maxResults": 1000},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 1000,
            "cursorTimeout": 3600,
        },
        "securityEvents": {
            "asyncRequest": "request",
            "eventUris": ["urn:ietf:params:scim:event:misc:asyncresp"],
        },
        "RolesAndEntitlements": {
            "roles": {
                "supported": True,
                "multipleRolesSupported": True,
                "primarySupported": True,
                "typeSupported": True,
            },
            "entitlements": {
                "supported": True,
                "multipleEntitlementsSupported": True,
                "primarySupported": True,
                "typeSupported": True,
            },
        },
    }
    assert [(scheme["type"], scheme["primary"]) for scheme in schemes] == [
        ("oauthbearertoken", True),
        ("oauth2", False),
    ]


def test_providers_share_their_models_and_keep_their_policies():
    tolerant = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
    one, other = load_provider(), load_provider(tolerant)
    for each in LISTED:
        assert one.model_for(each["name"]) is other.model_for(each["name"])
    assert one.policy.unknown is ScimPolicy.Unknown.forbid
    assert other.policy is tolerant


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(SchemasInvalid, match=r"device\.json"):
        load_schema("device.json")
