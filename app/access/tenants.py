"""Tenants: isolated directories, each with its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from app.access.errors import NameTaken, SettingInvalid, TenantMissing
from app.access.names import checked_name
from app.ledger.events import Event, record
from app.store.tables import tenant
from app.store.unit_of_work import Store, Unit, new_id, wall_clock

DEFAULT_RECOVERY_WINDOW: Final = 24 * 3600 * 1_000_000
"""How long, in microseconds, a consumer may be away and keep a working key, unless the tenant differs."""

LONGEST_RECOVERY_WINDOW: Final = 366 * 24 * 3600 * 1_000_000

KEEP: Final = "keep"
REFUSE: Final = "refuse"
SUSPEND: Final = "suspend"


@dataclass(frozen=True)
class Tenant:
    """A tenant and its settings. Times and the recovery window are in microseconds."""

    id: str
    name: str
    created_at: int
    recovery_window: int
    unmatched_values: str
    sponsor_policy: str


@contextmanager
def founding(
    store: Store,
    name: str,
    *,
    recovery_window: int = DEFAULT_RECOVERY_WINDOW,
    unmatched_values: str = KEEP,
    actor: str = "system",
) -> Iterator[Unit]:
    """Open a unit of work in which a new tenant exists; the tenant commits with all that is done in it.

    :param recovery_window: in microseconds; 0 means that a deactivation kills keys for good.
    :param unmatched_values: what a value that names no entitlement gets: ``"keep"`` or ``"refuse"``.
    :raises NameInvalid: when the name may not be one.
    :raises NameTaken: when another tenant has it.
    :raises SettingInvalid: when a setting is out of its range.
    """
    checked_name(name)
    _check(recovery_window, unmatched_values)
    tenant_id, now = f"ten_{new_id()}", wall_clock()
    with store.engine.execution_options(writing=True).begin() as connection:
        try:
            connection.execute(
                sa.insert(tenant).values(
                    id=tenant_id,
                    name=name,
                    created_at=now,
                    recovery_window=recovery_window,
                    unmatched_values=unmatched_values,
                    last_write_at=now,
                )
            )
        except sa.exc.IntegrityError:
            raise NameTaken(f"a tenant {name!r} exists already") from None
        unit = Unit(connection, tenant_id, now, recovery_window, unmatched_values, actor, new_id())
        settings = {"recoveryWindow": recovery_window, "unmatchedValues": unmatched_values}
        record(unit, [Event("tenant.created", f"tenant/{tenant_id}", {"name": name, **settings})])
        yield unit


def create_tenant(
    store: Store,
    name: str,
    *,
    recovery_window: int = DEFAULT_RECOVERY_WINDOW,
    unmatched_values: str = KEEP,
    actor: str = "system",
) -> Tenant:
    """Create a tenant with nothing in it; parameters and exceptions are those of :func:`founding`."""
    with founding(
        store, name, recovery_window=recovery_window, unmatched_values=unmatched_values, actor=actor
    ) as unit:
        return this_tenant(unit)


def list_tenants(store: Store) -> list[Tenant]:
    """Return all tenants, by name."""
    with store.engine.begin() as connection:
        return [_tenant(row) for row in connection.execute(sa.select(tenant).order_by(tenant.c.name))]


def get_tenant(store: Store, name_or_id: str) -> Tenant:
    """Return the tenant with this id or, where there is none, this name.

    :raises TenantMissing: when there is neither.
    """
    statement = (
        sa.select(tenant)
        .where(sa.or_(tenant.c.id == name_or_id, tenant.c.name == name_or_id))
        .order_by(sa.desc(tenant.c.id == name_or_id))
    )
    with store.engine.begin() as connection:
        row = connection.execute(statement).first()
    if row is None:
        raise TenantMissing(f"no tenant {name_or_id!r}")
    return _tenant(row)


def this_tenant(unit: Unit) -> Tenant:
    """Return the tenant that a unit of work belongs to."""
    return _tenant(unit.execute(sa.select(tenant).where(tenant.c.id == unit.tenant_id)).one())


def change_tenant(
    unit: Unit,
    *,
    before_raising: Callable[[Unit], object],
    recovery_window: int | None = None,
    unmatched_values: str | None = None,
    sponsor_policy: str | None = None,
) -> Tenant:
    """Change settings of the unit's tenant; what is None stays.

    A longer recovery window would bring keys back that were dead under the shorter one (P8). So when it is
    raised, ``before_raising`` is called first, in the same transaction: it revokes for good every key of the
    tenant that is dead now. ``unit.recovery_window`` keeps the old window until the unit ends.

    :raises SettingInvalid: when a setting is out of its range.
    """
    old = this_tenant(unit)
    window = old.recovery_window if recovery_window is None else recovery_window
    values = old.unmatched_values if unmatched_values is None else unmatched_values
    policy = old.sponsor_policy if sponsor_policy is None else sponsor_policy
    _check(window, values, policy)
    changes: dict[str, Any] = {}
    if window != old.recovery_window:
        changes["recoveryWindow"] = {"from": old.recovery_window, "to": window}
    if values != old.unmatched_values:
        changes["unmatchedValues"] = {"from": old.unmatched_values, "to": values}
    if policy != old.sponsor_policy:
        changes["sponsorPolicy"] = {"from": old.sponsor_policy, "to": policy}
    if not changes:
        return old
    if window > old.recovery_window:
        before_raising(unit)
    unit.execute(
        sa.update(tenant)
        .where(tenant.c.id == unit.tenant_id)
        .values(recovery_window=window, unmatched_values=values, sponsor_policy=policy)
    )
    record(unit, [Event("tenant.changed", f"tenant/{unit.tenant_id}", changes)])
    return this_tenant(unit)


def _check(recovery_window: int, unmatched_values: str, sponsor_policy: str = SUSPEND) -> None:
    if not 0 <= recovery_window <= LONGEST_RECOVERY_WINDOW:
        raise SettingInvalid("a recovery window is from 0 seconds to 366 days long")
    if unmatched_values not in (KEEP, REFUSE):
        raise SettingInvalid(f"unmatched values are {KEEP!r} or {REFUSE!r}")
    if sponsor_policy not in (KEEP, SUSPEND):
        raise SettingInvalid(f"the sponsor policy is {KEEP!r} or {SUSPEND!r}")


def _tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(
        row.id, row.name, row.created_at, row.recovery_window, row.unmatched_values, row.sponsor_policy
    )
