"""The provisioning face: ``/scim/v2`` on Flask, one unit of work a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, request
from scim2_flask import ScimServer
from scim2_models import Error, InvalidValueException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Route
from werkzeug.exceptions import RequestEntityTooLarge

from app.access.credentials import Credential
from app.access.protector import Unauthenticated
from app.access.rate_limit import RateLimit, TooManyRequests
from app.scim.asynchronous_requests import TooManyPending
from app.scim.deferral import EVENTS, Deferral
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS
from app.scim.handler import WRITING, carry_out
from app.scim.preferences import asynchronous_preference
from app.scim.provider import load_provider
from app.scim.service import DialectService
from app.scim.views import ViewStorage
from app.store.unit_of_work import Store, StoreError

log = logging.getLogger(__name__)


class ScimFace(ScimServer):
    """Serves every tenant: the credential of a request says which tenant and which dialect it gets.

    A write is committed before its answer leaves (P1, P2); whatever goes wrong leaves nothing behind.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    :param public_url: the root of the URLs in answers; without it they follow the request's host.
    :param max_body: the largest request body, in bytes.
    :param cursor_secret: what cursors are sealed with, the same in every process.
    :param schemas_dir: a folder of resource types and schemas besides those of the package.
    :param rate_limit: how many requests each connection may send.
    :param results_kept_for: for how many seconds the result of an asynchronous request can be read.
    """

    def __init__(
        self,
        store: Store,
        acquire: Callable[[str], Credential],
        *,
        public_url: str | None,
        max_body: int,
        cursor_secret: bytes,
        results_kept_for: int,
        rate_limit: RateLimit,
        schemas_dir: Path | None = None,
    ) -> None:
        self.store = store
        self.acquire = acquire
        self.public_url = public_url
        self.rate_limit = rate_limit
        self.services: Mapping[str, DialectService] = {
            name: DialectService(
                load_provider(dialect.policy, schemas_dir, dialect.catalogue),
                dialect,
                max_body=max_body,
                secret=cursor_secret,
            )
            for name, dialect in DIALECTS.items()
        }
        self.service = self.services[DEFAULT_DIALECT]
        if self.service.get_resource_type_by_endpoint(EVENTS) is not None:
            raise ValueError(f"{EVENTS} is where results are: no resource type can be served there")
        self.deferral = Deferral(store, self._service_for, kept_for=results_kept_for)
        self.max_body = max_body
        self.url_prefix = "/scim/v2"
        self.name = "scim"

    def init_app(self, app: Flask) -> None:
        """Register the face. Unlike the extension's own, it makes a handler for every request."""
        # The id of an entitlement in a catalogue may be a URL: two slashes are not one.
        app.url_map.merge_slashes = False
        app.register_blueprint(self.create_blueprint())

    def create_blueprint(self) -> Any:
        blueprint = super().create_blueprint()
        blueprint.register_error_handler(Unauthenticated, self._handle_unauthenticated)
        blueprint.register_error_handler(sa.exc.DataError, self._handle_data_error)
        blueprint.register_error_handler(RequestEntityTooLarge, self._handle_too_large)
        blueprint.register_error_handler(TooManyPending, self._handle_too_many_pending)
        blueprint.register_error_handler(TooManyRequests, self._handle_too_many_requests)
        blueprint.register_error_handler(Exception, self._handle_failure)
        blueprint.add_url_rule(f"{EVENTS}/<txn>", "result", self._result_view, methods=["GET"])
        return blueprint

    def _make_view(self, route: Route) -> Any:
        def view(**_path: str) -> Response:
            return self._serve(route.operation)

        return view

    def _fallback_view(self, path: str) -> Response:
        return self._serve(None)

    def _serve(self, operation: Operation | None) -> Response:
        """Serve a request; without an operation, its path decides (a trailing slash, or nothing of SCIM)."""
        if operation is Operation.service_provider_config and "Authorization" not in request.headers:
            # RFC 7644 §4: the authentication schemes should be readable without authentication.
            open_to_all = self.read_request()
            answer = self.service.service_provider_config(open_to_all.url, open_to_all.query)
            return self._to_response(answer)
        credential = self._admitted()
        service = self._service_for(credential.dialect, credential.tenant_id, credential.actor)
        scim_request = self.read_request()
        if operation is None:
            operation = service.match(scim_request).operation
        if operation in WRITING and credential.connection_id is not None:
            preference = asynchronous_preference(scim_request.header("Prefer"))
            if preference is not None:
                answer = self.deferral.respond(credential, service, operation, scim_request, preference)
                return self._to_response(answer)
        opened = (
            self.store.writing(credential.tenant_id, actor=f"connection:{credential.connection_id}")
            if operation in WRITING
            else self.store.reading(credential.tenant_id)
        )
        with opened as unit:
            storage = ViewStorage(unit, service.directory_provider, service.dialect)
            answer = carry_out(storage, service, operation, scim_request, credential.connection_id)
        if operation in WRITING:
            # Not only of what is carried out later (RFC 9967): events and receipts name it.
            answer.headers["Set-Txn"] = unit.txn
        return self._to_response(answer)

    def _result_view(self, txn: str) -> Response:
        return self._to_response(self.deferral.result(self._admitted(), txn))

    def _admitted(self) -> Credential:
        """Return the credential of the request, which is not one too many of its connection."""
        credential = self.acquire("scim")
        self.rate_limit.take(credential.connection_id or credential.id)
        return credential

    def _service_for(self, dialect: str | None, tenant_id: str, caller: str) -> DialectService:
        return self.services[dialect or DEFAULT_DIALECT].for_request(tenant_id, caller)

    def read_request(self) -> ScimRequest:
        scim_request = super().read_request()
        if self.public_url is not None:
            scim_request.base_url = f"{self.public_url}{self.url_prefix}"
        return scim_request

    def _handle_unauthenticated(self, error: Unauthenticated) -> Response:
        headers = {"WWW-Authenticate": error.challenge} if error.challenge else {}
        return self._error(error.status, error.detail, headers)

    def _handle_data_error(self, error: sa.exc.DataError) -> Response:
        return self._handle_scim_exception(
            InvalidValueException(detail="A value holds characters that cannot be stored")
        )

    def _handle_too_large(self, error: RequestEntityTooLarge) -> Response:
        """Name the limit that was exceeded (RFC 7644 §3.7.4)."""
        return self._error(413, f"The body has more than {self.max_body} bytes", {})

    def _handle_too_many_pending(self, error: TooManyPending) -> Response:
        return self._error(429, f"{error}; try again later", {"Retry-After": "5"})

    def _handle_too_many_requests(self, error: TooManyRequests) -> Response:
        return self._error(429, str(error), {"Retry-After": str(error.retry_after)})

    def _handle_failure(self, error: Exception) -> Response:
        """Answer what no step foresaw: 503 for a store that does not answer, else 500; never a traceback."""
        log.exception("a SCIM request failed")
        if isinstance(error, StoreError | sa.exc.OperationalError | sa.exc.TimeoutError):
            return self._error(503, "The store does not answer; try again", {"Retry-After": "5"})
        return self._error(500, "Internal server error", {})

    def _error(self, status: int, detail: str, headers: dict[str, str]) -> Response:
        body = Error(status=status, detail=detail).model_dump()
        return self._to_response(ScimResponse(HTTPStatus(status), body, headers))
