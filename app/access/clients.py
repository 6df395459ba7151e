"""OAuth clients of a connection: who may get short-lived tokens for it, and by whose signature.

A client either signs its assertions with keys of its own (``private_key_jwt``, RFC 7523), or an identity
provider vouches for it with an assertion of a known issuer and subject (workload identity federation).

One that is for revocation gets no tokens: it ends all keys of a user (Global Token Revocation), each time
with an assertion, which an identity provider signs as itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry

from app.access.connections import get_connection
from app.access.credentials import Credential, issue_credential
from app.access.errors import AccessError, ConnectionDisabled
from app.access.names import checked_name
from app.ledger.events import Event, record
from app.store.peppers import Peppers
from app.store.tables import connection, credential, oauth_client, used_assertion
from app.store.unit_of_work import CLOCK_SLACK, Unit, new_id

TOKEN_LIFETIME: Final = 3600
"""How long a token of a client lives, in seconds."""

MOST_KEYS: Final = 20
"""How many keys a client may register."""

_KEPT: Final = 24 * 3600 * 1_000_000
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Purpose(StrEnum):
    """What the assertions of a client are for."""

    tokens = "tokens"
    revocation = "revocation"


class ClientInvalid(AccessError):
    """A client cannot be registered like this."""


class ClientMissing(AccessError):
    """The connection has no such client."""


class AssertionReused(AccessError):
    """An assertion was used before, and may be used once."""


@dataclass(frozen=True)
class Client:
    """A client of a connection. ``keys`` is a JWK set with public keys. Times in microseconds.

    ``issuer`` and ``subject`` are there when somebody else signs for it, and ``audience`` where it is for
    tokens; of one for revocation the audience is the address that it calls.
    """

    id: str
    tenant_id: str
    connection_id: str
    name: str
    purpose: Purpose
    issuer: str | None
    subject: str | None
    audience: str | None
    keys: Mapping[str, Any] | None
    keys_url: str | None
    created_at: int
    removed_at: int | None

    @property
    def is_federated(self) -> bool:
        """Whether somebody else vouches for it."""
        return self.issuer is not None


def register_client(
    unit: Unit,
    connection_name_or_id: str,
    name: str,
    *,
    purpose: Purpose = Purpose.tokens,
    keys: Mapping[str, Any] | None = None,
    keys_url: str | None = None,
    issuer: str | None = None,
    subject: str | None = None,
    audience: str | None = None,
    loopback: bool = False,
) -> Client:
    """Register a client of a connection: with its public keys, or an address of them, or who vouches for it.

    One for revocation may have an issuer and a subject together with keys: where the issuer has no discovery
    document that tells of them.

    :param loopback: whether an address may be an http one on this machine.
    :raises ClientInvalid: when it is not exactly one of these, or it cannot be.
    :raises NameInvalid: when the name may not be one.
    :raises ConnectionMissing: when the tenant has no such connection.
    :raises ConnectionDisabled: when it is disabled.
    """
    found = get_connection(unit, connection_name_or_id)
    if found.disabled_at is not None:
        raise ConnectionDisabled(f"the connection {found.name!r} is disabled")
    if purpose is Purpose.revocation:
        _check_revoker(keys, keys_url, issuer, subject, audience)
    else:
        _check_own_or_vouched(keys, keys_url, issuer, subject, audience)
    for address in (keys_url, issuer):
        if address is not None:
            checked_address(address, loopback=loopback)
    client_id = f"cli_{new_id()}"
    unit.execute(
        sa.insert(oauth_client).values(
            id=client_id,
            tenant_id=unit.tenant_id,
            connection_id=found.id,
            name=checked_name(name),
            purpose=purpose,
            issuer=issuer,
            subject=subject,
            audience=audience,
            keys=None if keys is None else _public(keys),
            keys_url=keys_url,
            created_at=unit.now,
        )
    )
    data = {"name": name, "purpose": purpose, "connection": found.id, "issuer": issuer, "subject": subject}
    record(unit, [Event("client.registered", f"client/{client_id}", data)])
    return get_client(unit, found.id, client_id)


def list_clients(unit: Unit, connection_name_or_id: str) -> list[Client]:
    """Return the clients of a connection that were not removed, oldest first.

    :raises ConnectionMissing: when the tenant has no such connection.
    """
    found = get_connection(unit, connection_name_or_id)
    statement = (
        sa.select(oauth_client)
        .where(oauth_client.c.connection_id == found.id, oauth_client.c.removed_at.is_(None))
        .order_by(oauth_client.c.created_at, oauth_client.c.id)
    )
    return [_client(row) for row in unit.execute(statement)]


def get_client(unit: Unit, connection_name_or_id: str, client_id: str) -> Client:
    """Return a client of a connection.

    :raises ConnectionMissing: when the tenant has no such connection.
    :raises ClientMissing: when the connection has no such client.
    """
    for each in list_clients(unit, connection_name_or_id):
        if each.id == client_id:
            return each
    raise ClientMissing(f"no client {client_id[:100]!r}")


def remove_client(unit: Unit, connection_name_or_id: str, client_id: str) -> Client:
    """Remove a client: from the commit on, it gets no token, and those that it has open nothing.

    :raises ConnectionMissing: when the tenant has no such connection.
    :raises ClientMissing: when the connection has no such client.
    """
    found = get_client(unit, connection_name_or_id, client_id)
    unit.execute(sa.update(oauth_client).where(oauth_client.c.id == found.id).values(removed_at=unit.now))
    unit.execute(
        sa.update(credential)
        .where(credential.c.client_id == found.id, credential.c.revoked_at.is_(None))
        .values(revoked_at=unit.now)
    )
    data = {"name": found.name, "connection": found.connection_id}
    record(unit, [Event("client.removed", f"client/{found.id}", data)])
    return found


def find_client(reading: sa.Connection, client_id: str, purpose: Purpose) -> Client | None:
    """Return a client by its id alone, when it and its connection are there still; None when not."""
    if "\0" in client_id:
        return None
    row = reading.execute(
        sa.select(oauth_client)
        .join(connection, connection.c.id == oauth_client.c.connection_id)
        .where(
            oauth_client.c.id == client_id,
            oauth_client.c.purpose == purpose,
            oauth_client.c.removed_at.is_(None),
            connection.c.disabled_at.is_(None),
        )
    ).one_or_none()
    return None if row is None else _client(row)


def issue_token(
    unit: Unit, peppers: Peppers, client: Client, *, jti: str | None, assertion_ends_at: int
) -> tuple[Credential, str]:
    """Issue a token to a client that has shown an assertion; what has long ended of it is swept away.

    :param jti: the id of the assertion, where it may be used but once.
    :param assertion_ends_at: when nobody believes the assertion any more, in microseconds.
    :raises AssertionReused: when it was used before.
    :raises ConnectionDisabled: when the connection was disabled meanwhile.
    :raises ClientMissing: when the client was removed meanwhile.
    """
    use_assertion(unit, client, jti=jti, assertion_ends_at=assertion_ends_at)
    ended = (credential.c.client_id == client.id) & (credential.c.expires_at <= unit.now - _KEPT)
    unit.execute(sa.delete(credential).where(ended))
    issued, token = issue_credential(
        unit,
        peppers,
        label=client.name,
        scopes=["scim"],
        connection_id=client.connection_id,
        lifetime=TOKEN_LIFETIME,
    )
    unit.execute(sa.update(credential).where(credential.c.id == issued.id).values(client_id=client.id))
    return issued, token


def use_assertion(unit: Unit, client: Client, *, jti: str | None, assertion_ends_at: int) -> None:
    """Note that an assertion was used, together with what it is used for.

    :param jti: the id of the assertion, where it may be used but once.
    :param assertion_ends_at: when nobody believes the assertion any more, in microseconds.
    :raises AssertionReused: when it was used before.
    :raises ConnectionDisabled: when the connection was disabled meanwhile.
    :raises ClientMissing: when the client was removed meanwhile.
    """
    get_client(unit, client.connection_id, client.id)
    if get_connection(unit, client.connection_id).disabled_at is not None:
        raise ConnectionDisabled("the connection is disabled")
    of_client = used_assertion.c.client_id == client.id
    unit.execute(sa.delete(used_assertion).where(of_client, used_assertion.c.expires_at <= unit.now))
    if jti is None:
        return
    known = sa.select(used_assertion.c.jti).where(of_client, used_assertion.c.jti == jti)
    if unit.execute(known).first() is not None:
        raise AssertionReused("the assertion was used before")
    row = {
        "client_id": client.id,
        "tenant_id": unit.tenant_id,
        "jti": jti,
        # The clock may be behind the moment of the last write by as much.
        "expires_at": assertion_ends_at + CLOCK_SLACK,
    }
    unit.execute(sa.insert(used_assertion).values(row))


def checked_address(address: str, *, loopback: bool = True) -> str:
    """Return the address of an issuer or of keys, if it may be asked.

    :param loopback: whether http will do for an address on this machine itself.
    :raises ClientInvalid: when it is neither that nor https.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    is_safe = parts.scheme == "https" or (loopback and parts.scheme == "http" and host in _LOOPBACK)
    if not is_safe or not host or "@" in parts.netloc or parts.fragment or not address.isprintable():
        raise ClientInvalid("an issuer and the address of keys are https URLs")
    return address


