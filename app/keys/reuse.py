"""The reuse of a dead secret: somebody still has it, or somebody else has."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from app.ledger.events import Event, record
from app.store.tables import key, secret
from app.store.unit_of_work import Unit

INTERVAL: Final = 3600 * 1_000_000
"""For how long a secret's reuse is not reported again, in microseconds."""


def report_reuse(unit: Unit, secret_id: str, reason: str) -> bool:
    """Record that a dead secret of the tenant was used, unless that was done within the hour.

    :param reason: the gate's code for why it is dead.
    :return: whether it was recorded.
    """
    noted = unit.execute(
        sa.update(secret)
        .where(
            secret.c.tenant_id == unit.tenant_id,
            secret.c.id == secret_id,
            sa.or_(secret.c.reuse_reported_at.is_(None), secret.c.reuse_reported_at <= unit.now - INTERVAL),
        )
        .values(reuse_reported_at=unit.now)
        .returning(secret.c.key_id)
    ).scalar_one_or_none()
    if noted is None:
        return False
    holder = unit.execute(sa.select(key.c.consumer_id).where(key.c.id == noted)).scalar_one()
    data = {"consumer": holder, "secret": secret_id, "reason": reason}
    record(unit, [Event("key.dead_secret_used", f"key/{noted}", data)])
    return True
