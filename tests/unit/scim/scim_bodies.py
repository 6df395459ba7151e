"""What the tests of the dialects share: known resources, and a request's body taken all the way."""

import json

import pytest
from pydantic import ValidationError
from scim2_models import Context, PatchOp, SCIMException

from app.scim.dialects import DIALECTS, normalise
from app.scim.provider import load_provider
from app.scim.reading import read_json

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CONSUMER = "urn:keysteward:scim:schemas:extension:1.0:Consumer"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MANAGER = f"{ENTERPRISE}:manager"
MICROSOFT_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
TOLERANT = ("field", "entra")

KNOWN_USER = {
    "schemas": [USER, ENTERPRISE],
    "userName": "test.user@okta.local",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "name": {"givenName": "Test", "familyName": "User"},
    "displayName": "Test User",
    "nickName": "Tess",
    "active": True,
    "emails": [
        {"value": "work@example.com", "type": "work", "primary": True},
        {"value": "home@example.com", "type": "home"},
    ],
    "roles": [{"value": "Reader"}],
    "entitlements": [{"value": "orders.read", "display": "Orders"}],
    ENTERPRISE: {"department": "Sales", "manager": {"value": "m-1"}},
}
KNOWN_GROUP = {
    "schemas": [GROUP],
    "displayName": "Staff",
    "members": [{"value": "a", "display": "Ann"}, {"value": "b"}, {"value": "c"}],
}
KNOWN = {"User": KNOWN_USER, "Group": KNOWN_GROUP}


def read(dialect, kind, body, context, message):
    """Take a body through everything that a request's body goes through."""
    provider = load_provider(DIALECTS[dialect].policy)
    model = provider.model_for(kind)
    sent = read_json(json.dumps(body).encode())
    before = json.dumps(sent)
    prepared, tolerated = normalise(
        DIALECTS[dialect], provider, sent, message=message, resource_type_name=kind
    )
    assert json.dumps(sent) == before, "the body that was given is left alone"
    with provider:
        target = PatchOp[model] if message == "patch" else model
        return target.model_validate(prepared, scim_ctx=context), tolerated


def created(dialect, kind, body):
    resource, tolerated = read(dialect, kind, body, Context.RESOURCE_CREATION_REQUEST, "resource")
    return resource.model_dump(), tolerated


def patched(dialect, kind, operations, known=None):
    """Return what a PATCH changes on a known resource, and what was tolerated."""
    provider = load_provider(DIALECTS[dialect].policy)
    body = {"schemas": [PATCH], "Operations": operations}
    patch, tolerated = read(dialect, kind, body, Context.RESOURCE_PATCH_REQUEST, "patch")
    with provider:
        resource = provider.model_for(kind).model_validate(known or KNOWN[kind])
        before = resource.model_dump()
        patch.patch(resource)
    after = resource.model_dump()
    return {
        name: after.get(name)
        for name in {*before, *after} - {"schemas"}
        if before.get(name) != after.get(name)
    }, tolerated


def refused(dialect, kind, operations):
    """Return the scimType that a PATCH is refused with."""
    with pytest.raises((SCIMException, ValidationError)) as refusal:
        patched(dialect, kind, operations)
    if isinstance(refusal.value, SCIMException):
        return refusal.value.scim_type
    return refusal.value.errors()[0]["type"].removeprefix("scim_")


def op(kind, *rest):
    """Return one operation: with a value, or with a path and a value."""
    *path, value = rest
    return [{"op": kind, **({"path": path[0]} if path else {}), "value": value}]


OKTA_CREATE = {
    "schemas": [USER],
    "userName": "test.user@okta.local",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [{"primary": True, "value": "test.user@okta.local", "type": "work"}],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}
WITHOUT_SECRETS = {name: value for name, value in OKTA_CREATE.items() if name not in ("groups", "password")}
