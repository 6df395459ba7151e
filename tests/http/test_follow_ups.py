"""Changes that move the keys of very many people: true at once, and followed up in batches."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.directory.follow_up_worker import FollowUpWorker
from app.directory.follow_ups import MOST_AT_ONCE, carry_on, next_follow_ups, people_of
from app.store import tables
from tests.http.conftest import Key, Tenant
from tests.http.crowd import crowd

MANY = 2 * MOST_AT_ONCE + 50


def follow_ups(tenant: Tenant) -> list[dict[str, Any]]:
    listed = tenant.operator.get("/follow-ups")
    assert listed.status_code == 200, listed.text
    found: list[dict[str, Any]] = listed.get_json()["Resources"]
    return found


def do_all(tenant: Tenant) -> None:
    FollowUpWorker(tenant.store).do_all()


def told(tenant: Tenant, kind: str) -> list[tuple[str, str]]:
    """Return of what keys events of a kind were told, and in which transaction."""
    rows = tenant.sql(
        sa.select(tables.event.c.subject, tables.event.c.txn)
        .where(tables.event.c.tenant_id == tenant.id, tables.event.c.type == kind)
        .order_by(tables.event.c.sequence)
    )
    return [(row.subject, row.txn) for row in rows]


def living(tenant: Tenant, entitlement_id: str) -> list[str]:
    """Return the holders of the keys for an entitlement that are not revoked."""
    rows = tenant.sql(
        sa.select(tables.key.c.consumer_id)
        .join(tables.key_entitlement, tables.key_entitlement.c.key_id == tables.key.c.id)
        .where(
            tables.key_entitlement.c.entitlement_id == entitlement_id,
            tables.key.c.revoked_at.is_(None),
        )
    )
    return sorted(row.consumer_id for row in rows)


@pytest.fixture
def group(tenant: Tenant) -> str:
    return tenant.group("everybody")


@pytest.fixture
def people(tenant: Tenant, group: str) -> list[Key]:
    """Many members of the group, each with a claimed key for what nothing grants them."""
    right = tenant.entitlement("nothing")
    return crowd(tenant, group, right, MANY)


def granted(tenant: Tenant, group: str, **attributes: Any) -> str:
    return tenant.entitlement("pay", groups=(group,), **attributes)


def holders(tenant: Tenant, group: str) -> list[str]:
    rows = tenant.sql(sa.select(tables.membership.c.member_id).where(tables.membership.c.group_id == group))
    return sorted(row.member_id for row in rows)


@pytest.mark.usefixtures("people")
def test_everybody_who_is_due_a_key_gets_one_and_no_more(tenant: Tenant, group: str) -> None:
    right = granted(tenant, group, keyPolicy={"issuance": "automatic"})
    assert living(tenant, right) == []
    (waiting,) = follow_ups(tenant)
    assert (waiting["kind"], waiting["done"], waiting["finishedAt"]) == ("entitlement", 0, None)
    do_all(tenant)
    assert living(tenant, right) == holders(tenant, group)
    (finished,) = follow_ups(tenant)
    assert finished["done"] == finished["total"] == MANY
    assert finished["finishedAt"]
    assert {txn for _, txn in told(tenant, "key.issued")} >= {waiting["of"]["txn"]}
    do_all(tenant)
    assert living(tenant, right) == holders(tenant, group)


@pytest.mark.usefixtures("people")
def test_work_that_broke_off_is_carried_on_where_it_was(tenant: Tenant, group: str) -> None:
    right = granted(tenant, group, keyPolicy={"issuance": "automatic"})

    def batch(*, breaks: bool) -> None:
        (wanted,) = next_follow_ups(tenant.store.engine)
        with tenant.store.reading(tenant.id) as unit:
            people = people_of(unit, wanted)
        with tenant.store.writing(tenant.id, actor="test") as unit:
            assert carry_on(unit, wanted, people) is not None
            if breaks:
                raise InterruptedError

    with pytest.raises(InterruptedError):
        batch(breaks=True)
    assert living(tenant, right) == []
    batch(breaks=False)
    assert len(living(tenant, right)) == MOST_AT_ONCE == follow_ups(tenant)[0]["done"]
    with pytest.raises(InterruptedError):
        batch(breaks=True)
    do_all(tenant)
    assert living(tenant, right) == holders(tenant, group)


@pytest.mark.usefixtures("people")
def test_of_two_workers_one_does_a_batch(tenant: Tenant, group: str) -> None:
    right = granted(tenant, group, keyPolicy={"issuance": "automatic"})
    (wanted,) = next_follow_ups(tenant.store.engine)
    with tenant.store.reading(tenant.id) as unit:
        people = people_of(unit, wanted)
    for outcome in (True, False):
        with tenant.store.writing(tenant.id, actor="test") as unit:
            assert (carry_on(unit, wanted, people) is not None) is outcome
    assert len(living(tenant, right)) == MOST_AT_ONCE


def test_what_is_taken_is_dead_at_once_and_written_down_after(tenant: Tenant, group: str) -> None:
    right = granted(tenant, group)
    keys = crowd(tenant, group, right, MANY)
    assert tenant.verify(keys[0]) == "allow"
    taken = tenant.scim.patch(f"/Entitlements/{right}", {"op": "remove", "path": "groups"})
    assert taken.status_code == 200
    assert {tenant.verify(each) for each in (keys[0], keys[-1])} == {"no_grant"}
    assert told(tenant, "key.dormant") == []
    cause = follow_ups(tenant)[0]["of"]["txn"]
    given = {"op": "add", "path": "groups", "value": [{"value": group}]}
    assert tenant.scim.patch(f"/Entitlements/{right}", given).status_code == 200
    assert {tenant.verify(each) for each in (keys[0], keys[-1])} == {"allow"}
    do_all(tenant)
    every = sorted(f"key/{each.id}" for each in keys)
    assert sorted(told(tenant, "key.dormant")) == [(each, cause) for each in every], (
        "told although it was over"
    )
    assert sorted(each for each, _ in told(tenant, "key.restored")) == every


@pytest.mark.parametrize("how", ["the group is deleted", "all its members leave", "it leaves another group"])
def test_a_group_of_many_that_loses_a_right(tenant: Tenant, group: str, how: str) -> None:
    above = tenant.group("above", group)
    right = granted(tenant, above)
    keys = crowd(tenant, group, right, MANY)
    if how == "the group is deleted":
        assert tenant.scim.delete(f"/Groups/{group}").status_code == 204
    else:
        emptied = group if how == "all its members leave" else above
        answer = tenant.scim.patch(f"/Groups/{emptied}", {"op": "replace", "path": "members", "value": []})
        assert answer.status_code == 200
    assert {tenant.verify(each) for each in (keys[0], keys[-1])} == {"no_grant"}
    do_all(tenant)
    assert sorted(each for each, _ in told(tenant, "key.dormant")) == sorted(
        f"key/{each.id}" for each in keys
    )
    assert all(each["finishedAt"] for each in follow_ups(tenant))


def test_keys_for_a_deleted_entitlement_die_at_once_and_are_revoked_after(tenant: Tenant, group: str) -> None:
    right = granted(tenant, group)
    keys = crowd(tenant, group, right, MANY)
    assert tenant.scim.delete(f"/Entitlements/{right}").status_code == 204
    assert tenant.verify(keys[0]) != "allow"
    granted(tenant, group)
    assert {tenant.verify(each) for each in (keys[0], keys[-1])} == {"right_lapsed"}
    do_all(tenant)
    assert {tenant.verify(each) for each in (keys[0], keys[-1])} == {"key_revoked"}
    assert len(told(tenant, "key.revoked")) == MANY


def test_without_a_recovery_window_what_was_taken_never_comes_back(tenant: Tenant, group: str) -> None:
    tenant.sql(sa.update(tables.tenant).where(tables.tenant.c.id == tenant.id).values(recovery_window=0))
    right = granted(tenant, group)
    keys = crowd(tenant, group, right, MANY)
    # With its brake on, a connection that takes this from so many makes nothing final.
    assert tenant.operator.post("/connections/idp/brake", {"percent": 0}).status_code == 200
    tenant.scim.patch(f"/Entitlements/{right}", {"op": "remove", "path": "groups"})
    given = {"op": "add", "path": "groups", "value": [{"value": group}]}
    assert tenant.scim.patch(f"/Entitlements/{right}", given).status_code == 200
    do_all(tenant)
    assert {tenant.verify(each) for each in keys[:3]} != {"allow"}


def test_a_few_people_need_no_follow_up(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    group = tenant.group("few", ada)
    right = granted(tenant, group, keyPolicy={"issuance": "automatic"})
    assert living(tenant, right) == [ada]
    assert follow_ups(tenant) == []
