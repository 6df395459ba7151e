"""The order of the steps of a SCIM request, on ``scim2-server``'s handler."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from scim2_models import (
    Context,
    PatchOp,
    PatchOperation,
    Resource,
    ResourceType,
)
from scim2_server.conditions import Conditions
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation
from scim2_server.service import ScimService

from app.access.deviations import count_deviations
from app.directory.membership import MemberMoves
from app.scim.bulk import BulkHandler
from app.scim.memberships import apart
from app.scim.service import DialectService
from app.scim.storage import WITHOUT_MEMBERS, DirectoryStorage


class DirectoryHandler(BulkHandler):
    """The order of the steps; a request that changes nothing re-asserts what follows from it (P6)."""

    service: DialectService
    storage: DirectoryStorage

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644 §3.3) and answer with what the request asks to see of it (§3.9)."""
        service = self.service
        with service.provider:
            target = service.route(request, Operation.create)
            resource_type = service.resource_type_at(cast(str, target.endpoint))
            service.authorize(request, target, resource_type)
            shown = service.read_response_parameters(resource_type, request.query)
            resource = service.read_creation(resource_type, request.body, request.header("Content-Type"))
            with self.storage.operation():
                created = service.publish(request.base_url, self.storage.create(resource_type, resource))
            answer = service.resource_response(
                created, Context.RESOURCE_CREATION_RESPONSE, shown, HTTPStatus.CREATED
            )
            answer.headers["Location"] = answer.headers["Content-Location"]
            return answer

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

    def patch(self, request: ScimRequest) -> ScimResponse:
        """Modify a resource (RFC 7644 §3.5.2).

        Answers 200 with the resource, or 204 for a group of more members than the dialect shows. The members
        of a group are read for the answer alone, if at all.
        """
        service = self.service
        with service.provider:
            target = service.route(request, Operation.patch)
            resource_type = service.resource_type_at(cast(str, target.endpoint))
            service.authorize(request, target, resource_type)
            shown = service.read_response_parameters(resource_type, request.query)
            patch_op = service.read_patch(resource_type, request.body, request.header("Content-Type"))
            resource_id, conditions = cast(str, target.resource_id), service.read_conditions(request)
            with self.storage.operation():
                resource = self.patch_resource(resource_type, resource_id, patch_op, conditions)
                if resource_type.name == "Group":
                    limit = service.dialect.patch_answer_member_limit
                    asked = shown.attributes or shown.excluded_attributes
                    if not asked and (
                        limit == 0 or self.storage.member_count(resource_id, limit=limit + 1) > limit
                    ):
                        return ScimService.patch_response(service, request.base_url, resource, shown)
                    resource = self.storage.get(resource_type, resource_id, response_parameters=shown)
            return service.patch_response(request.base_url, resource, shown)

    def patch_resource(
        self,
        resource_type: ResourceType,
        resource_id: str,
        patch_op: PatchOp[Any],
        conditions: Conditions,
    ) -> Resource[Any]:
        parts = apart(patch_op, self.service.dialect.policy) if resource_type.name == "Group" else None
        if parts is not None:
            return self._patch_group(resource_type, resource_id, patch_op, *parts, conditions)
        current = self.storage.get(resource_type, resource_id)
        assert current.meta is not None
        version = current.meta.version
        patched = self.service.apply_patch(current, patch_op, conditions)
        return self._written(resource_type, current, patched, version)

    def _patch_group(
        self,
        resource_type: ResourceType,
        group_id: str,
        patch_op: PatchOp[Any],
        others: list[PatchOperation[Any]],
        moves: MemberMoves,
        conditions: Conditions,
    ) -> Resource[Any]:
        """Apply a PATCH without reading the members of the group; return the group without them."""
        group = self.storage.get(resource_type, group_id, response_parameters=WITHOUT_MEMBERS)
        assert group.meta is not None
        version = group.meta.version
        if others:
            rest = patch_op.model_copy(update={"operations": others})
            group = self.service.apply_patch(group, rest, conditions) or group
        else:
            self.service.check_preconditions(group, "PATCH", conditions)
        return self.storage.update(resource_type, group, expected_version=version, moves=moves)

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


def carry_out(
    storage: DirectoryStorage,
    service: DialectService,
    operation: Operation,
    request: ScimRequest,
    connection_id: str | None,
) -> ScimResponse:
    """Carry a request out in the unit of work of a storage, and count what was tolerated of its connection.

    :param service: the service for this request, as :meth:`DialectService.for_request` returns it.
    :raises SCIMException: when the request is refused; the unit is to be undone then.
    """
    handler = DirectoryHandler(service, storage)
    answer: ScimResponse = getattr(handler, operation.value)(request)
    if operation in WRITING and connection_id is not None:
        count_deviations(storage.unit, connection_id, service.tolerated)
    return answer
