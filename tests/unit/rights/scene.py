"""A directory at chosen moments: rows as the writes of the past would have left them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.keys.lifecycle import PURPOSE
from app.store import tables
from app.store.peppers import Peppers
from app.store.secrets import Secret, mint
from app.store.tables import FOREVER
from app.store.unit_of_work import Unit

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BEGINNING = 1_800_000_000 * SECOND
"""The moment 0 of every scene (2027-01-15T08:00:00Z); all times of its methods count from it."""

TENANT = "ten_1"


class Scene:
    """One tenant, ``ten_1``, with a recovery window of a day unless told otherwise."""

    def __init__(self, engine: Engine, *, recovery_window: int = DAY) -> None:
        self.engine = engine
        self.recovery_window = recovery_window
        self.peppers = Peppers({1: b"p" * 32})
        self.secrets: dict[str, Secret] = {}
        self.tenant(TENANT)

    def tenant(self, tenant_id: str) -> None:
        self._insert(
            tables.tenant,
            id=tenant_id,
            name=tenant_id,
            created_at=BEGINNING,
            recovery_window=self.recovery_window,
            unmatched_values="keep",
            last_write_at=0,
        )

    def user(
        self,
        user_id: str,
        *,
        active: list[tuple[int, int | None]] | None = None,
        tenant: str = TENANT,
        starts: int | None = None,
        ends: int | None = None,
        deleted: int | None = None,
    ) -> None:
        """Add a user, active in some times: from 0 on when none are given."""
        times = [(0, None)] if active is None else active
        self._insert(
            tables.consumer,
            id=user_id,
            tenant_id=tenant,
            user_name=f"{user_id}@example.com",
            active=deleted is None and (ends is not None or any(until is None for _, until in times)),
            access_starts_at=None if starts is None else BEGINNING + starts,
            access_ends_at=None if ends is None else BEGINNING + ends,
            deleted_at=None if deleted is None else BEGINNING + deleted,
        )
        for since, until in times:
            self._carrier(tables.activity, since, until, tenant_id=tenant, consumer_id=user_id)

    def value(
        self, user_id: str, value: str, since: int = 0, until: int | None = None, *, kind: str = "direct"
    ) -> None:
        self._carrier(tables.direct_value, since, until, consumer_id=user_id, kind=kind, value=value)

    def group(self, group_id: str, display: str, *, tenant: str = TENANT) -> None:
        self._insert(
            tables.resource,
            id=group_id,
            tenant_id=tenant,
            type="Group",
            document={"displayName": display},
            comparable={},
            revision=1,
            created_at=BEGINNING,
            modified_at=BEGINNING,
        )

    def member(
        self, group_id: str, member_id: str, since: int = 0, until: int | None = None, *, kind: str = "User"
    ) -> None:
        self._carrier(
            tables.membership, since, until, group_id=group_id, member_id=member_id, member_type=kind
        )

    def entitlement(self, value: str, *, roles: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> str:
        """Add an entitlement that is mapped from 0 on; return its id."""
        entitlement_id = f"ent_{value}"
        self._insert(
            tables.entitlement,
            id=entitlement_id,
            tenant_id=TENANT,
            value=value,
            audience="orders",
            scopes=["orders.read"],
            conditions={},
            issuance="manual",
        )
        self.mapping(entitlement_id, "direct", value)
        for role in roles:
            self.mapping(entitlement_id, "role", role)
        for group in groups:
            self.mapping(entitlement_id, "group", group)
        return entitlement_id

    def mapping(
        self, entitlement_id: str, kind: str, value: str, since: int = 0, until: int | None = None
    ) -> None:
        self._carrier(tables.mapping, since, until, entitlement_id=entitlement_id, kind=kind, value=value)

    def key(
        self,
        user_id: str,
        *entitlement_ids: str,
        issued: int = HOUR,
        claimed: bool = True,
        expires: int | None = None,
        revoked: tuple[int, str] | None = None,
        tenant: str = TENANT,
    ) -> str:
        key_id = f"key_{user_id}_{issued}"
        self._insert(
            tables.key,
            id=key_id,
            tenant_id=tenant,
            consumer_id=user_id,
            issued_at=BEGINNING + issued,
            claimed_at=BEGINNING + issued if claimed else None,
            expires_at=None if expires is None else BEGINNING + expires,
            revoked_at=None if revoked is None else BEGINNING + revoked[0],
            revoked_reason=None if revoked is None else revoked[1],
        )
        for entitlement_id in entitlement_ids:
            self._insert(tables.key_entitlement, key_id=key_id, entitlement_id=entitlement_id)
        if claimed:
            made = self.secrets[key_id] = mint("ks", "test")
            self._insert(
                tables.secret,
                id=made.id,
                tenant_id=tenant,
                key_id=key_id,
                digest=self.peppers.digest(PURPOSE, made.text),
                pepper=self.peppers.current,
                created_at=BEGINNING + issued,
            )
        return key_id

    @contextmanager
    def at(self, moment: int, *, tenant: str = TENANT) -> Iterator[Unit]:
        """Open a unit of work at a moment of the scene."""
        with self.engine.begin() as connection:
            yield Unit(
                connection, tenant, BEGINNING + moment, self.recovery_window, "keep", actor="test", txn="txn"
            )

    def _carrier(self, carrier: sa.Table, since: int, until: int | None, **columns: object) -> None:
        self._insert(
            carrier,
            since=BEGINNING + since,
            until=FOREVER if until is None else BEGINNING + until,
            tolerance=self.recovery_window,
            **{"tenant_id": TENANT, **columns},
        )

    def _insert(self, table: sa.Table, **columns: object) -> None:
        with self.engine.execution_options(writing=True).begin() as connection:
            connection.execute(sa.insert(table).values(**columns))
