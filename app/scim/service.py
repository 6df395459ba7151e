"""The SCIM protocol as Keysteward speaks it: ``scim2-server``'s steps, with a connection's dialect."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Final, Union
from urllib.parse import quote

from scim2_models import (
    BaseModel,
    BulkRequest,
    BulkResponse,
    Context,
    Error,
    InvalidValueException,
    ListResponse,
    PatchOp,
    PatchOperation,
    Resource,
    ResourceType,
    ResponseParameters,
    Returned,
    SCIMException,
    ScimPolicy,
    SearchRequest,
)
from scim2_server.bulk import BulkPlan
from scim2_server.conditions import Conditions
from scim2_server.cursor import Cursors
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Target, match
from scim2_server.service import ScimService
from scim2_server.storage import SearchPage
from scim2_server.utils import parametrize

from app.scim.bulk import DirectoryBulkPlan
from app.scim.capabilities import ServiceProviderConfig
from app.scim.deviations import Deviation
from app.scim.dialects import Dialect, normalise
from app.scim.faults import check_selections, located
from app.scim.limits import (
    Effort,
    bound_attributes,
    bound_bulk,
    bound_comparisons,
    bound_kept,
    bound_patch,
    bound_resource,
    bound_search,
)
from app.scim.members import member
from app.scim.provider import MAXIMUM_OPERATIONS, DirectoryProvider
from app.scim.reading import read_json
from app.scim.wording import plain

PATH_CHARACTERS: Final = "!$&'()*+,;=:@"
"""What stands for itself in a segment of a path, beside letters, digits and ``-._~`` (RFC 3986 §3.3)."""


class DialectService(ScimService):
    """The protocol steps for one dialect.

    :param max_body: the largest body of a request, in bytes; a larger one answers 413.
    :param secret: what the cursors of searches are sealed with, the same in every process of the
        installation; without one they hold as long as this object.
    """

    def __init__(
        self, provider: DirectoryProvider, dialect: Dialect, *, max_body: int, secret: bytes | None = None
    ) -> None:
        secret = secrets.token_bytes(32) if secret is None else secret
        super().__init__(provider, secret=secret)
        self.directory_provider = provider
        if not dialect.announces_drafts and isinstance(self.config, ServiceProviderConfig):
            self.config = self.config.without_drafts()
        self.dialect = dialect
        self.max_body = max_body
        self.secret = secret
        self.tolerated: set[str] = set()
        self.bulk_paths: dict[int, str] = {}
        self.refused: dict[int, InvalidValueException] = {}
        self.effort = Effort()
        # pydantic forgets a parametrised model that nobody holds, and to make one again takes ten
        # milliseconds.
        each, any_of = self.get_models(), Union[tuple(self.get_models())]  # noqa: UP007
        self.held: Final = (
            [parametrize(PatchOp, model) for model in each],
            [parametrize(message, any_of) for message in (BulkRequest, BulkResponse, ListResponse)],
        )

    def for_request(self, tenant_id: str, caller: str) -> DialectService:
        """Return this service for one request, whose tolerated deviations it notes by name.

        A cursor leads nowhere but for whom it was made for: one of another tenant, caller or dialect is as
        invalid as one that never was (RFC 9865 §5).

        :param caller: the connection of the request.
        """
        made = copy(self)
        made.tolerated = set()
        made.bulk_paths, made.refused = {}, {}
        made.effort = Effort()
        owner = "\0".join((tenant_id, caller, self.dialect.name))
        made._cursors = Cursors(hmac.digest(self.secret, owner.encode(), "sha256"))
        return made

    def match(self, request: ScimRequest) -> Target:  # type: ignore[override]
        """Return the operation a request asks for; the ids of views are values, and may hold slashes."""
        endpoint, _, resource_id = request.path.lstrip("/").partition("/")
        if resource_id.strip("/") in ("", ".search") or not self.directory_provider.may_show(endpoint):
            return ScimService.match(request)
        return replace(match(request.method.upper(), f"/{endpoint}/one"), resource_id=resource_id)

    def resource_location(self, base_url: str, resource_type: ResourceType, resource_id: str) -> str:
        """Return the URL of a resource, whose id may hold any characters."""
        return super().resource_location(base_url, resource_type, quote(resource_id, safe=PATH_CHARACTERS))

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
        try:
            return super().read_patch(resource_type, prepared, content_type)
        except SCIMException as exception:
            raise SCIMException.from_error(located(exception.to_error(), json.loads(prepared))) from exception

    def read_bulk(self, body: bytes, content_type: str | None) -> BulkPlan:
        self.ensure_supported(self.config.bulk, "Bulk")
        self.ensure_bulk_payload_size(len(body))
        prepared = self._prepared(body, content_type, "bulk", None)
        read = super().read_bulk(prepared, content_type)
        plan = DirectoryBulkPlan(read.operations, read.fail_on_errors)
        if any(isinstance(each.response, Error) for each in plan.operations):
            sent = member(json.loads(prepared), "Operations")
            for operation, given in zip(plan.operations, sent, strict=True):
                if isinstance(operation.response, Error):
                    operation.response = located(operation.response, member(given, "data"))
        for place, exception in self.refused.items():
            operation, error = plan.operations[place], self.error_of(exception)
            operation.status, operation.response = error.status, error
        return plan

    def decode_body(self, body: bytes, content_type: str | None) -> Any:
        self.ensure_json(content_type)
        return read_json(body)

    def read_search(self, resource_types: list[ResourceType], payload: Any) -> tuple[SearchRequest[Any], Any]:
        bound_search(payload)
        search_request, position = super().read_search(resource_types, payload)
        bound_comparisons(search_request.filter)
        return search_request, position

    def read_response_parameters(
        self, resource_type: ResourceType, query: Mapping[str, str]
    ) -> ResponseParameters[Any]:
        bound_attributes(query)
        return super().read_response_parameters(resource_type, query)

    def apply_replacement(
        self, current: Resource[Any], replacement: Resource[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Apply a PUT; one that does not name ``active`` leaves it, so that it never revives a leaver."""
        if "active" not in replacement.model_fields_set and getattr(current, "active", None) is not None:
            replacement.active = current.active  # type: ignore[attr-defined]
        _keep_unseen(current, replacement)
        return super().apply_replacement(current, replacement, conditions)

    def apply_patch(
        self, current: Resource[Any], patch_op: PatchOp[Any], conditions: Conditions
    ) -> Resource[Any] | None:
        """Apply a PATCH; a filter that selects nothing is noted where it describes what is then made."""
        self.effort.bound(current, patch_op)
        check_selections(patch_op)
        if self.dialect.policy.unmatched_path_filter is ScimPolicy.UnmatchedPathFilter.create:
            for operation in patch_op.operations or ():
                path = operation.path
                if path is None or not path.value_filter or operation.op is PatchOperation.Op.remove:
                    continue
                selection = type(path)(str(path).rpartition("]")[0] + "]")
                if not selection.get(current, strict=False):
                    self.tolerated.add(str(Deviation.UNMATCHED_FILTER))
        patched = super().apply_patch(current, patch_op, conditions)
        if patched is not None:
            bound_kept(patched)
        return patched

    def search_response(
        self,
        base_url: str,
        resource_types: list[ResourceType],
        page: SearchPage,
        search_request: SearchRequest[Any],
    ) -> ScimResponse:
        """Answer a search; attributes that are returned on request alone are there when they are named."""
        answer = super().search_response(base_url, resource_types, page, search_request)
        # The library writes the list a second time, and then knows no more what was asked for.
        if search_request.attributes and answer.body is not None:
            answer.body["Resources"] = [
                self.publish(base_url, each).model_dump(
                    scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search_request
                )
                for each in page.resources
            ]
        return answer

    def patch_response(
        self, base_url: str, resource: Resource[Any], response_parameters: ResponseParameters[Any]
    ) -> ScimResponse:
        """Answer a PATCH with 200 and the resource."""
        return self.resource_response(
            self.publish(base_url, resource), Context.RESOURCE_PATCH_RESPONSE, response_parameters
        )

    def bulk_response(self, plan: BulkPlan) -> ScimResponse:
        """Answer a bulk request; which operations were run is noted, by their place, with their paths."""
        self.bulk_paths = {place: plan.operations[place].path or "/" for place in plan.results}
        return super().bulk_response(plan)

    @staticmethod
    def error_of(exception: Exception) -> Error:
        """Return the error of an exception, in words that an administrator can read."""
        error = ScimService.error_of(exception)
        if error.detail:
            error.detail = plain(error.detail)
        return error

    def _prepared(
        self, body: bytes, content_type: str | None, message: str, resource_type: ResourceType | None
    ) -> bytes:
        """Return a body read strictly, with the deviations that the dialect tolerates put right."""
        self.ensure_json(content_type)
        name = resource_type.name if resource_type is not None else None
        value = read_json(body)
        match message:
            case "bulk":
                bound_bulk(value, most_operations=MAXIMUM_OPERATIONS)
            case "patch":
                bound_patch(value)
            case _:
                bound_resource(value)
        prepared, tolerated = normalise(
            self.dialect,
            self.directory_provider,
            value,
            message=message,
            resource_type_name=name,
            refused=self.refused,
        )
        self.tolerated.update(tolerated)
        return json.dumps(prepared, ensure_ascii=False).encode()


def _keep_unseen(current: BaseModel, replacement: BaseModel) -> None:
    """Keep what is never returned and was not sent: a client cannot send back what it cannot see."""
    model = type(replacement)
    for name in model.model_fields:
        kept, sent = getattr(current, name, None), getattr(replacement, name, None)
        if isinstance(kept, BaseModel) and isinstance(sent, BaseModel):
            _keep_unseen(kept, sent)
        elif (
            kept is not None
            and name not in replacement.model_fields_set
            and model.get_field_annotation(name, Returned) == Returned.never
        ):
            setattr(replacement, name, kept)
