"""Where the consumers of a tenant log in: an OpenID provider, and how its claims name a user."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from app.access.clients import checked_address
from app.access.errors import AccessError
from app.ledger.events import Event, record
from app.store.tables import login_provider
from app.store.unit_of_work import Unit, new_id

CLIENT_AUTHENTICATIONS: Final = ("client_secret_basic", "client_secret_post", "none")
"""How Keysteward shows the provider that it is the client; ``none``: a public client, which has no secret."""

ATTRIBUTES: Final = ("userName", "externalId", "emails")
"""By which attribute of a user a claim can name it."""

_LONGEST: Final = 1000


class LoginProviderInvalid(AccessError):
    """A login provider cannot be like this."""


class LoginProviderMissing(AccessError):
    """The tenant has no login provider."""


class ClientSecretUnusable(AccessError):
    """The file with the client's secret is missing, empty, or can be read by others."""


@dataclass(frozen=True)
class LoginProvider:
    """An OpenID provider and what Keysteward is to it. ``created_at`` in microseconds.

    ``claim`` None means ``preferred_username`` or, where there is none, a verified ``email``.
    ``id`` is another one after each change.
    """

    id: str
    tenant_id: str
    issuer: str
    client_id: str
    client_authentication: str
    claim: str | None
    attribute: str
    created_at: int

    def named(self, claims: Mapping[str, Any]) -> str | None:
        """Return the text by which an ID token's claims name a user; None when they name nobody.

        An address counts only if the provider says that it is verified (OpenID Connect Core §5.7).
        """
        claim = self.claim
        if claim is None:
            claim = "preferred_username" if claims.get("preferred_username") else "email"
        if claim == "email" and claims.get("email_verified") is not True:
            return None
        value = claims.get(claim)
        return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None


def set_login_provider(
    unit: Unit,
    issuer: str,
    client_id: str,
    *,
    client_authentication: str = CLIENT_AUTHENTICATIONS[0],
    claim: str | None = None,
    attribute: str = ATTRIBUTES[0],
    loopback: bool = False,
) -> LoginProvider:
    """Let the tenant's consumers log in at a provider, instead of at the one before. Sessions of before end.

    :param issuer: the provider's issuer, an https URL.
    :param loopback: whether it may be an http one on this machine.
    :raises LoginProviderInvalid: when a value may not be one.
    :raises ClientInvalid: when the issuer is no such URL.
    """
    if not 0 < len(client_id) <= _LONGEST or not client_id.isprintable():
        raise LoginProviderInvalid(f"a client id has 1 to {_LONGEST} visible characters")
    if client_authentication not in CLIENT_AUTHENTICATIONS:
        raise LoginProviderInvalid(f"the client authenticates by one of: {', '.join(CLIENT_AUTHENTICATIONS)}")
    if claim is not None and not re.fullmatch(r"[!-~]{1,200}", claim):
        raise LoginProviderInvalid("a claim is a name of up to 200 visible ASCII characters")
    if attribute not in ATTRIBUTES:
        raise LoginProviderInvalid(f"a claim names a user by one of: {', '.join(ATTRIBUTES)}")
    values = {
        "issuer": checked_address(issuer, loopback=loopback),
        "client_id": client_id,
        "client_authentication": client_authentication,
        "claim": claim,
        "attribute": attribute,
    }
    unit.execute(sa.delete(login_provider).where(login_provider.c.tenant_id == unit.tenant_id))
    unit.execute(
        sa.insert(login_provider).values(
            id=f"idp_{new_id()}", tenant_id=unit.tenant_id, created_at=unit.now, **values
        )
    )
    made = get_login_provider(unit)
    data = {
        "issuer": made.issuer,
        "clientId": made.client_id,
        "clientAuthentication": made.client_authentication,
        "claim": made.claim,
        "attribute": made.attribute,
    }
    record(unit, [Event("login_provider.set", f"tenant/{unit.tenant_id}", data)])
    return made


def remove_login_provider(unit: Unit) -> None:
    """Let nobody of the tenant log in any more; sessions end with it.

    Saying it again changes nothing (P6).
    """
    gone = unit.execute(sa.delete(login_provider).where(login_provider.c.tenant_id == unit.tenant_id))
    if gone.rowcount:
        record(unit, [Event("login_provider.removed", f"tenant/{unit.tenant_id}", {})])


def get_login_provider(unit: Unit) -> LoginProvider:
    """Return the tenant's login provider.

    :raises LoginProviderMissing: when it has none.
    """
    row = unit.execute(
        sa.select(login_provider).where(login_provider.c.tenant_id == unit.tenant_id)
    ).one_or_none()
    if row is None:
        raise LoginProviderMissing("the tenant has no login provider")
    return LoginProvider(**row._mapping)


class ClientSecrets:
    """The secrets by which Keysteward shows providers who it is: each in a file of its own.

    They are never in the database, and no request names a file. A file belongs to one tenant, issuer and
    client id: who may change the issuer does not thereby get the secret sent to another one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, provider: LoginProvider) -> Path:
        """Return where the secret for a provider is kept."""
        known = hashlib.sha256(f"{provider.issuer}\0{provider.client_id}".encode()).hexdigest()
        return self._folder / f"{provider.tenant_id}.{known[:16]}"

    def keep(self, provider: LoginProvider, secret: str) -> Path:
        """Write the secret for a provider to its file, which only its owner can read; return the path.

        :raises ClientSecretUnusable: when it cannot be written.
        """
        path = self.path(provider)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f".{path.name}.{new_id()}")
            with os.fdopen(
                os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(f"{secret}\n")
            draft.replace(path)
        except OSError as error:
            raise ClientSecretUnusable(f"cannot write {path}: {error.strerror}") from error
        return path

    def of(self, provider: LoginProvider) -> str | None:
        """Return the secret for a provider, as its file has it now; None for a public client.

        :raises ClientSecretUnusable: when the file cannot be read, is empty, or others may read it.
        """
        if provider.client_authentication == "none":
            return None
        path = self.path(provider)
        try:
            if path.stat().st_mode & 0o077:
                raise ClientSecretUnusable(f"{path} may be read by others: run chmod 600 {path}")
            secret = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ClientSecretUnusable(f"cannot read the client's secret in {path}: {said}") from None
        if not secret:
            raise ClientSecretUnusable(f"{path} is empty: it must hold the client's secret")
        return secret
