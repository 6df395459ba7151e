"""Changing a tenant's settings without waking the dead."""

from __future__ import annotations

import sqlalchemy as sa

from app.access.tenants import Tenant, change_tenant
from app.directory.sponsors import apply_policy
from app.keys.lifecycle import forget_rights, revoke
from app.rights.standing import KeyState, standings
from app.store.batches import batches
from app.store.tables import key
from app.store.unit_of_work import Unit

_BATCH = 1000


def change_settings(
    unit: Unit,
    *,
    recovery_window: int | None = None,
    unmatched_values: str | None = None,
    sponsor_policy: str | None = None,
) -> Tenant:
    """Change settings of the unit's tenant; what is None stays.

    Under a longer recovery window a key that is dead under the shorter one would work again, so such keys are
    revoked for good first, in the same transaction (P8).

    :param recovery_window: in microseconds.
    :param sponsor_policy: what the keys of a service user do while its sponsor is away: ``"suspend"`` makes
        them dormant, ``"keep"`` lets them work on.
    :raises SettingInvalid: when a setting is out of its range.
    """
    changed = change_tenant(
        unit,
        before_raising=revoke_lapsed,
        recovery_window=recovery_window,
        unmatched_values=unmatched_values,
        sponsor_policy=sponsor_policy,
    )
    if sponsor_policy is not None:
        apply_policy(unit)
    return changed


def revoke_lapsed(unit: Unit) -> int:
    """Revoke for good every key of the tenant whose rights are all lapsed now; return how many there were.

    A key that has lapsed rights beside others loses the lapsed ones.
    """
    alive = (
        sa.select(key.c.id)
        .where(key.c.tenant_id == unit.tenant_id, key.c.revoked_at.is_(None))
        .order_by(key.c.id)
    )
    lapsed = 0
    for some in batches(unit.execute(alive).scalars().all(), _BATCH):
        for key_id, standing in standings(unit, key.c.id.in_(some)).items():
            if standing.state is KeyState.revoked:
                revoke(unit, key_id, standing.reason or "right_lapsed")
                lapsed += 1
            elif standing.lapsed:
                forget_rights(unit, key_id, standing.lapsed)
    return lapsed
