"""The digests of secrets: under which pepper they are, and how they come under a newer one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.store.tables import consumer, credential, idempotent_request, key, secret


@dataclass(frozen=True)
class DigestMove:
    """A secret's digest as it was found, and the same secret's under a newer version of the pepper."""

    secret_id: str
    found: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    version: int


def move_digests(connection: Connection, moves: Iterable[DigestMove]) -> None:
    """Put digests under a newer pepper; one that was moved meanwhile stays as it is.

    A digest can only be made from the secret itself, so this happens when the secret is used.
    """
    # In one order, so that two processes that move the same ones do not wait for each other.
    for each in sorted(moves, key=lambda move: move.secret_id):
        connection.execute(
            sa.update(secret)
            .where(
                secret.c.id == each.secret_id, secret.c.digest == each.found, secret.c.pepper < each.version
            )
            .values(digest=each.digest, pepper=each.version)
        )


@dataclass(frozen=True)
class PepperUse:
    """What has its digest under one version of the pepper, over all tenants.

    ``dead_secrets`` are tombstones: kept to recognise a reuse. ``requests`` are those that an
    ``Idempotency-Key`` keeps from being done twice; they go within a day.
    """

    version: int
    living_secrets: int
    dead_secrets: int
    credentials: int
    requests: int

    @property
    def living(self) -> int:
        """How much stops working when the pepper goes."""
        return self.living_secrets + self.credentials + self.requests


def pepper_uses(connection: Connection, now: int) -> list[PepperUse]:
    """Return what is under each version of the pepper that anything is under, oldest first."""
    alive = sa.and_(
        sa.or_(secret.c.ends_at.is_(None), secret.c.ends_at > now),
        key.c.revoked_at.is_(None),
        sa.or_(key.c.expires_at.is_(None), key.c.expires_at > now),
        consumer.c.deleted_at.is_(None),
    )
    secrets = (
        sa.select(
            secret.c.pepper,
            sa.func.count().filter(alive).label("living"),
            sa.func.count().filter(sa.not_(alive)).label("dead"),
        )
        .join(key, key.c.id == secret.c.key_id)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .group_by(secret.c.pepper)
    )
    by_version = {row.pepper: (row.living, row.dead) for row in connection.execute(secrets)}
    open_ = sa.and_(credential.c.revoked_at.is_(None), credential.c.expires_at > now)
    credentials = _counted(connection, credential, open_)
    requests = _counted(connection, idempotent_request, sa.true())
    return [
        PepperUse(
            version, *by_version.get(version, (0, 0)), credentials.get(version, 0), requests.get(version, 0)
        )
        for version in sorted({*by_version, *credentials, *requests})
    ]


def _counted(connection: Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> dict[int, int]:
    statement = sa.select(table.c.pepper, sa.func.count()).where(which).group_by(table.c.pepper)
    return {row[0]: row[1] for row in connection.execute(statement)}
