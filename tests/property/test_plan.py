"""P3: a plan says what a request would do and does none of it; the request then does exactly that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from werkzeug.test import TestResponse

from app.rights.grants import grants
from app.rights.standing import Standing, standings
from app.store import tables
from tests.http.conftest import Tenant
from tests.property.lifecycle_machine import LifecycleMachine

FINAL = ("revoked", "expired")

Grants = dict[tuple[str, str], frozenset[tuple[str, str]]]
Told = tuple[Any, ...]


class PlanningMachine(LifecycleMachine):
    """Plans every request of the identity provider before it is sent."""

    def send(self, method: str, path: str, body: Any = None) -> TestResponse:
        asked = {"method": method, "path": path, **({} if body is None else {"body": body})}
        kept = self.rows()
        answer = self.tenant.operator.post("/plan", {"requests": [asked], "connection": "idp", "shown": 1000})
        assert answer.status_code == 200, answer.text
        assert self.rows() == kept
        plan = answer.get_json()
        (request,) = plan["requests"]
        granted, keys, resources, written = self.grants(), self.keys(), self.resources(), self.last_event()

        done = super().send(method, path, body)

        assert request["status"] == done.status_code
        if done.status_code >= 400:
            error = done.get_json()
            assert (request["scimType"], request["detail"]) == (error.get("scimType"), error["detail"])
        made = self.resources() - resources
        assert Counter(map(_planned_grant, plan["grantsGained"])) == _gone(self.grants(), granted, made)
        assert Counter(map(_planned_grant, plan["grantsLost"])) == _gone(granted, self.grants(), made)
        assert Counter(map(_planned_key, plan["keys"])) == _moved(keys, self.keys(), made)
        events = self.tenant.operator.get("/events", after=written, limit=1000).get_json()["Resources"]
        assert [each["type"] for each in plan["events"]] == [each["type"] for each in events]
        assert plan["totals"] == {
            "requestsRefused": int(done.status_code >= 400),
            "consumers": plan["totals"]["consumers"],
            "grantsGained": len(plan["grantsGained"]),
            "grantsLost": len(plan["grantsLost"]),
            "keys": Counter(each["change"] for each in plan["keys"]),
            "events": Counter(each["type"] for each in events),
        }
        return done

    def grants(self) -> Grants:
        with self.tenant.store.reading(self.tenant.id) as unit:
            return {
                (each.consumer_id, each.entitlement_id): frozenset(
                    (why.reason, why.via) for why in each.reasons
                )
                for each in grants(unit)
            }

    def keys(self) -> dict[str, Standing]:
        with self.tenant.store.reading(self.tenant.id) as unit:
            return standings(unit, sa.true())

    def resources(self) -> set[str]:
        of_tenant = tables.resource.c.tenant_id == self.tenant.id
        return {row.id for row in self.tenant.sql(sa.select(tables.resource.c.id).where(of_tenant))}

    def last_event(self) -> int:
        ((last,),) = self.tenant.sql(
            sa.select(sa.func.max(tables.event.c.sequence)).where(tables.event.c.tenant_id == self.tenant.id)
        )
        return int(last or 0)

    def rows(self) -> dict[str, list[Any]]:
        """Every row of the tenant, but for the last use of the credential that asks."""
        kept = {}
        for table in tables.metadata.sorted_tables:
            if table is tables.decision_count:
                # It counts what was decided for all tenants together.
                continue
            columns = [each for each in table.c if each.name != "last_used_at"]
            owner = table.c.get("tenant_id", table.c.id if table is tables.tenant else None)
            if owner is None:
                # Only what keys were issued for: its rows are the tenant's by their keys.
                assert table is tables.key_entitlement, table.name
                owned = table.c.key_id.in_(
                    sa.select(tables.key.c.id).where(tables.key.c.tenant_id == self.tenant.id)
                )
            else:
                owned = owner == self.tenant.id
            kept[table.name] = sorted(map(tuple, self.tenant.sql(sa.select(*columns).where(owned))), key=repr)
        return kept


def _planned_grant(grant: dict[str, Any]) -> Told:
    return (
        grant["consumer"]["value"],
        grant["entitlement"]["value"],
        frozenset((each["reason"], each["via"]) for each in grant["reasons"]),
    )


def _gone(had: Grants, has: Grants, made: set[str]) -> Counter[Told]:
    """The grants that were there and are not; what was made just now had no id when it was planned."""
    return Counter(
        (*(None if each in made else each for each in pair), reasons)
        for pair, reasons in had.items()
        if pair not in has
    )


def _planned_key(key: dict[str, Any]) -> Told:
    return (
        key["id"],
        key["consumer"]["value"],
        key["change"],
        key["before"],
        key["after"],
        key["reason"],
        *(frozenset(each["value"] for each in key[rights]) for rights in ("rightsLost", "rightsGained")),
    )


def _moved(before: dict[str, Standing], after: dict[str, Standing], made: set[str]) -> Counter[Told]:
    """What became of each key that stands otherwise than before."""
    moved: list[Told] = []

    def named(ids: frozenset[str]) -> frozenset[str | None]:
        return frozenset(None if each in made else each for each in ids)

    for key_id, now in after.items():
        was = before.get(key_id)
        holder = None if now.consumer_id in made else now.consumer_id
        if was is None:
            moved.append(
                (None, holder, "issued", None, now.state, now.reason, frozenset(), named(now.rights))
            )
        elif (was.state, was.rights) != (now.state, now.rights):
            lost, gained = was.rights - now.rights, now.rights - was.rights
            if was.state == now.state:
                change = "narrowed" if lost else "widened"
            elif was.state == "dormant" and now.state not in FINAL:
                change = "restored"
            else:
                change = now.state
            told = key_id, holder, change, was.state, now.state, now.reason, named(lost), named(gained)
            moved.append(told)
    return Counter(moved)


def planned_and_done(found: Callable[..., Tenant], *, runs: int, length: int) -> None:
    class Machine(PlanningMachine):
        steps = [0]  # noqa: RUF012

    Machine.found = staticmethod(found)
    limits = settings(
        max_examples=runs,
        stateful_step_count=length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=limits)


def test_a_request_does_exactly_what_was_planned(found: Callable[..., Tenant]) -> None:
    planned_and_done(found, runs=3, length=20)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_requests_do_exactly_what_was_planned(found: Callable[..., Tenant]) -> None:
    planned_and_done(found, runs=40, length=40)
