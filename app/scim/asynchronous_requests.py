"""Requests that were answered before they are carried out, as rows (RFC 9967)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from scim2_server.requests import ScimRequest
from sqlalchemy.engine import Engine

from app.store.tables import asynchronous_request
from app.store.unit_of_work import Unit

MOST_PENDING: Final = 1000
"""How many requests of one connection may wait to be carried out."""

MOST_PENDING_BYTES: Final = 256 * 1024 * 1024
"""How large their bodies may be together, in bytes."""

_KEPT_HEADERS: Final = ("Content-Type", "If-Match", "If-None-Match")
"""What of a request's headers its meaning depends on. Its credential is none of them."""


class TooManyPending(Exception):
    """The connection has as many requests waiting as it may have."""


@dataclass(frozen=True)
class Waiting:
    """The request of a tenant that is to be carried out next."""

    txn: str
    tenant_id: str
    connection_id: str


@dataclass(frozen=True)
class AsynchronousRequest:
    """A request that is not carried out yet."""

    txn: str
    connection_id: str
    request: ScimRequest


@dataclass(frozen=True)
class Result:
    """What became of a request; ``document`` is None while it is not carried out."""

    document: dict[str, Any] | None


def accept(unit: Unit, connection_id: str, request: ScimRequest) -> None:
    """Store a request, to be carried out as the transaction ``unit.txn`` after all that were accepted before.

    :raises TooManyPending: when the connection has too many waiting already.
    """
    each = asynchronous_request.c
    size = sa.func.coalesce(sa.func.sum(sa.func.length(each.body)), 0)
    pending = unit.execute(
        sa.select(sa.func.count().label("number"), size.label("size")).where(
            each.tenant_id == unit.tenant_id, each.connection_id == connection_id, each.done_at.is_(None)
        )
    ).one()
    if pending.number >= MOST_PENDING or pending.size + len(request.body) > MOST_PENDING_BYTES:
        raise TooManyPending(f"{pending.number} requests of this connection wait to be carried out")
    headers = {name: request.header(name) for name in _KEPT_HEADERS}
    unit.execute(
        sa.insert(asynchronous_request).values(
            txn=unit.txn,
            tenant_id=unit.tenant_id,
            connection_id=connection_id,
            accepted_at=unit.now,
            method=request.method,
            base_url=request.base_url,
            path=request.path,
            query=dict(request.query),
            headers={name: value for name, value in headers.items() if value is not None},
            body=request.body,
        )
    )


def waiting(engine: Engine) -> list[Waiting]:
    """Return the request of each tenant that is to be carried out next, unless somebody is at it."""
    each = asynchronous_request.c
    oldest = (
        sa.select(each.tenant_id, sa.func.min(each.accepted_at).label("accepted_at"))
        .where(each.done_at.is_(None))
        .group_by(each.tenant_id)
        .subquery()
    )
    with engine.begin() as connection:
        txns = connection.execute(
            sa.select(each.txn)
            .join(
                oldest,
                sa.and_(each.tenant_id == oldest.c.tenant_id, each.accepted_at == oldest.c.accepted_at),
            )
            .where(each.done_at.is_(None))
            .order_by(each.accepted_at)
        ).scalars()
        free = (
            sa.select(each.txn, each.tenant_id, each.connection_id)
            .where(each.txn.in_(list(txns)), each.done_at.is_(None))
            .order_by(each.accepted_at)
            .with_for_update(skip_locked=True)
        )
        return [Waiting(*row) for row in connection.execute(free)]


def take(unit: Unit, txn: str) -> AsynchronousRequest | None:
    """Return a request that is to be carried out in this unit; None when that has been done.

    The writes of a tenant follow one another, so whoever takes it is alone with it until the unit ends.
    """
    row = unit.execute(
        sa.select(asynchronous_request)
        .where(
            asynchronous_request.c.tenant_id == unit.tenant_id,
            asynchronous_request.c.txn == txn,
            asynchronous_request.c.done_at.is_(None),
        )
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    request = ScimRequest(
        method=row.method,
        base_url=row.base_url,
        path=row.path,
        query=row.query,
        headers=row.headers,
        body=row.body,
    )
    return AsynchronousRequest(row.txn, row.connection_id, request)


def finish(unit: Unit, txn: str, document: dict[str, Any]) -> None:
    """Note that a request is carried out, and what became of it; what it said is forgotten."""
    unit.execute(
        sa.update(asynchronous_request)
        .where(asynchronous_request.c.tenant_id == unit.tenant_id, asynchronous_request.c.txn == txn)
        .values(done_at=unit.now, result=document, body=None)
    )


def find_result(unit: Unit, connection_id: str | None, txn: str, *, kept_for: int) -> Result | None:
    """Return what became of a request of a connection; None for one that is unknown, or of another.

    :param kept_for: for how many microseconds a result is shown.
    """
    each = asynchronous_request.c
    wanted = sa.select(each.done_at, each.result).where(
        each.tenant_id == unit.tenant_id, each.connection_id == connection_id, each.txn == txn
    )
    # PostgreSQL takes no text with a NUL, and no transaction has one.
    row = None if "\0" in txn else unit.execute(wanted).one_or_none()
    if row is None or (row.done_at is not None and row.done_at <= unit.now - kept_for):
        return None
    return Result(None if row.done_at is None else row.result)


def tenants_to_sweep(engine: Engine, before: int) -> list[str]:
    """Return the tenants with requests that were done before a time."""
    each = asynchronous_request.c
    with engine.begin() as connection:
        return list(
            connection.execute(sa.select(each.tenant_id).where(each.done_at < before).distinct()).scalars()
        )


def sweep(unit: Unit, before: int) -> None:
    """Remove the tenant's requests that were done before a time, with their results."""
    each = asynchronous_request.c
    unit.execute(
        sa.delete(asynchronous_request).where(each.tenant_id == unit.tenant_id, each.done_at < before)
    )
