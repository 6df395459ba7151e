"""Credentials: bearer tokens with scopes, an expiry and a last use. Only their digests are stored."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import sqlalchemy as sa

from app.access.connections import get_connection
from app.access.errors import ConnectionDisabled, CredentialEnded, CredentialInvalid, CredentialMissing
from app.access.names import checked_name
from app.ledger.events import Event, record
from app.store.peppers import Held, PepperMissing, Peppers
from app.store.secrets import Secret, SecretMalformed, mint, parse
from app.store.tables import connection, credential, tenant
from app.store.unit_of_work import Store, Unit, moment_after

BRAND: Final = "kst"
PURPOSE: Final = "credential"
"""What the digest of a token is made for: no other digest can stand in for it."""

SCOPES: Final = ("scim", "operator", "gate", "audit")
"""What a credential may open; the first that it has is part of the token's text."""

DEFAULT_LIFETIME: Final = 365 * 24 * 3600
DEFAULT_OVERLAP: Final = 24 * 3600

_SECOND: Final = 1_000_000


@dataclass(frozen=True)
class Credential:
    """What is known of a token: whose it is and what it opens, never its text. Times in microseconds.

    ``id`` is the public part of the token. ``dialect`` is that of its connection, when it has one.
    """

    id: str
    tenant_id: str
    label: str
    scopes: tuple[str, ...]
    created_at: int
    expires_at: int
    last_used_at: int | None
    revoked_at: int | None
    connection_id: str | None
    connection_name: str | None
    dialect: str | None
    connection_disabled_at: int | None
    client_id: str | None = None
    actor: str = field(init=False, repr=False, compare=False)
    """Who events say it was: the connection, or the credential itself."""

    def __post_init__(self) -> None:
        actor = f"connection:{self.connection_id}" if self.connection_id else f"credential:{self.id}"
        object.__setattr__(self, "actor", actor)

    def ended(self, now: int) -> str | None:
        """Return why the credential opens nothing at this time, or None while it does."""
        if self.revoked_at is not None:
            return "the token was revoked"
        if self.expires_at <= now:
            return "the token has expired"
        if self.connection_disabled_at is not None:
            return "the connection of the token is disabled"
        return None


def issue_credential(
    unit: Unit,
    peppers: Peppers,
    *,
    label: str,
    scopes: Collection[str],
    connection_id: str | None = None,
    lifetime: int = DEFAULT_LIFETIME,
) -> tuple[Credential, str]:
    """Issue a credential of the unit's tenant; return it and the token, which is not known afterwards.

    :param lifetime: in seconds.
    :raises CredentialInvalid: when there is no scope or an unknown one, the lifetime is not positive, or the
        scope is ``scim`` and there is no connection.
    :raises NameInvalid: when the label may not be one.
    :raises ConnectionMissing: when the tenant has no such connection.
    :raises ConnectionDisabled: when the connection is disabled.
    """
    ordered = [scope for scope in SCOPES if scope in scopes]
    if not ordered or len(ordered) != len(set(scopes)):
        raise CredentialInvalid(f"scopes are one or more of: {' '.join(SCOPES)}")
    if "scim" in ordered and connection_id is None:
        raise CredentialInvalid("a credential with the scope scim belongs to a connection")
    if lifetime <= 0:
        raise CredentialInvalid("a credential lives for at least a second")
    if connection_id is not None:
        found = get_connection(unit, connection_id)
        if found.disabled_at is not None:
            raise ConnectionDisabled(f"the connection {found.name!r} is disabled")
        connection_id = found.id
    issued, token = _insert(unit, peppers, checked_name(label), ordered, connection_id, lifetime)
    record(unit, [Event("credential.issued", f"credential/{issued.id}", _particulars(issued))])
    return issued, token


def rotate_credential(
    unit: Unit,
    peppers: Peppers,
    credential_id: str,
    *,
    overlap: int = DEFAULT_OVERLAP,
    lifetime: int = DEFAULT_LIFETIME,
) -> tuple[Credential, str]:
    """Issue a new token beside an old one, with its label, scopes and connection; return it and its text.

    :param overlap: for how many seconds the old token still works; it never lives longer than before.
    :param lifetime: of the new token, in seconds.
    :raises CredentialMissing: when the tenant has no such credential.
    :raises CredentialEnded: when the old one opens nothing any more.
    :raises CredentialInvalid: when the overlap is negative or the lifetime not positive.
    """
    if overlap < 0 or lifetime <= 0:
        raise CredentialInvalid("an overlap has no less than 0 seconds, a lifetime at least 1")
    old = get_credential(unit, credential_id)
    if (reason := old.ended(unit.now)) is not None:
        raise CredentialEnded(reason)
    until = min(old.expires_at, unit.now + overlap * _SECOND)
    unit.execute(sa.update(credential).where(credential.c.id == old.id).values(expires_at=until))
    new, token = _insert(unit, peppers, old.label, old.scopes, old.connection_id, lifetime)
    data = {**_particulars(new), "replaces": old.id, "oldExpiresAt": until}
    record(unit, [Event("credential.rotated", f"credential/{new.id}", data)])
    return new, token


