"""A pepper that leaked: whatever has its digest under it ends for good before the pepper goes."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from app.access.credentials import revoke_credential
from app.keys.lifecycle import revoke
from app.store.tables import credential, idempotent_request, key, secret
from app.store.unit_of_work import Store, Unit

REASON: Final = "pepper_dropped"


def end_all_under(store: Store, version: int, *, actor: str) -> None:
    """Revoke, in each tenant, the keys and tokens whose digest is under one version of the pepper.

    So a file that still has the pepper, put back later, revives nothing (P8). A key that was rotated since
    loses its old secret only.
    """
    concerned = sa.union(
        *(
            sa.select(table.c.tenant_id).where(table.c.pepper == version)
            for table in (secret, credential, idempotent_request)
        )
    )
    with store.engine.connect() as connection:
        tenant_ids = sorted(connection.execute(concerned).scalars())
    for tenant_id in tenant_ids:
        with store.writing(tenant_id, actor=actor) as unit:
            _end_in_tenant(unit, version)


def _end_in_tenant(unit: Unit, version: int) -> None:
    under = sa.and_(secret.c.tenant_id == unit.tenant_id, secret.c.pepper == version)
    unit.execute(sa.update(secret).where(under, secret.c.ends_at > unit.now).values(ends_at=unit.now))
    current = (
        sa.select(secret.c.key_id)
        .join(key, key.c.id == secret.c.key_id)
        .where(under, secret.c.ends_at.is_(None), key.c.revoked_at.is_(None))
        .order_by(secret.c.key_id)
    )
    for key_id in unit.execute(current).scalars().all():
        revoke(unit, key_id, REASON)
    tokens = sa.select(credential.c.id).where(
        credential.c.tenant_id == unit.tenant_id,
        credential.c.pepper == version,
        credential.c.revoked_at.is_(None),
    )
    for credential_id in unit.execute(tokens.order_by(credential.c.id)).scalars().all():
        revoke_credential(unit, credential_id)
    unit.execute(
        sa.delete(idempotent_request).where(
            idempotent_request.c.tenant_id == unit.tenant_id, idempotent_request.c.pepper == version
        )
    )
