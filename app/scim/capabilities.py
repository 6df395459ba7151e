"""What ``ServiceProviderConfig`` says beyond what ``scim2-models`` knows: the events of RFC 9967."""

from __future__ import annotations

from typing import Annotated, Final

import scim2_models
from scim2_models import ComplexAttribute, Mutability, Required

ASYNCHRONOUS_RESPONSE: Final = "urn:ietf:params:scim:event:misc:asyncresp"
"""The event that says what became of a request which was answered 202 (RFC 9967)."""


class SecurityEvents(ComplexAttribute):
    """Which security events there are, and when a request is answered before it is done (RFC 9967)."""

    async_request: Annotated[str | None, Mutability.read_only, Required.true] = None
    """``none``, ``long`` (when the server finds that it takes long) or ``request`` (when the client asks)."""

    event_uris: Annotated[list[str] | None, Mutability.read_only] = None
    """The events that the server makes."""


class ServiceProviderConfig(scim2_models.ServiceProviderConfig):
    """The configuration of RFC 7643 §5 with ``securityEvents``. Its name is its ``meta.resourceType``."""

    security_events: Annotated[SecurityEvents | None, Mutability.read_only] = None
