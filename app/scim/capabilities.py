"""What ``ServiceProviderConfig`` says beyond what ``scim2-models`` knows.

The events of RFC 9967, and the catalogues of draft-ietf-scim-roles-entitlements.
"""

from __future__ import annotations

from typing import Annotated, Final

import scim2_models
from pydantic import Field
from scim2_models import ComplexAttribute, Mutability, Required

ASYNCHRONOUS_RESPONSE: Final = "urn:ietf:params:scim:event:misc:asyncresp"
"""The event that says what became of a request which was answered 202 (RFC 9967)."""


class SecurityEvents(ComplexAttribute):
    """Which security events there are, and when a request is answered before it is done (RFC 9967)."""

    async_request: Annotated[str | None, Mutability.read_only, Required.true] = None
    """``none``, ``long`` (when the server finds that it takes long) or ``request`` (when the client asks)."""

    event_uris: Annotated[list[str] | None, Mutability.read_only] = None
    """The events that the server makes."""


class Catalogue(ComplexAttribute):
    """How roles or entitlements can be discovered and assigned."""

    supported: Annotated[bool | None, Mutability.read_only] = None

    multiple_roles_supported: Annotated[bool | None, Mutability.read_only] = None

    multiple_entitlements_supported: Annotated[bool | None, Mutability.read_only] = None

    primary_supported: Annotated[bool | None, Mutability.read_only] = None

    type_supported: Annotated[bool | None, Mutability.read_only] = None


class RolesAndEntitlements(ComplexAttribute):
    """Which catalogues there are."""

    roles: Annotated[Catalogue | None, Mutability.read_only] = None

    entitlements: Annotated[Catalogue | None, Mutability.read_only] = None


class ServiceProviderConfig(scim2_models.ServiceProviderConfig):
    """The configuration of RFC 7643 §5 with what came later. Its name is its ``meta.resourceType``."""

    security_events: Annotated[SecurityEvents | None, Mutability.read_only] = None

    roles_and_entitlements: Annotated[
        RolesAndEntitlements | None, Mutability.read_only, Field(alias="RolesAndEntitlements")
    ] = None

    def without_drafts(self) -> ServiceProviderConfig:
        """Return the configuration without what no RFC knows."""
        return self.model_copy(update={"roles_and_entitlements": None})
