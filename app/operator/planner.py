"""Making plans: what requests of an identity provider would do, without doing it.

A plan is the real thing, undone: the requests are carried out by the code that serves them, one after the
other in one transaction; what became of grants and keys is read; the transaction is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from app.access.connections import get_connection
from app.directory.follow_ups import finish_own
from app.operator.errors import RequestInvalid
from app.operator.plan import Answer, Plan, Planned, ScimRequest
from app.operator.plan_reading import Deadline, Scene, read_plan
from app.store.unit_of_work import Store, Unit

MOST_REQUESTS: Final = 1000
"""How many requests one plan takes; each costs about what it costs to serve it."""

DEFAULT_SHOWN: Final = 100
MOST_SHOWN: Final = 1000
"""How many items of each list a plan shows at the most; its totals count all."""

PATIENCE: Final = 10
"""For how many seconds a plan may keep others from writing, unless its maker has more patience."""

LONGEST_PATIENCE: Final = 600

_BATCH: Final = 2_000


class Rehearse(Protocol):
    """Carries a SCIM request out in a unit of work; what is refused leaves nothing behind in it."""

    def __call__(
        self,
        unit: Unit,
        *,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        dialect: str | None,
    ) -> Answer: ...


class Planner:
    """Makes plans.

    :param rehearse: carries a request out as it would be served.
    :param dialects: the names of the dialects that a request may be read in.
    """

    def __init__(self, store: Store, rehearse: Rehearse, dialects: Collection[str]) -> None:
        self._store = store
        self._rehearse = rehearse
        self._dialects = dialects

    def plan(
        self,
        tenant_id: str,
        requests: Callable[[Unit], Sequence[ScimRequest]],
        *,
        dialect: str | None = None,
        connection: str | None = None,
        shown: int = DEFAULT_SHOWN,
        patience: float = PATIENCE,
    ) -> Plan:
        """Say what requests, one after the other, would do now; nothing of it is done.

        Until it is made nobody else can write to the tenant and, with SQLite, to the database; readers can.

        :param requests: returns the requests, given the directory as it is.
        :param dialect: how they are read; None is the dialect of the connection, or the default one.
        :param connection: the name or id of the one that would send them; its brake is in the plan then.
        :param shown: how many items of each list to return.
        :param patience: for how many seconds others may be kept from writing.
        :raises PlanTooLong: when it takes longer than that; nothing is left of it.
        :raises ConnectionMissing: when the tenant has no such connection.
        :raises RequestInvalid: when there is no such dialect, or no request, or there are too many.
        :raises StoreError: when the store does not answer, as the errors of SQLAlchemy that say so.
        """
        if dialect is not None and dialect not in self._dialects:
            raise RequestInvalid(f"there is no dialect {dialect!r}, only {', '.join(sorted(self._dialects))}")
        actor = "plan"
        if connection is not None:
            with self._store.reading(tenant_id) as unit:
                sender = get_connection(unit, connection)
            actor, dialect = f"connection:{sender.id}", dialect or sender.dialect
        deadline = Deadline(patience)
        with self._store.rehearsing(tenant_id, actor=actor) as begin:
            unit = begin()
            since, asked = unit.now, requests(unit)
            if not 0 < len(asked) <= MOST_REQUESTS:
                raise RequestInvalid(f"a plan is of 1 to {MOST_REQUESTS} requests, not {len(asked)}")
            scene = Scene(unit)
            answered, places = [], {}
            for place, request in enumerate(asked, start=1):
                unit = begin() if place > 1 else unit
                places[unit.txn] = place
                answer = self._rehearse(
                    unit,
                    method=request.method,
                    path=request.path,
                    body=request.body,
                    headers=request.headers,
                    dialect=dialect,
                )
                deadline.check()
                for _ in finish_own(unit, most=_BATCH):
                    deadline.check()
                answered.append(Planned(request, answer))
            return read_plan(unit, scene, answered, places, since=since, shown=shown, deadline=deadline)
