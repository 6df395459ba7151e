"""Who may pass: bearer tokens in a header (RFC 6750), on Authlib's resource protector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from authlib.integrations.flask_oauth2 import ResourceProtector
from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    MissingAuthorizationError,
    OAuth2Error,
    UnsupportedTokenTypeError,
)
from authlib.oauth2.rfc6750 import BearerTokenValidator, InsufficientScopeError, InvalidTokenError
from flask import request
from werkzeug.datastructures import Headers

from app.access.credentials import Credential, find_credential
from app.access.errors import CredentialEnded
from app.access.last_use import note_use
from app.store.peppers import Peppers
from app.store.unit_of_work import Store

REALM: Final = "keysteward"


class Unauthenticated(Exception):
    """The request may not pass. Each face says so in its own error format.

    :ivar status: the HTTP status: 400, 401 or 403 (RFC 6750 §3.1).
    :ivar challenge: the value of the answer's ``WWW-Authenticate``.
    :ivar detail: one sentence for people; it names no credential.
    """

    def __init__(self, status: int, challenge: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.challenge = challenge
        self.detail = detail


class Protector:
    """Finds the credential of the current Flask request.

    :param header: the header that carries the token, as ``Bearer <token>`` or bare. The URL never does.
    """

    def __init__(self, store: Store, peppers: Peppers, *, header: str = "Authorization") -> None:
        self._store = store
        self._protector = _HeaderProtector(header)
        self._protector.register_token_validator(_TokenValidator(store, peppers))

    def acquire(self, scopes: str | Iterable[str]) -> Credential:
        """Return the credential of the current request, which has one of the scopes, and note its use.

        :raises Unauthenticated: 401 without a credential or with one that opens nothing, 403 when it has none
            of the scopes, 400 when the request carries several.
        :raises Exception: whatever the store raises when it does not answer; nobody is let in then (P5).
        """
        wanted = [scopes] if isinstance(scopes, str) else list(scopes)
        if not wanted:
            raise ValueError("nothing is open to everyone: name a scope")
        try:
            credential: Credential = self._protector.acquire_token(wanted)
        except OAuth2Error as error:
            raise _refusal(error, wanted) from None
        note_use(self._store, credential)
        return credential

    def presented(self) -> str | None:
        """Return the one bearer token of the current request as it was sent; None where there is not one."""
        try:
            _, token = self._protector.parse_request_authorization(request)
        except OAuth2Error:
            return None
        return token


class _HeaderProtector(ResourceProtector):  # type: ignore[misc]  # Authlib has no types
    """Reads the token as clients really send it."""

    def __init__(self, header: str) -> None:
        super().__init__()
        self._header = header

    def parse_request_authorization(self, request: Any) -> tuple[Any, str]:
        headers: Headers = request.headers
        # Servers hand over a repeated header as several values or as one with commas (RFC 9110 §5.3).
        values = {
            part.strip()
            for value in headers.getlist(self._header)
            for part in value.split(",")
            if part.strip()
        }
        if not values:
            raise MissingAuthorizationError(self._default_auth_type, self._default_realm)
        if len(values) > 1:
            raise InvalidRequestError("The request carries more than one credential")
        *scheme, token = values.pop().split(None, 1)
        if token.lower() == "bearer":
            raise MissingAuthorizationError(self._default_auth_type, self._default_realm)
        # Header mode of Okta sends what the administrator typed, which may be the token alone.
        return self.get_token_validator(scheme[0] if scheme else "bearer"), token


class _TokenValidator(BearerTokenValidator):  # type: ignore[misc]  # Authlib has no types
    """Looks a token up in the store."""

    def __init__(self, store: Store, peppers: Peppers) -> None:
        super().__init__(realm=REALM)
        self._store = store
        self._peppers = peppers

    def authenticate_token(self, token_string: str) -> Credential:
        try:
            credential = find_credential(self._store, self._peppers, token_string)
        except CredentialEnded as error:
            raise InvalidTokenError(str(error), realm=REALM) from None
        if credential is None:
            raise InvalidTokenError("the token is malformed or unknown", realm=REALM)
        return credential

    def validate_token(self, token: Credential, scopes: list[str], request: Any) -> None:
        if self.scope_insufficient(token.scopes, scopes):
            raise InsufficientScopeError("the token does not have the scope that this needs")


def _refusal(error: OAuth2Error, wanted: list[str]) -> Unauthenticated:
    """Translate Authlib's error into ours, with the challenge of RFC 6750 §3."""
    if isinstance(error, MissingAuthorizationError | UnsupportedTokenTypeError):
        # Without any credential, or one of another scheme, the challenge says no more than the scheme.
        return Unauthenticated(401, f'Bearer realm="{REALM}"', "This needs a bearer token")
    description = str(error.description)
    challenge = f'Bearer realm="{REALM}", error="{error.error}", error_description="{description}"'
    if isinstance(error, InsufficientScopeError):
        challenge += f', scope="{" ".join(wanted)}"'
    return Unauthenticated(int(error.status_code), challenge, description[:1].upper() + description[1:])
