"""What the provisioning face serves: the resource types, their models and its capabilities.

The schema files in ``schemas/`` are the only description of the resources; the models are built from them. A
new resource type is a file there and a line in :data:`RESOURCE_TYPES`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Pagination,
    Patch,
    Reference,
    ResourceType,
    Schema,
    ScimPolicy,
    ScimProvider,
    Sort,
)

from app.scim.capabilities import ASYNCHRONOUS_RESPONSE, SecurityEvents, ServiceProviderConfig

MAXIMUM_OPERATIONS: Final = 1000
"""How many operations a bulk request may have."""

MAXIMUM_PAYLOAD: Final = 4 * 1024 * 1024
"""How large a bulk request may be, in bytes."""

MAXIMUM_RESULTS: Final = 1000
"""How many resources one page of a search holds at most."""

USUAL_RESULTS: Final = 100
"""How many it holds when the request does not say."""

CURSOR_TIMEOUT: Final = 3600
"""How long a cursor leads to the next page, in seconds."""


@dataclass(frozen=True)
class ExtensionFile:
    """An extension of a resource type: its schema file, and whether every resource must have it."""

    file: str
    required: bool = False


@dataclass(frozen=True)
class ResourceTypeFiles:
    """A resource type and the schema files, in ``schemas/``, that describe it."""

    name: str
    endpoint: str
    description: str
    schema: str
    extensions: tuple[ExtensionFile, ...] = ()

    def files(self) -> tuple[str, ...]:
        """Return the schema files, the resource's own first."""
        return (self.schema, *(extension.file for extension in self.extensions))


RESOURCE_TYPES: Final = (
    ResourceTypeFiles(
        "User",
        "/Users",
        "People and services that may hold keys",
        "user.json",
        (ExtensionFile("enterprise-user.json"), ExtensionFile("consumer.json")),
    ),
    ResourceTypeFiles("Group", "/Groups", "Users and groups that belong together", "group.json"),
    ResourceTypeFiles("Entitlement", "/Entitlements", "Rights to call something", "entitlement.json"),
)
"""Every resource type that is served."""


def load_provider(policy: ScimPolicy | None = None) -> ScimProvider:
    """Return the provider of all resource types, reading requests under a policy.

    Building models is slow, and a policy changes none of them: every provider shares those built first.

    :param policy: what is tolerated and how strings compare; without one, the library's strict reading.
    """
    described = _described()
    return ScimProvider(described.models, described.resource_types, described.config, policy)


def load_schema(file: str) -> Schema:
    """Return the schema in a file of ``schemas/``.

    :raises FileNotFoundError: when there is no such file.
    """
    document = json.loads(resources.files("schemas").joinpath(file).read_text(encoding="utf-8"))
    return Schema.model_validate(document)


@cache
def _described() -> ScimProvider:
    """Build the models, once per process."""
    schemas = {file: load_schema(file) for files in RESOURCE_TYPES for file in files.files()}
    return ScimProvider.from_discovery(
        schemas.values(),
        [_resource_type(files, schemas) for files in RESOURCE_TYPES],
        config=_capabilities(),
    )


def _resource_type(files: ResourceTypeFiles, schemas: dict[str, Schema]) -> ResourceType:
    return ResourceType.model_validate(
        {
            "id": files.name,
            "name": files.name,
            "description": files.description,
            "endpoint": files.endpoint,
            "schema": schemas[files.schema].id,
            "schemaExtensions": [
                {"schema": schemas[extension.file].id, "required": extension.required}
                for extension in files.extensions
            ],
        }
    )


def _capabilities() -> ServiceProviderConfig:
    """Announce what is served today, and nothing else (RFC 7643 §5)."""
    return ServiceProviderConfig(
        patch=Patch(supported=True),
        bulk=Bulk(supported=True, max_operations=MAXIMUM_OPERATIONS, max_payload_size=MAXIMUM_PAYLOAD),
        filter=Filter(supported=True, max_results=MAXIMUM_RESULTS),
        change_password=ChangePassword(supported=False),
        sort=Sort(supported=True),
        etag=ETag(supported=True),
        authentication_schemes=[
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="A token of the connection, in the Authorization header",
                spec_uri=Reference("https://www.rfc-editor.org/info/rfc6750"),
                primary=True,
            )
        ],
        # RFC 9865 §4: who pages by index already keeps it as the default.
        pagination=Pagination(
            cursor=True,
            index=True,
            default_pagination_method=Pagination.DefaultPaginationMethod.index,
            default_page_size=USUAL_RESULTS,
            max_page_size=MAXIMUM_RESULTS,
            cursor_timeout=CURSOR_TIMEOUT,
        ),
        security_events=SecurityEvents(async_request="request", event_uris=[ASYNCHRONOUS_RESPONSE]),
    )
