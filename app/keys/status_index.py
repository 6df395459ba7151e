"""The places of secrets in the status lists of their tenant (draft-ietf-oauth-status-list).

A place is drawn at random within its list, so that it says nothing of when its secret was made or what was
made beside it.
"""

from __future__ import annotations

import secrets
from typing import Final

import sqlalchemy as sa

from app.store.tables import secret
from app.store.unit_of_work import Unit

LIST_SIZE: Final = 2**15
"""How many places one list has."""

_DRAWS: Final = 16


def draw_status_index(unit: Unit) -> int:
    """Return a place of the tenant that no secret has; ``index // LIST_SIZE`` is the number of its list.

    A new list is begun when sixteen draws from the last one all find somebody there: at nine tenths full that
    is one time in five. A tenant's writes follow one another, so no two secrets draw the same place.
    """
    of_tenant = secret.c.tenant_id == unit.tenant_id
    last = unit.execute(sa.select(sa.func.max(secret.c.status_index)).where(of_tenant)).scalar() or 0
    start = last // LIST_SIZE * LIST_SIZE
    drawn = [start + secrets.randbelow(LIST_SIZE) for _ in range(_DRAWS)]
    taken = sa.select(secret.c.status_index).where(of_tenant, secret.c.status_index.in_(drawn))
    occupied = set(unit.execute(taken).scalars())
    free = (each for each in drawn if each not in occupied)
    return next(free, start + LIST_SIZE + secrets.randbelow(LIST_SIZE))
