"""The SCIM protocol as Keysteward speaks it: ``scim2-server``'s steps, with a connection's dialect."""

from __future__ import annotations

import json
from typing import Any

from scim2_models import Context, Error, PatchOp, Resource, ResourceType, ResponseParameters, ScimProvider
from scim2_server.bulk import BulkPlan
from scim2_server.conditions import Conditions
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation
from scim2_server.service import ScimService

from app.scim.dialects import Dialect, normalise
from app.scim.reading import read_json
from app.scim.storage import DirectoryStorage
from app.scim.wording import plain


class DialectService(ScimService):
    """The protocol steps for one dialect.

    :param max_body: the largest body of a request, in bytes; a larger one answers 413.
    """

    def __init__(self, provider: ScimProvider, dialect: Dialect, *, max_body: int) -> None:
        super().__init__(provider)
        self.dialect = dialect
        self.max_body = max_body

    def max_body_size(self, request: ScimRequest) -> int | None:
        limit = super().max_body_size(request)
        return self.max_body if limit is None else min(limit, self.max_body)

    def read_creation(
        self, resource_type: ResourceType, body: bytes, content_type: str | None
    ) -> Resource[Any]:
        prepared = self._prepared(body, content_type, "resource", resource_type)
        return super().read_creation(resource_type, prepared, content_type)

    def read_replacement(
        self, resource_type: ResourceType, body: bytes, content_type: str | None
    ) -> Resource[Any]:
        prepared = self._prepared(body, content_type, "resource", resource_type)
        return super().read_replacement(resource_type, prepared, content_type)

    def read_patch(self, resource_type: ResourceType, body: bytes, content_type: str | None) -> PatchOp[Any]:
        prepared = self._prepared(body, content_type, "patch", resource_type)
        return super().read_patch(resource_type, prepared, content_type)

    def read_bulk(self, body: bytes, content_type: str | None) -> BulkPlan:
        self.ensure_supported(self.config.bulk, "Bulk")
        self.ensure_bulk_payload_size(len(body))
        return super().read_bulk(self._prepared(body, content_type, "bulk", None), content_type)

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        self.ensure_json(content_type)
        return read_json(body)

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Apply a PUT; one that does not name ``active`` leaves it, so that it never revives a leaver."""
        if "active" not in replacement.model_fields_set and getattr(current, "active", None) is not None:
            replacement.active = current.active  # type: ignore[attr-defined]
        return super().apply_replacement(current, replacement, conditions)

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """Answer 200 with the resource, or 204 for a group of more members than the dialect shows."""
        asked = response_parameters.attributes or response_parameters.excluded_attributes
        if not asked and self._too_large_to_show(resource):
            return super().patch_response(base_url, resource, response_parameters)
        return self.resource_response(
            self.publish(base_url, resource), Context.RESOURCE_PATCH_RESPONSE, response_parameters
        )

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """Return the error of an exception, in words that an administrator can read."""
        error = ScimService.error_of(exception)
        if error.detail:
            error.detail = plain(error.detail)
        return error

    def _too_large_to_show(self, resource: Resource[Any]) -> bool:
        if resource.meta is None or resource.meta.resource_type != "Group":
            return False
        limit = self.dialect.patch_answer_member_limit
        return limit == 0 or len(getattr(resource, "members", None) or ()) > limit

    def _prepared(
        self, body: bytes, content_type: str | None, message: str, resource_type: ResourceType | None
    ) -> bytes:
        """Return a body read strictly, with the deviations that the dialect tolerates put right."""
        self.ensure_json(content_type)
        name = resource_type.name if resource_type is not None else None
        prepared, _tolerated = normalise(
            self.dialect, read_json(body), message=message, resource_type_name=name
        )
        return json.dumps(prepared, ensure_ascii=False).encode()


class DirectoryHandler(ScimHandler):
    """The order of the steps; a request that changes nothing re-asserts what follows from it (P6)."""

    storage: DirectoryStorage

    def replace_resource(
        self,
        resource_type: ResourceType,
        current: Resource[Any],
        replacement: Resource[Any],
        conditions: Conditions,
    ) -> Resource[Any]:
        assert current.meta is not None
        version = current.meta.version
        replaced = self.service.apply_replacement(current, replacement, conditions)
        return self._written(resource_type, current, replaced, version)

    def patch_resource(
        self,
        resource_type: ResourceType,
        resource_id: str,
        patch_op: PatchOp[Any],
        conditions: Conditions,
    ) -> Resource[Any]:
        current = self.storage.get(resource_type, resource_id)
        assert current.meta is not None
        version = current.meta.version
        patched = self.service.apply_patch(current, patch_op, conditions)
        return self._written(resource_type, current, patched, version)

    def _written(
        self,
        resource_type: ResourceType,
        current: Resource[Any],
        wanted: Resource[Any] | None,
        version: str | None,
    ) -> Resource[Any]:
        if wanted is None:
            self.storage.reassert(current)
            return current
        return self.storage.update(resource_type, wanted, expected_version=version)


WRITING = frozenset({Operation.create, Operation.replace, Operation.patch, Operation.delete, Operation.bulk})
"""The operations that write; the others get a unit of work that only reads."""
