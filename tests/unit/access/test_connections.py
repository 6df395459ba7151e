from __future__ import annotations

import pytest

from app.access.connections import (
    create_connection,
    disable_connection,
    get_connection,
    list_connections,
)
from app.access.errors import ConnectionMissing, NameInvalid, NameTaken
from app.access.tenants import Tenant, create_tenant
from app.ledger.events import timeline
from app.store.unit_of_work import Store


def test_a_connection_is_found_by_name_and_by_id(store: Store, tenant: Tenant) -> None:
    with store.writing(tenant.id, actor="system") as unit:
        okta = create_connection(unit, "okta", "okta")
        entra = create_connection(unit, "entra", "entra")
    with store.reading(tenant.id) as unit:
        assert get_connection(unit, "okta") == get_connection(unit, okta.id) == okta
        assert list_connections(unit) == [entra, okta]
        assert (okta.name, okta.dialect, okta.disabled_at) == ("okta", "okta", None)
        with pytest.raises(ConnectionMissing):
            get_connection(unit, "ping")


def test_a_connection_of_another_tenant_is_not_there(store: Store, tenant: Tenant) -> None:
    other = create_tenant(store, "other")
    with store.writing(tenant.id, actor="system") as unit:
        theirs = create_connection(unit, "okta", "field")
    with store.writing(other.id, actor="system") as unit:
        for name in (theirs.id, theirs.name):
            with pytest.raises(ConnectionMissing):
                disable_connection(unit, name)
        assert list_connections(unit) == []
        assert create_connection(unit, "okta", "field").id != theirs.id


def test_a_name_is_taken_once_and_the_unit_goes_on(store: Store, tenant: Tenant) -> None:
    with store.writing(tenant.id, actor="system") as unit:
        create_connection(unit, "okta", "field")
        with pytest.raises(NameTaken):
            create_connection(unit, "okta", "okta")
        with pytest.raises(NameInvalid):
            create_connection(unit, "", "okta")
        create_connection(unit, "entra", "field")
    with store.reading(tenant.id) as unit:
        assert [each.name for each in list_connections(unit)] == ["entra", "okta"]
        assert [each.type for each in timeline(unit)] == ["tenant.created", *["connection.created"] * 2]


def test_disabling_is_for_good_and_said_again_changes_nothing(store: Store, tenant: Tenant) -> None:
    with store.writing(tenant.id, actor="system") as unit:
        create_connection(unit, "okta", "field")
        first = disable_connection(unit, "okta")
    with store.writing(tenant.id, actor="system") as unit:
        assert disable_connection(unit, "okta") == first
        assert first.disabled_at is not None
        assert [each.type for each in timeline(unit)].count("connection.disabled") == 1
