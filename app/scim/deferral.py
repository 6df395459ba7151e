"""``Prefer: respond-async`` (RFC 9967): a request is stored, answered 202, and carried out soon after."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import sqlalchemy as sa
from scim2_models import (
    Error,
    ForbiddenException,
    InvalidValueException,
    NotFoundException,
    Resource,
    SCIMException,
)
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation

from app.access.connections import get_connection
from app.access.credentials import Credential
from app.scim.asynchronous_requests import AsynchronousRequest, find_result
from app.scim.backlog import UNANSWERED, Backlog, CarriedOut
from app.scim.handler import carry_out
from app.scim.outcomes import outcome_of
from app.scim.preferences import RESPOND_ASYNC, AsynchronousPreference
from app.scim.service import DialectService
from app.scim.views import ViewStorage
from app.store.unit_of_work import Store, Unit

log = logging.getLogger(__name__)

EVENTS: Final = "/Events"
"""Below this are the results; no resource type may be served there."""

RETRY_AFTER: Final = "1"
"""After how many seconds a client may ask again for a result."""


class Deferral:
    """Stores requests that need not be answered at once, carries them out, and tells what became of them.

    A 202 promises that the request will be carried out, once, after those that the connection sent before it;
    only a result that is there says that it took effect (P1).

    :param service_for: returns the service for a dialect (None: the default one), a tenant and a caller.
    :param kept_for: for how many seconds a result can be read.
    """

    def __init__(
        self, store: Store, service_for: Callable[[str | None, str, str], DialectService], *, kept_for: int
    ) -> None:
        self._store = store
        self._service_for = service_for
        self.backlog = Backlog(store, self._carry_out, kept_for=kept_for * 1_000_000)

    def respond(
        self,
        credential: Credential,
        service: DialectService,
        operation: Operation,
        request: ScimRequest,
        preference: AsynchronousPreference,
    ) -> ScimResponse:
        """Answer a request with 202, or as usual where it is carried out within the time the client waits.

        What is wrong with its path, its content type or its size is answered at once.

        :raises SCIMException: when one of these is wrong.
        :raises TooManyPending: when the connection has too many requests waiting already.
        """
        assert credential.connection_id is not None
        _check(service, operation, request)
        txn, answer = self.backlog.put(
            credential.tenant_id, credential.connection_id, request, wait=preference.wait
        )
        if answer is None:
            location = f"{request.base_url.rstrip('/')}{EVENTS}/{txn}"
            headers = {"Preference-Applied": RESPOND_ASYNC, "Location": location}
            answer = ScimResponse(HTTPStatus.ACCEPTED, None, headers)
        answer.headers["Set-Txn"] = txn
        return answer

    def result(self, credential: Credential, txn: str) -> ScimResponse:
        """Answer what became of a request: 200 with the claims of its token, or 202 while it is not done.

        :raises NotFoundException: when the connection of the credential has no such request, or had it too
            long ago.
        """
        with self._store.reading(credential.tenant_id) as unit:
            found = find_result(unit, credential.connection_id, txn, kept_for=self.backlog.kept_for)
        if found is None:
            raise NotFoundException(detail="There is no result of this transaction")
        headers = {"Set-Txn": txn, "Cache-Control": "no-store"}
        if found.document is None:
            return ScimResponse(HTTPStatus.ACCEPTED, None, {**headers, "Retry-After": RETRY_AFTER})
        return ScimResponse(HTTPStatus.OK, found.document, headers)

    def _carry_out(self, unit: Unit, asked: AsynchronousRequest, is_given_up: bool) -> CarriedOut:
        connection = get_connection(unit, asked.connection_id)
        caller = f"connection:{connection.id}"
        service = self._service_for(connection.dialect, unit.tenant_id, caller)
        storage = _WatchedStorage(unit, service.directory_provider, service.dialect)
        try:
            if connection.disabled_at is not None:
                raise ForbiddenException(
                    detail="The connection was disabled before the request was carried out"
                )
            if is_given_up:
                error = Error(status=503, detail="The store did not let the request pass")
                answer = ScimResponse(HTTPStatus.SERVICE_UNAVAILABLE, error.model_dump())
            else:
                # What fails is undone by itself, and the unit still says that it was tried.
                with unit.savepoint():
                    answer = carry_out(
                        storage,
                        service,
                        service.match(asked.request).operation,
                        asked.request,
                        asked.connection_id,
                    )
        except UNANSWERED:
            raise
        except sa.exc.DataError:
            refused = InvalidValueException(detail="A value holds characters that cannot be stored")
            answer = service.error_response(refused)
        except Exception as error:
            if not isinstance(error, SCIMException):
                log.exception("the asynchronous request %s failed", asked.txn)
            answer = service.error_response(error)
        document = outcome_of(
            asked,
            answer,
            moment=unit.now,
            operations=service.bulk_paths,
            external_ids=storage.external_ids,
        )
        return CarriedOut(answer, document)


class _WatchedStorage(ViewStorage):
    """Remembers the ``externalId`` of every resource that a request deals with."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.external_ids: dict[str, str] = {}

    def get(self, *arguments: Any, **options: Any) -> Resource[Any]:
        return self._seen(super().get(*arguments, **options))

    def create(self, *arguments: Any) -> Resource[Any]:
        return self._seen(super().create(*arguments))

    def update(self, *arguments: Any, **options: Any) -> Resource[Any]:
        return self._seen(super().update(*arguments, **options))

    def _seen(self, resource: Resource[Any]) -> Resource[Any]:
        if resource.id and resource.external_id:
            self.external_ids[resource.id] = resource.external_id
        return resource


def _check(service: DialectService, operation: Operation, request: ScimRequest) -> None:
    """Refuse what no later moment could make right."""
    with service.provider:
        target = service.route(request, operation)
        if target.endpoint is not None:
            service.resource_type_at(target.endpoint)
    if operation is Operation.bulk:
        service.ensure_bulk_payload_size(len(request.body))
    if operation is not Operation.delete:
        service.ensure_json(request.header("Content-Type"))
