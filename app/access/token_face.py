"""The token endpoint for the clients of connections (RFC 6749 §4.4, RFC 7523), with metadata (RFC 8414)."""

from __future__ import annotations

import logging
from math import ceil
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, InvalidClientError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from flask import Blueprint, Flask, Response, jsonify

from app.access.assertions import ALGORITHMS, AssertionInvalid, Believed, believe, claimed_client
from app.access.clients import TOKEN_LIFETIME, Client, Purpose, find_client, issue_token
from app.access.errors import AccessError
from app.access.global_revocation import REVOCATION_PATH
from app.access.rate_limit import RateLimit, TooManyRequests
from app.access.signing_keys import PATIENCE, KeysUnavailable, SigningKeys
from app.store.peppers import Peppers
from app.store.unit_of_work import Store, StoreError

log = logging.getLogger(__name__)
# What the library tells in passing holds tokens.
logging.getLogger("authlib").setLevel(logging.INFO)

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METHOD: Final = "private_key_jwt"
SCOPE: Final = "scim"
METADATA: Final = "/.well-known/oauth-authorization-server"


class TokenFace:
    """Gives short-lived tokens to clients. A token is a credential of the connection like any other.

    :param issuer: our issuer identifier, the root of the public URLs.
    :param keys: what fetches the keys of issuers.
    :param rate_limit: how many requests each connection may send; asking for a token is one.
    """

    def __init__(
        self, store: Store, peppers: Peppers, *, issuer: str, keys: SigningKeys, rate_limit: RateLimit
    ) -> None:
        self.store = store
        self.peppers = peppers
        self.issuer = issuer
        self.keys = keys
        self.rate_limit = rate_limit
        self.server = AuthorizationServer()

    def init_app(self, app: Flask) -> None:
        """Register the endpoints."""
        self.server.init_app(app, query_client=self._query, save_token=lambda token, request: None)
        self.server.register_client_auth_method(METHOD, self._authenticate)
        self.server.register_token_generator("default", self._generate)
        self.server.register_grant(_Grant)
        face = Blueprint("oauth", __name__)
        face.add_url_rule("/oauth2/token", "token", self._token, methods=["POST"])
        # A proxy in front of us may take the path of our URLs away, or leave it (RFC 8414 §3.1).
        for path in {"", urlsplit(self.issuer).path}:
            face.add_url_rule(f"{METADATA}{path}", f"metadata{path}".replace(".", "_"), self._metadata)
        app.register_blueprint(face)

    def _token(self) -> Response:
        try:
            answer: Response = self.server.create_token_response()
        except TooManyRequests as error:
            answer = _not_now(429, str(error), error.retry_after)
        except KeysUnavailable as error:
            # Not the client's fault: it may come again with the same registration.
            answer = _not_now(503, str(error), ceil(PATIENCE))
        except (StoreError, sa.exc.SQLAlchemyError):
            log.exception("a token was not issued")
            answer = _not_now(503, "the store does not answer", 5)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def _metadata(self) -> Response:
        """Describe the endpoints (RFC 8414 §2, draft-parecki-oauth-global-token-revocation)."""
        return jsonify(
            issuer=self.issuer,
            token_endpoint=f"{self.issuer}/oauth2/token",
            token_endpoint_auth_methods_supported=[METHOD],
            token_endpoint_auth_signing_alg_values_supported=ALGORITHMS,
            grant_types_supported=[ClientCredentialsGrant.GRANT_TYPE],
            response_types_supported=[],
            scopes_supported=[SCOPE],
            jwks_uri=f"{self.issuer}/.well-known/jwks.json",
            introspection_signing_alg_values_supported=["ES256"],
            introspection_endpoint=f"{self.issuer}/oauth2/introspect",
            # A gateway shows its own token (RFC 6750), as at every face: RFC 8414 §2 names that so.
            introspection_endpoint_auth_methods_supported=["Bearer"],
            revocation_endpoint=f"{self.issuer}/oauth2/revoke",
            revocation_endpoint_auth_methods_supported=["Bearer"],
            global_token_revocation_endpoint=f"{self.issuer}{REVOCATION_PATH}",
            global_token_revocation_endpoint_auth_methods_supported=["Bearer", METHOD],
        )

    def _query(self, client_id: str) -> _Asking | None:
        with self.store.engine.begin() as reading:
            found = find_client(reading, client_id, Purpose.tokens)
        return None if found is None else _Asking(found)

    def _authenticate(self, query_client: Any, request: Any) -> _Asking | None:
        form = request.form
        if any(len(form.getlist(name)) > 1 for name in form):
            raise InvalidRequestError("a parameter is there more than once")  # RFC 6749 §3.2
        assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
        if not assertion or kind != ASSERTION_TYPE:
            return None
        try:
            client_id = form.get("client_id") or claimed_client(assertion)
            asking: _Asking | None = query_client(client_id) if client_id else None
            if asking is None:
                raise InvalidClientError(description="no such client")
            asking.believed = believe(assertion, asking.client, self.keys, issuer=self.issuer)
        except AssertionInvalid as error:
            raise InvalidClientError(description=str(error)) from None
        # Only now: nobody else may use up what the client may send.
        self.rate_limit.take(asking.client.connection_id)
        return asking

    def _generate(self, grant_type: str, client: _Asking, **_particulars: Any) -> dict[str, Any]:
        assert client.believed is not None
        who = client.client
        try:
            with self.store.writing(who.tenant_id, actor=f"client:{who.id}") as unit:
                _, token = issue_token(
                    unit,
                    self.peppers,
                    who,
                    jti=client.believed.jti,
                    assertion_ends_at=client.believed.ends_at,
                )
        except AccessError as error:
            # The assertion was used before, or the client was removed while it asked.
            raise InvalidClientError(description=str(error)) from None
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME,
            "scope": SCOPE,
        }


def _not_now(status: int, why: str, retry_after: int) -> Response:
    answer = jsonify(error="temporarily_unavailable", error_description=why)
    answer.status_code = status
    answer.headers["Retry-After"] = str(retry_after)
    return answer


class _Asking(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A client at the token endpoint, as Authlib sees it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.believed: Believed | None = None

    def get_client_id(self) -> str:
        return self.client.id

    def get_allowed_scope(self, scope: str | None) -> str:
        asked = set((scope or SCOPE).split())
        return " ".join(asked & {SCOPE})

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == METHOD

    def check_grant_type(self, grant_type: str) -> bool:
        return bool(grant_type == ClientCredentialsGrant.GRANT_TYPE)


class _Grant(ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    TOKEN_ENDPOINT_AUTH_METHODS = [METHOD]  # noqa: RUF012, as the library declares it

    def validate_requested_scope(self) -> None:
        asked = self.request.payload.scope
        if asked and set(asked.split()) != {SCOPE}:
            raise InvalidScopeError(description=f"the scope is {SCOPE}")