def revoke_credential(unit: Unit, credential_id: str) -> Credential:
    """Revoke a credential: from the commit on it opens nothing. Saying it again changes nothing (P6).

    :raises CredentialMissing: when the tenant has no such credential.
    """
    found = get_credential(unit, credential_id)
    if found.revoked_at is not None:
        return found
    unit.execute(sa.update(credential).where(credential.c.id == found.id).values(revoked_at=unit.now))
    record(unit, [Event("credential.revoked", f"credential/{found.id}", {"label": found.label})])
    return get_credential(unit, found.id)


def list_credentials(unit: Unit, *, connection_id: str | None = None) -> list[Credential]:
    """Return the tenant's credentials, oldest first, ended ones too; of one connection only, when given.

    What OAuth clients got is left out: many, and each ends within the hour, or with its client.
    """
    statement = _select().where(credential.c.tenant_id == unit.tenant_id, credential.c.client_id.is_(None))
    if connection_id is not None:
        statement = statement.where(credential.c.connection_id == connection_id)
    ordered = statement.order_by(credential.c.created_at, credential.c.id)
    return [_credential(row) for row in unit.execute(ordered)]


def get_credential(unit: Unit, credential_id: str) -> Credential:
    """Return one credential of the tenant, ended or not.

    :raises CredentialMissing: when the tenant has none with this id.
    """
    row = unit.execute(
        _select().where(credential.c.tenant_id == unit.tenant_id, credential.c.id == credential_id)
    ).one_or_none()
    if row is None:
        raise CredentialMissing(f"no credential {credential_id!r}")
    return _credential(row)


def find_credential(store: Store, peppers: Peppers, token: str) -> Credential | None:
    """Return the credential that a token opens now; None for a token that is malformed or unknown.

    A token of the wrong form costs no look-up.

    :raises CredentialEnded: when the token is known but expired, revoked, or its connection disabled.
    :raises ClockAbsurd: when the clock cannot be believed; nobody is let in then (P5).
    :raises sqlalchemy.exc.SQLAlchemyError: when the store does not answer; nobody is let in then (P5).
    """
    presented = parse_token(token)
    if presented is None:
        return None
    with store.engine.begin() as reading:
        row = reading.execute(credential_statement(), {"credential_id": presented.id}).one_or_none()
    found = opened_credential(row, peppers.held(), presented)
    if row is None or found is None:
        return None
    if (reason := found.ended(moment_after(row.last_write_at))) is not None:
        raise CredentialEnded(reason)
    return found


def parse_token(token: str) -> Secret | None:
    """Return a token that has the form and the checksum of a credential's, or None."""
    try:
        presented = parse(token)
    except SecretMalformed:
        return None
    return presented if presented.text.startswith(f"{BRAND}_") else None


@cache
def credential_statement() -> sa.Select[Any]:
    """Return the statement that says all about the credential with the id ``credential_id``."""
    return (
        _select()
        .add_columns(credential.c.digest, credential.c.pepper, tenant.c.last_write_at)
        .join(tenant, tenant.c.id == credential.c.tenant_id)
        .where(credential.c.id == sa.bindparam("credential_id"))
    )


def opened_credential(row: Any, held: Held, presented: Secret) -> Credential | None:
    """Return the credential of a row of :func:`credential_statement` if a token opens it, ended or not."""
    if row is None:
        return None
    try:
        digest = held.digest(PURPOSE, presented.text, row.pepper)
    except PepperMissing:
        return None
    return _credential(row) if hmac.compare_digest(digest, row.digest) else None


def _insert(
    unit: Unit,
    peppers: Peppers,
    label: str,
    scopes: Collection[str],
    connection_id: str | None,
    lifetime: int,
) -> tuple[Credential, str]:
    made = mint(BRAND, next(iter(scopes)))
    unit.execute(
        sa.insert(credential).values(
            id=made.id,
            tenant_id=unit.tenant_id,
            connection_id=connection_id,
            label=label,
            scopes=" ".join(scopes),
            digest=peppers.digest(PURPOSE, made.text),
            pepper=peppers.current,
            created_at=unit.now,
            expires_at=unit.now + lifetime * _SECOND,
        )
    )
    return get_credential(unit, made.id), made.text


def _particulars(issued: Credential) -> dict[str, Any]:
    return {
        "label": issued.label,
        "scopes": list(issued.scopes),
        "connection": issued.connection_id,
        "expiresAt": issued.expires_at,
    }


def _select() -> sa.Select[Any]:
    return sa.select(
        credential.c.id,
        credential.c.tenant_id,
        credential.c.label,
        credential.c.scopes,
        credential.c.created_at,
        credential.c.expires_at,
        credential.c.last_used_at,
        credential.c.revoked_at,
        credential.c.connection_id,
        credential.c.client_id,
        connection.c.name.label("connection_name"),
        connection.c.dialect,
        connection.c.disabled_at.label("connection_disabled_at"),
    ).select_from(credential.outerjoin(connection, connection.c.id == credential.c.connection_id))


def _credential(row: Any) -> Credential:
    return Credential(
        id=row.id,
        tenant_id=row.tenant_id,
        label=row.label,
        scopes=tuple(row.scopes.split()),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        connection_id=row.connection_id,
        connection_name=row.connection_name,
        dialect=row.dialect,
        connection_disabled_at=row.connection_disabled_at,
        client_id=row.client_id,
    )
