"""Logging in at a tenant's OpenID provider: the authorization code flow with PKCE, by Authlib.

Who comes back is who the provider's ID token says; which consumer that is, the directory says.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from flask import Response, request
from joserfc.errors import JoseError

from app.access.clients import checked_address
from app.access.errors import AccessError
from app.access.login_provider import ClientSecrets, ClientSecretUnusable, LoginProvider

log = logging.getLogger(__name__)

SCOPE: Final = "openid profile email"
TIMEOUT: Final = 5.0
"""How long an answer of a provider may take, in seconds."""

FRESH: Final = 3600.0
"""After how many seconds a provider's metadata and keys are fetched anew."""

AT_ONCE: Final = 2
"""How many requests of a process may wait for providers: the others serve the gate."""

_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
_ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")

_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError)

# It logs PKCE's verifiers where everything is logged.
logging.getLogger("authlib.integrations.base_client.sync_app").setLevel(logging.INFO)


class LoginFailed(Exception):
    """Nobody is logged in; the message says why, to people, and repeats nothing that a stranger sent."""


class LoginBusy(Exception):
    """Too many wait for providers already; a later try may do."""


@dataclass(frozen=True)
class _Made:
    app: FlaskOAuth2App
    secret: str | None
    at: float


class Login:
    """Sends people to providers and receives them back, within Flask's session.

    :param loopback: whether http addresses on this machine may be asked besides https ones.
    """

    def __init__(self, secrets: ClientSecrets, *, loopback: bool = False) -> None:
        self._secrets = secrets
        self._loopback = loopback
        self._made: dict[str, _Made] = {}
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(AT_ONCE)

    def send(self, provider: LoginProvider, redirect_uri: str) -> Response:
        """Return the redirect to a provider; what must come back with the answer is put into the session.

        :raises LoginFailed: when the provider cannot be asked.
        :raises LoginBusy: when too many wait for providers already.
        """
        with self._asking():
            answer: Response = self._app(provider).authorize_redirect(redirect_uri)
            return answer

    def receive(self, provider: LoginProvider) -> Mapping[str, Any]:
        """Return the claims of the ID token of whom a provider has sent back with the current request.

        It was issued by this provider, to this client, in answer to what this browser was sent with (OpenID
        Connect Core §3.1.3.7; RFC 9700 §4.5.3.2). What it leaves out is asked of the provider (§5.3).

        :raises LoginFailed: when it was not, the provider says no, or it cannot be asked.
        :raises LoginBusy: when too many wait for providers already.
        """
        if request.args.get("iss", provider.issuer) != provider.issuer:
            raise LoginFailed("The answer is from another provider.")  # RFC 9207 §2.4
        wanted = {
            "iss": {"essential": True, "values": [provider.issuer]},
            "aud": {"essential": True, "values": [provider.client_id]},
        }
        with self._asking():
            app = self._app(provider)
            token = app.authorize_access_token(claims_options=wanted)
            claims = dict(token.get("userinfo") or {})
            if not claims:
                raise LoginFailed("The provider did not say who you are.")
            if provider.named(claims) is None and "userinfo_endpoint" in app.load_server_metadata():
                told = dict(app.userinfo(token=token))
                if told.get("sub") != claims["sub"]:
                    raise LoginFailed("The provider spoke of somebody else.")
                claims = {**told, **claims}
        return claims

    @contextmanager
    def _asking(self) -> Iterator[None]:
        if not self._waiting.acquire(blocking=False):
            raise LoginBusy
        try:
            yield
        except OAuthError as error:
            # What the provider says of a client that it refuses is for who set it up.
            log.warning("a login failed: %s", repr(error.error)[:100])
            raise LoginFailed(
                "The provider did not confirm who you are, or you came back too late."
            ) from None
        except (
            requests.RequestException,
            JoseError,
            ValueError,
            RuntimeError,
            LookupError,
            TypeError,
            AttributeError,
        ) as error:
            log.warning("a login failed: %s", type(error).__name__)
            raise LoginFailed("What the provider answered cannot be used.") from None
        except ClientSecretUnusable as error:
            log.error("nobody can log in: %s", error)
            raise LoginFailed("The login is not set up completely.") from None
        except AccessError as error:
            log.warning("a login failed: %s", error)
            raise LoginFailed("What the provider answered cannot be used.") from None
        finally:
            self._waiting.release()

    def _app(self, provider: LoginProvider) -> FlaskOAuth2App:
        """The client at a provider, which keeps what it fetched for a while."""
        secret = self._secrets.of(provider)
        with self._lock:
            made = self._made.get(provider.id)
            if made is None or made.secret != secret or time.monotonic() - made.at > FRESH:
                made = _Made(_Client(provider, secret, self._loopback), secret, time.monotonic())
                self._made = {
                    **{
                        each: other
                        for each, other in self._made.items()
                        if time.monotonic() - other.at <= FRESH
                    },
                    provider.id: made,
                }
            return made.app


class _Client(FlaskOAuth2App):  # type: ignore[misc]  # Authlib has no types
    """One client at one provider."""

    def __init__(self, provider: LoginProvider, secret: str | None, loopback: bool) -> None:
        super().__init__(
            FlaskIntegration(provider.id),
            name=provider.id,
            client_id=provider.client_id,
            client_secret=secret,
            server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": SCOPE,
                "code_challenge_method": "S256",
                "default_timeout": TIMEOUT,
                "token_endpoint_auth_method": provider.client_authentication,
                # Whom a redirect would lead to is not whom the operator named.
                "max_redirects": 0,
            },
        )
        self._issuer = provider.issuer
        self._loopback = loopback

    server_metadata: dict[str, Any]

    def load_server_metadata(self) -> dict[str, Any]:
        if "_loaded_at" in self.server_metadata:
            return dict(self.server_metadata)
        with self._get_session() as session:
            answer = session.request("GET", self._server_metadata_url, withhold_token=True)
            answer.raise_for_status()
            metadata = answer.json()
        if metadata.get("issuer") != self._issuer:
            raise ValueError("the metadata is of another issuer")  # OpenID Connect Discovery §4.3
        # The rest is left out: Authlib would take some of it for settings of the client.
        kept = {name: metadata[name] for name in _ENDPOINTS}
        if "userinfo_endpoint" in metadata:
            kept["userinfo_endpoint"] = metadata["userinfo_endpoint"]
        for endpoint in kept.values():
            checked_address(str(endpoint), loopback=self._loopback)
        # Nothing symmetric: whoever knows the client's secret could sign (RFC 8725 §3.1).
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [each for each in offered if each in _ALGORITHMS]
        if not algorithms:
            raise ValueError("the provider signs with nothing that is safe")
        self.server_metadata = {
            **kept,
            "issuer": self._issuer,
            "id_token_signing_alg_values_supported": algorithms,
            "_loaded_at": time.time(),
        }
        return dict(self.server_metadata)