def _check_own_or_vouched(keys: Mapping[str, Any] | None, keys_url: str | None, *vouched: str | None) -> None:
    if [keys is not None, keys_url is not None, any(vouched)].count(True) != 1 or any(vouched) != all(
        vouched
    ):
        raise ClientInvalid(
            "give public keys (jwks), or their address (jwksUri), or issuer, subject and audience together"
        )


def _check_revoker(
    keys: Mapping[str, Any] | None,
    keys_url: str | None,
    issuer: str | None,
    subject: str | None,
    audience: str | None,
) -> None:
    if audience is not None:
        raise ClientInvalid(
            "a client for revocation has no audience to choose: it is the address that it calls"
        )
    if (not issuer) != (not subject):
        raise ClientInvalid("give issuer and subject together")
    if keys is not None and keys_url is not None:
        raise ClientInvalid("give public keys (jwks) or their address (jwksUri), not both")
    if not issuer and keys is None and keys_url is None:
        raise ClientInvalid("give issuer and subject, or public keys (jwks), or their address (jwksUri)")


def _public(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JWK set if it has public keys for signatures and nothing else."""
    listed = keys.get("keys")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_KEYS:
        raise ClientInvalid(f'jwks is a JWK set of 1 to {MOST_KEYS} keys: {{"keys": […]}} (RFC 7517 §5)')
    return {"keys": [_public_key(each) for each in listed]}


def _public_key(document: Any) -> dict[str, Any]:
    try:
        key = JWKRegistry.import_key(document)
        key.check_use("sig")
        key.check_key_op("verify")
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise ClientInvalid("jwks has something that is no public key for signatures") from None
    if key.key_type == "oct":
        raise ClientInvalid("jwks has a shared secret: send public keys only")
    if key.is_private:
        raise ClientInvalid("jwks has a private key: send public keys only, and replace that one")
    match key.public_key:
        case RSAPublicKey(key_size=size) if 2048 <= size <= 8192:
            pass
        case EllipticCurvePublicKey(curve=SECP256R1()) | Ed25519PublicKey():
            pass
        case _:
            raise ClientInvalid("a key is of RSA with 2048 to 8192 bits, P-256 or Ed25519")
    key.ensure_kid()
    return dict(key.as_dict(private=False))


def _client(row: sa.Row[Any]) -> Client:
    return Client(
        id=row.id,
        tenant_id=row.tenant_id,
        connection_id=row.connection_id,
        name=row.name,
        purpose=Purpose(row.purpose),
        issuer=row.issuer,
        subject=row.subject,
        audience=row.audience,
        keys=row._mapping["keys"],
        keys_url=row.keys_url,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
