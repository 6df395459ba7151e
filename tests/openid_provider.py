"""A real OpenID provider, canaille, in this process; a company's people log in there."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from canaille import create_app
from canaille.backends import Backend
from canaille.core.models import User
from joserfc.jwk import RSAKey
from pytest_iam import Server


@dataclass(frozen=True)
class RegisteredClient:
    """What the provider knows Keysteward by."""

    client_id: str
    client_secret: str


@dataclass(frozen=True)
class Provider:
    """The provider, as its administrator and its people use it."""

    server: Server

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.server.port}"

    def person(self, user_name: str, **attributes: Any) -> User:
        """Add an account, and let it agree to everything asked by clients that are registered before."""
        made: User = self.server.random_user(user_name=user_name, **attributes)
        self.server.consent(made)
        return made

    def register(self, redirect_uri: str, authentication: str = "client_secret_basic") -> RegisteredClient:
        registered = RegisteredClient(f"client-{secrets.token_hex(4)}", secrets.token_urlsafe(24))
        with self.server.app.app_context():
            client = self.server.models.Client(
                client_id=registered.client_id,
                client_secret=registered.client_secret if authentication != "none" else None,
                client_name="Keysteward",
                client_uri="http://127.0.0.1",
                redirect_uris=[redirect_uri],
                grant_types=["authorization_code"],
                response_types=["code"],
                scope=["openid", "profile", "email"],
                token_endpoint_auth_method=authentication,
            )
            self.server.backend.save(client)
            client.audience = [client]
            self.server.backend.save(client)
        return registered

    @contextmanager
    def logged_in(self, person: User) -> Iterator[None]:
        """Whoever comes from Keysteward within is this person: the provider asks for no password."""
        self.server.login(person)
        yield
        self.server.logout()


@contextmanager
def openid_provider() -> Iterator[Provider]:
    """Run a provider."""
    # pytest-iam's own fixture keeps canaille's application context open for all tests that follow.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    application = create_app(
        config={
            "TESTING": True,
            "ENV_FILE": None,
            "SECRET_KEY": str(uuid.uuid4()),
            "WTF_CSRF_ENABLED": False,
            "PREFERRED_URL_SCHEME": "http",
            "SERVER_NAME": f"localhost:{port}",
            "CANAILLE": {
                "DATABASE": "memory",
                "JAVASCRIPT": False,
                "ACL": {"DEFAULT": {"PERMISSIONS": ["use_oidc"]}},
                "LOGGING": {"version": 1, "disable_existing_loggers": False},
            },
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [key.as_dict(private=True)],
                "USERINFO_MAPPING": {"PREFERRED_USERNAME": "{{ user.user_name }}"},
            },
        }
    )
    server = Server(application, port, Backend.instance)
    thread = threading.Thread(target=server.httpd.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield Provider(server)
    finally:
        server.httpd.shutdown()
        server.httpd.server_close()
        thread.join()
