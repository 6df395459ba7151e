"""Requests that are said twice and done once (draft-ietf-httpapi-idempotency-key-header).

What a request was answered is kept with what it did, in the same transaction (P2). A secret in the answer is
kept for ten minutes only, encrypted under a key made from the Idempotency-Key and a pepper, of which the
database has neither: who lost the answer on the way and says the very same request again can read it, and
nobody else.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.engine import Connection, Engine

from app.store.peppers import Peppers
from app.store.tables import idempotent_request
from app.store.unit_of_work import Unit, wall_clock

KEPT_FOR: Final = 24 * 3600 * 1_000_000
"""For how long a request is recognised, in microseconds."""

READABLE_FOR: Final = 600 * 1_000_000
"""For how long the secret in its answer can be read again, in microseconds."""

_FINDING: Final = "idempotency"
_SEALING: Final = "idempotency seal"
_NONCE: Final = 12


class RequestDiffers(Exception):
    """The Idempotency-Key was used for another request."""


class SecretNoLongerReadable(Exception):
    """The request was carried out, and the time is over in which its secret could be read again."""


@dataclass(frozen=True)
class Asked:
    """A request with an Idempotency-Key: whose it is, the key, and a hash of what is asked."""

    caller: str
    key: str = field(repr=False)
    fingerprint: bytes


@dataclass(frozen=True)
class Answered:
    """What a request was answered: the status, the document, and the secret that completes it."""

    status: int
    document: dict[str, Any]
    secret: str | None = field(default=None, repr=False)


def recall(unit: Unit, peppers: Peppers, asked: Asked) -> Answered | None:
    """Return what a request was answered before; None when it was not carried out within the last day.

    :raises RequestDiffers: when the caller used the key for another request.
    :raises SecretNoLongerReadable: when its answer had a secret and was given more than ten minutes ago.
    """
    _sweep(unit.connection, unit.now)
    held, whole = peppers.held(), _whole(unit, asked)
    digests = [held.digest(_FINDING, whole, version) for version in held.by_version]
    row = unit.execute(
        sa.select(idempotent_request).where(
            idempotent_request.c.tenant_id == unit.tenant_id,
            idempotent_request.c.digest.in_(digests),
        )
    ).one_or_none()
    if row is None:
        return None
    if not secrets.compare_digest(row.fingerprint, asked.fingerprint):
        raise RequestDiffers("this Idempotency-Key was used for another request: use a new one")
    document = json.loads(row.document)
    if not row.had_secret:
        return Answered(row.status, document)
    if row.sealed is None:
        raise SecretNoLongerReadable(
            "the request was carried out, but its secret can be read no more: rotate the key to get a new one"
        )
    return Answered(row.status, document, _opened(unit, peppers, asked, row))


def remember(unit: Unit, peppers: Peppers, asked: Asked, answered: Answered) -> None:
    """Keep what a request is answered, in the transaction of what it does."""
    version = peppers.current
    digest = peppers.digest(_FINDING, _whole(unit, asked), version)
    sealed = None
    if answered.secret is not None:
        nonce = secrets.token_bytes(_NONCE)
        cipher = AESGCM(peppers.digest(_SEALING, _whole(unit, asked), version))
        sealed = nonce + cipher.encrypt(nonce, answered.secret.encode(), digest)
    unit.execute(
        sa.insert(idempotent_request).values(
            digest=digest,
            tenant_id=unit.tenant_id,
            pepper=version,
            created_at=unit.now,
            fingerprint=asked.fingerprint,
            status=answered.status,
            document=json.dumps(answered.document),
            had_secret=answered.secret is not None,
            sealed=sealed,
        )
    )


def sweep(engine: Engine) -> None:
    """Erase the secrets, and then the requests, of all tenants whose time is over."""
    now = wall_clock()
    with engine.connect() as connection:
        due = connection.execute(sa.select(idempotent_request.c.digest).where(_due(now)).limit(1)).first()
    if due is not None:
        with engine.execution_options(writing=True).begin() as connection:
            _sweep(connection, now)


def _due(now: int) -> sa.ColumnElement[bool]:
    old = idempotent_request.c.created_at <= now - READABLE_FOR
    return old & (
        idempotent_request.c.sealed.is_not(None) | (idempotent_request.c.created_at <= now - KEPT_FOR)
    )


def _sweep(connection: Connection, now: int) -> None:
    over = idempotent_request.c.created_at <= now - KEPT_FOR
    connection.execute(sa.delete(idempotent_request).where(over))
    connection.execute(sa.update(idempotent_request).where(_due(now)).values(sealed=None))


def _opened(unit: Unit, peppers: Peppers, asked: Asked, row: sa.Row[Any]) -> str:
    cipher = AESGCM(peppers.digest(_SEALING, _whole(unit, asked), row.pepper))
    try:
        return cipher.decrypt(row.sealed[:_NONCE], row.sealed[_NONCE:], row.digest).decode()
    except InvalidTag:
        raise SecretNoLongerReadable("the secret that was kept for this request is damaged") from None


def _whole(unit: Unit, asked: Asked) -> str:
    return f"{unit.tenant_id}\0{asked.caller}\0{asked.key}"
