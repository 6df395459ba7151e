"""What the provisioning face serves: the resource types, their models and its capabilities.

The schema files are the only description of the resources; the models are built from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from scim2_models import (
    AuthenticationScheme,
    Bulk,
    ChangePassword,
    ETag,
    Filter,
    Pagination,
    Patch,
    Reference,
    Resource,
    ScimPolicy,
    ScimProvider,
    ScimProviderError,
    Sort,
)
from scim2_models.base import BaseModel

from app.directory.views import BoundView
from app.scim.capabilities import (
    ASYNCHRONOUS_RESPONSE,
    Catalogue,
    RolesAndEntitlements,
    SecurityEvents,
    ServiceProviderConfig,
)
from app.scim.resource_types import LIST, SchemasInvalid, ServedType, catalogues, load_resource_types
from app.scim.shapes import Shape, shape_of

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


class DirectoryProvider(ScimProvider):
    """A provider that also knows the shapes of its types, and which of them are views of others.

    :param stored: the provider of the types that views show; without one, this provider itself.
    :param views: those of its types that are views, by their names.
    :param shown: every view there is, of this provider or another: what is written is prepared for each.
    """

    def __init__(
        self,
        described: ScimProvider,
        types: Sequence[ServedType],
        policy: ScimPolicy | None,
        stored: DirectoryProvider | None,
        *,
        views: Mapping[str, BoundView] = MappingProxyType({}),
        shown: Sequence[BoundView] = (),
    ) -> None:
        super().__init__(described.models, described.resource_types, described.config, policy)
        self.stored: Final[DirectoryProvider] = stored or self
        self.views: Final = views
        self.shown: Final = shown
        self.shapes: Final[Mapping[str, Shape]] = {each.name: shape_of(each.schemas) for each in types}
        self.endpoints: Final[Mapping[str, str]] = {
            each.endpoint.strip("/").lower(): each.name for each in types
        }

    def views_of(self, type_name: str) -> list[BoundView]:
        """Return every view of a type that is stored, whichever provider serves it."""
        return [each for each in self.shown if each.view.of == type_name]

    def may_show(self, endpoint: str) -> bool:
        """Return whether this provider or another serves a view at an endpoint."""
        return any(each.endpoint.strip("/").lower() == endpoint.strip("/").lower() for each in self.shown)


def load_provider(
    policy: ScimPolicy | None = None, folder: Path | None = None, catalogue: str | None = None
) -> DirectoryProvider:
    """Return the provider of all resource types, reading requests under a policy.

    Building models is slow, and a policy changes none of them: every provider shares those built first.

    :param policy: what is tolerated and how strings compare; without one, the library's strict reading.
    :param folder: an operator's own resource types and schemas, besides those of the package.
    :param catalogue: whose way of listing roles and entitlements is served; without one, our own.
    :raises SchemasInvalid: when the files do not describe types that can be served.
    """
    described, types = _described(folder, catalogue)
    every = {each.key: each for one in (None, *_catalogues(folder)) for each in _views(folder, one).values()}
    return DirectoryProvider(
        described,
        types,
        policy,
        None if catalogue is None else load_provider(policy, folder),
        views=_views(folder, catalogue),
        shown=tuple(every.values()),
    )


@cache
def _catalogues(folder: Path | None) -> tuple[str, ...]:
    return catalogues(folder)


@cache
def _views(folder: Path | None, catalogue: str | None) -> Mapping[str, BoundView]:
    """Bind the views of a catalogue, by their names, to the types that they show."""
    described, types = _described(folder, catalogue)
    stored, kept = _described(folder, None)
    own = {each.name for each in kept if each.view is None}
    bound = {}
    for each in types:
        if each.view is None:
            continue
        if each.view.of not in own:
            raise SchemasInvalid(f"{LIST}: {each.name} is a view of {each.view.of}, which is no stored type")
        bound[each.name] = BoundView(
            each.name,
            each.endpoint,
            each.view,
            cast(type[Resource[Any]], described.model_for(each.name)),
            cast(type[Resource[Any]], stored.model_for(each.view.of)),
        )
        if fault := bound[each.name].fault():
            raise SchemasInvalid(f"{LIST}: the view {each.name} cannot be: {fault}")
    return bound


@cache
def _described(folder: Path | None, catalogue: str | None) -> tuple[ScimProvider, tuple[ServedType, ...]]:
    """Build the models, once per process."""
    _look_for_no_docstrings()
    types = load_resource_types(folder, catalogue)
    schemas = {str(schema.id): schema for each in types for schema in each.schemas}
    try:
        provider = ScimProvider.from_discovery(
            schemas.values(), [each.described() for each in types], config=_capabilities()
        )
    except (ScimProviderError, ValueError, TypeError) as error:
        raise SchemasInvalid(f"the resource types do not fit together: {error}") from error
    return provider, types


@cache
def _look_for_no_docstrings() -> None:
    """Let pydantic not look through all modules for the source of models that are built and have none.

    It wants descriptions from there, and has those of the library's own classes already. This is a tenth of
    the time that a server takes to start.
    """
    classes: list[type[BaseModel]] = [BaseModel]
    for each in classes:
        each.model_config["use_attribute_docstrings"] = False
        classes += each.__subclasses__()


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
            ),
            AuthenticationScheme(
                type=AuthenticationScheme.Type.oauth2,
                name="OAuth 2.0 client credentials",
                description="A short-lived token for a signed assertion (private_key_jwt), at /oauth2/token",
                spec_uri=Reference("https://www.rfc-editor.org/info/rfc7523"),
                primary=False,
            ),
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
        roles_and_entitlements=RolesAndEntitlements(
            roles=Catalogue(
                supported=True, multiple_roles_supported=True, primary_supported=True, type_supported=True
            ),
            entitlements=Catalogue(
                supported=True,
                multiple_entitlements_supported=True,
                primary_supported=True,
                type_supported=True,
            ),
        ),
    )
