"""The operator sees a connection that falls silent or never called, and a token that ends soon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient

from app import create_app
from app.settings import Settings
from app.store import tables
from app.store.unit_of_work import wall_clock
from tests.http.conftest import DAY, SECOND, Tenant

MINUTE = 60 * SECOND


def connection_of(tenant: Tenant) -> dict[str, Any]:
    (found,) = tenant.operator.get("/connections").get_json()["Resources"]
    return dict(found)


def kinds(tenant: Tenant) -> set[tuple[str, str | None]]:
    listed = tenant.operator.get("/warnings").get_json()["Resources"]
    return {(each["kind"], each["name"]) for each in listed}


def call_after(tenant: Tenant, pause: int) -> None:
    """Let a time pass without a call, and call."""
    be_quiet(tenant, pause)
    assert tenant.scim.get("/Users").status_code == 200


def be_quiet(tenant: Tenant, pause: int) -> None:
    of_tenant = tables.connection.c.tenant_id == tenant.id
    earlier = tables.connection.c.last_call_at - pause
    tenant.sql(sa.update(tables.connection).where(of_tenant).values(last_call_at=earlier))
    used = tables.credential.c.last_used_at - pause
    tenant.sql(
        sa.update(tables.credential)
        .where(tables.credential.c.tenant_id == tenant.id)
        .values(last_used_at=used)
    )


def test_a_connection_is_silent_after_three_of_its_usual_cycles(tenant: Tenant) -> None:
    assert tenant.scim.get("/Users").status_code == 200
    assert connection_of(tenant)["usualCycleSeconds"] is None
    for _cycle in range(3):
        call_after(tenant, 40 * MINUTE)
    usual = connection_of(tenant)["usualCycleSeconds"]
    assert 40 * 60 <= usual <= 41 * 60
    assert connection_of(tenant)["lastCallAt"]
    be_quiet(tenant, 110 * MINUTE)
    assert connection_of(tenant)["silent"] is False
    be_quiet(tenant, 15 * MINUTE)
    assert connection_of(tenant)["silent"] is True
    assert ("connection_silent", "idp") in kinds(tenant)
    assert tenant.scim.get("/Users").status_code == 200
    assert connection_of(tenant)["silent"] is False


def test_many_calls_close_together_are_no_cycle(tenant: Tenant) -> None:
    for pause in (0, MINUTE, 2 * MINUTE, 4 * MINUTE):
        call_after(tenant, pause)
    assert connection_of(tenant)["usualCycleSeconds"] is None
    be_quiet(tenant, 2 * DAY)
    assert connection_of(tenant)["silent"] is False, "a day is presumed as long as nothing is known"
    be_quiet(tenant, 2 * DAY)
    assert connection_of(tenant)["silent"] is True


def test_a_connection_that_never_called_is_told_after_a_day(tenant: Tenant) -> None:
    assert kinds(tenant) == set()
    of_tenant = tables.connection.c.tenant_id == tenant.id
    tenant.sql(sa.update(tables.connection).where(of_tenant).values(created_at=wall_clock() - 2 * DAY))
    assert kinds(tenant) == {("connection_never_called", "idp")}


def test_a_token_that_ends_soon_is_told_until_there_is_a_newer_one(tenant: Tenant) -> None:
    def ends_in(span: int) -> None:
        of_connection = tables.credential.c.connection_id == connection_of(tenant)["id"]
        tenant.sql(sa.update(tables.credential).where(of_connection).values(expires_at=wall_clock() + span))

    ends_in(31 * DAY)
    assert kinds(tenant) == set()
    ends_in(29 * DAY)
    assert kinds(tenant) == {("token_expiring", "idp")}
    (warned,) = connection_of(tenant)["warnings"]
    assert (warned["kind"], warned["since"]) == ("token_expiring", None)
    assert warned["expiresAt"] > connection_of(tenant)["createdAt"]
    assert tenant.scim.get("/Users").status_code == 200, "the identity provider notices nothing"
    connection = connection_of(tenant)["id"]
    assert tenant.operator.post(f"/connections/{connection}/tokens").status_code == 201
    assert kinds(tenant) == set()


def test_other_tokens_that_end_soon_are_told_too(tenant: Tenant) -> None:
    of_gate = (tables.credential.c.tenant_id == tenant.id) & (tables.credential.c.scopes == "gate")
    tenant.sql(sa.update(tables.credential).where(of_gate).values(expires_at=wall_clock() + DAY))
    (warned,) = tenant.operator.get("/warnings").get_json()["Resources"]
    assert (warned["kind"], warned["connection"]) == ("token_expiring", None)
    assert "gate" in warned["text"]


def test_a_connection_whose_tokens_have_all_ended_is_told(tenant: Tenant) -> None:
    of_connection = tables.credential.c.connection_id == connection_of(tenant)["id"]
    tenant.sql(sa.update(tables.credential).where(of_connection).values(expires_at=wall_clock() - SECOND))
    assert kinds(tenant) == {("connection_without_token", "idp")}
    assert tenant.operator.post(f"/connections/{connection_of(tenant)['id']}/disable").status_code == 200
    assert kinds(tenant) == set(), "a disabled connection is nothing to see to"


def test_another_tenants_warnings_are_not_told(tenant: Tenant, found: Callable[..., Tenant]) -> None:
    assert tenant.scim.get("/Users").status_code == 200
    be_quiet(tenant, 30 * DAY)
    assert ("connection_silent", "idp") in kinds(tenant)
    assert kinds(found()) == set()


def test_a_call_that_is_one_too_many_is_a_call(tenant: Tenant, limited: Callable[[int], FlaskClient]) -> None:
    idp = replace(tenant.scim, client=limited(1))
    assert idp.get("/Users").status_code == 200
    be_quiet(tenant, 30 * DAY)
    assert connection_of(tenant)["silent"] is True
    assert idp.get("/Users").status_code == 429
    assert connection_of(tenant)["silent"] is False


def test_after_how_many_cycles_is_a_setting(tenant: Tenant, settings: Settings) -> None:
    patient = create_app(replace(settings, silent_after_cycles=10)).test_client()
    assert tenant.scim.get("/Users").status_code == 200
    be_quiet(tenant, 4 * DAY)
    (seen,) = replace(tenant.operator, client=patient).get("/connections").get_json()["Resources"]
    assert (seen["silent"], connection_of(tenant)["silent"]) == (False, True)
    assert replace(tenant.operator, client=patient).get("/warnings").get_json()["totalResults"] == 0
