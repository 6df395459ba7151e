"""The provisioning face: ``/scim/v2`` on Flask, one unit of work a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, request
from scim2_flask import ScimServer
from scim2_models import Error, InvalidValueException
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Route

from app.access.credentials import Credential
from app.access.deviations import count_deviations
from app.access.protector import Unauthenticated
from app.scim.dialects import DEFAULT_DIALECT, DIALECTS
from app.scim.provider import load_provider
from app.scim.service import WRITING, DialectService, DirectoryHandler
from app.scim.storage import DirectoryStorage
from app.store.unit_of_work import Store, StoreError

log = logging.getLogger(__name__)


class ScimFace(ScimServer):
    """Serves every tenant: the credential of a request says which tenant and which dialect it gets.

    A write is committed before its answer leaves (P1, P2); whatever goes wrong leaves nothing behind.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    :param public_url: the root of the URLs in answers; without it they follow the request's host.
    :param max_body: the largest request body, in bytes.
    """

    def __init__(
        self,
        store: Store,
        acquire: Callable[[str], Credential],
        *,
        public_url: str | None,
        max_body: int,
    ) -> None:
        self.store = store
        self.acquire = acquire
        self.public_url = public_url
        self.services: Mapping[str, DialectService] = {
            name: DialectService(load_provider(dialect.policy), dialect, max_body=max_body)
            for name, dialect in DIALECTS.items()
        }
        self.service = self.services[DEFAULT_DIALECT]
        self.url_prefix = "/scim/v2"
        self.name = "scim"

    def init_app(self, app: Flask) -> None:
        """Register the face. Unlike the extension's own, it makes a handler for every request."""
        app.register_blueprint(self.create_blueprint())

    def create_blueprint(self) -> Any:
        blueprint = super().create_blueprint()
        blueprint.register_error_handler(Unauthenticated, self._handle_unauthenticated)
        blueprint.register_error_handler(sa.exc.DataError, self._handle_data_error)
        blueprint.register_error_handler(Exception, self._handle_failure)
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
        credential = self.acquire("scim")
        service = self.services[credential.dialect or DEFAULT_DIALECT].for_request()
        scim_request = self.read_request()
        if operation is None:
            operation = service.match(scim_request).operation
        opened = (
            self.store.writing(credential.tenant_id, actor=f"connection:{credential.connection_id}")
            if operation in WRITING
            else self.store.reading(credential.tenant_id)
        )
        with opened as unit:
            handler = DirectoryHandler(service, DirectoryStorage(unit, service.provider, service.dialect))
            answer = getattr(handler, operation.value)(scim_request)
            if operation in WRITING and credential.connection_id:
                count_deviations(unit, credential.connection_id, service.tolerated)
        return self._to_response(answer)

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

    def _handle_failure(self, error: Exception) -> Response:
        """Answer what no step foresaw: 503 for a store that does not answer, else 500; never a traceback."""
        log.exception("a SCIM request failed")
        if isinstance(error, StoreError | sa.exc.OperationalError | sa.exc.TimeoutError):
            return self._error(503, "The store does not answer; try again", {"Retry-After": "5"})
        return self._error(500, "Internal server error", {})

    def _error(self, status: int, detail: str, headers: dict[str, str]) -> Response:
        body = Error(status=status, detail=detail).model_dump()
        return self._to_response(ScimResponse(HTTPStatus(status), body, headers))
