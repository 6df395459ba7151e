"""The session of a consumer who logged in: a signed cookie, short-lived, judged anew with each request."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Flask, session
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer

from app.access.login_provider import LoginProvider, LoginProviderMissing, get_login_provider
from app.rights.consumers import ConsumerStanding, consumer_standing
from app.store.peppers import Peppers
from app.store.unit_of_work import Unit

LIFETIME: Final = 900 * 1_000_000
"""How long a session lasts from the login, in microseconds."""

PATH: Final = "/my"

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SessionOver(Exception):
    """There is no session, or it is over; the message says why, to the person."""


class AccessWithdrawn(SessionOver):
    """The directory does not let the consumer in: it is deleted, or not active now."""


@dataclass(frozen=True)
class Session:
    """Who logged in, at which provider, and when (microseconds); ``csrf``: what its forms must repeat."""

    tenant_id: str
    consumer_id: str
    provider_id: str
    at: int
    csrf: str


class SignedCookies(SecureCookieSessionInterface):
    """Flask's sessions, signed under a key that follows from the peppers."""

    digest_method = staticmethod(hashlib.sha256)

    def __init__(self, peppers: Peppers) -> None:
        self._peppers = peppers

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer:
        # Derived for each request, so that every process agrees when the oldest pepper is dropped.
        return URLSafeTimedSerializer(
            self._peppers.derive("consumer sessions"),
            salt=self.salt,
            serializer=self.serializer,
            signer_kwargs={"key_derivation": self.key_derivation, "digest_method": self.digest_method},
        )


def prepare_sessions(flask: Flask, peppers: Peppers, root_url: str) -> None:
    """Let an application keep sessions in a cookie that goes to the consumers' own page and nowhere else."""
    root = urlsplit(root_url)
    flask.session_interface = SignedCookies(peppers)
    flask.config.update(
        SESSION_COOKIE_NAME="keysteward_session",
        SESSION_COOKIE_PATH=f"{root.path}{PATH}",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # Without TLS on this machine itself: a first try. Elsewhere nobody logs in without it.
        SESSION_COOKIE_SECURE=root.scheme == "https" or root.hostname not in _LOOPBACK,
        PERMANENT_SESSION_LIFETIME=timedelta(microseconds=LIFETIME),
    )


def begin_session(unit: Unit, provider: LoginProvider, consumer_id: str) -> None:
    """Log the browser of the current request in, and out of what it was logged in to before."""
    session.clear()
    session.permanent = True
    session.update(
        tenant=unit.tenant_id,
        consumer=consumer_id,
        provider=provider.id,
        at=unit.now,
        csrf=secrets.token_urlsafe(24),
    )


def current_session() -> Session:
    """Return the session of the current request, which is not judged yet.

    :raises SessionOver: when there is none.
    """
    told: list[Any] = [session.get(each) for each in ("tenant", "consumer", "provider", "at", "csrf")]
    if None in told:
        raise SessionOver("You are not logged in.")
    return Session(*told)


def require_living(unit: Unit, found: Session) -> ConsumerStanding:
    """Return where the consumer of a session stands, if the session still holds.

    :raises SessionOver: when too much time is over, or the tenant's login was changed since.
    :raises AccessWithdrawn: when the directory does not let the consumer in now.
    """
    try:
        provider = get_login_provider(unit)
    except LoginProviderMissing:
        raise SessionOver("Your organisation has no login here any more.") from None
    if provider.id != found.provider_id:
        raise SessionOver("The login of your organisation was changed. Log in again.")
    if not found.at <= unit.now < found.at + LIFETIME:
        raise SessionOver("Your session is over. Log in again.")
    standing = require_present(unit, found.consumer_id)
    if standing.present_since is not None and standing.present_since > found.at:
        raise SessionOver("Your access was interrupted. Log in again.")
    return standing


def require_present(unit: Unit, consumer_id: str) -> ConsumerStanding:
    """Return where a consumer of the tenant stands, if it is active and its access has not ended.

    :raises AccessWithdrawn: when that is not so.
    """
    standing = consumer_standing(unit, consumer_id)
    if standing is None or standing.deleted_at is not None:
        raise AccessWithdrawn("Your account was removed from the directory of your organisation.")
    if not standing.active:
        raise AccessWithdrawn("Your account is not active in the directory of your organisation.")
    if standing.present_since is None:
        raise AccessWithdrawn("Your access has ended, says the directory of your organisation.")
    return standing
