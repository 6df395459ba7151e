"""``scim2-server`` with everything in memory and every feature on, paging by cursor included.

``SCIM_TOKEN=… python -m conformance.peers.scim2_server`` serves ``http://127.0.0.1:8751/v2``.
"""

from __future__ import annotations

import os
import secrets
import sys
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from scim2_models import Pagination, ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PORT = 8751


class ThreadingServer(ThreadingMixIn, WSGIServer):
    """Serves each request in a thread of its own."""

    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def make_application(token: str) -> BearerTokenApplication:
    """Return the server as a WSGI application, its users and groups in memory.

    :param token: whoever bears it may do everything.
    """
    config = load_default_service_provider_config()
    config.authentication_schemes = [BEARER_TOKEN_SCHEME]
    config.pagination = Pagination(
        cursor=True, index=True, default_pagination_method=Pagination.DefaultPaginationMethod.index
    )
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(), load_default_resource_types().values(), config=config
    )
    service = ScimService(provider, secret=secrets.token_urlsafe(32))
    return BearerTokenApplication(InMemoryStorage(), provider, service=service, bearer_tokens=[token])


def serve(application: WSGIApplication, port: int) -> WSGIServer:
    """Return a server of an application on a port of this machine; 0 takes one that is free."""
    return make_server(
        "127.0.0.1", port, application, server_class=ThreadingServer, handler_class=QuietHandler
    )


if __name__ == "__main__":
    if not os.environ.get("SCIM_TOKEN"):
        sys.exit("set SCIM_TOKEN")
    with serve(make_application(os.environ["SCIM_TOKEN"]), int(os.environ.get("PORT", PORT))) as server:
        sys.stdout.write(f"scim2-server serves http://127.0.0.1:{server.server_port}/v2\n")
        sys.stdout.flush()
        server.serve_forever()
