from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.access.connections import Connection, create_connection, disable_connection
from app.access.credentials import (
    Credential,
    find_credential,
    get_credential,
    issue_credential,
    list_credentials,
    revoke_credential,
    rotate_credential,
)
from app.access.errors import (
    ConnectionDisabled,
    ConnectionMissing,
    CredentialEnded,
    CredentialInvalid,
    CredentialMissing,
    NameInvalid,
)
from app.access.tenants import Tenant, create_tenant
from app.ledger.events import timeline
from app.store.peppers import Peppers
from app.store.tables import credential, event
from app.store.tables import tenant as tenant_table
from app.store.unit_of_work import ClockAbsurd, Store, wall_clock

SECOND = 1_000_000


def issue(
    store: Store, peppers: Peppers, tenant: Tenant, *scopes: str, lifetime: int = 3600
) -> tuple[Credential, str]:
    with store.writing(tenant.id, actor="system") as unit:
        return issue_credential(unit, peppers, label="test", scopes=scopes, lifetime=lifetime)


@pytest.fixture
def connection(store: Store, tenant: Tenant) -> Connection:
    with store.writing(tenant.id, actor="system") as unit:
        return create_connection(unit, "okta", "rfc-strict")


@pytest.fixture
def scim(store: Store, peppers: Peppers, connection: Connection) -> tuple[Credential, str]:
    with store.writing(connection.tenant_id, actor="system") as unit:
        return issue_credential(unit, peppers, label="idp", scopes=["scim"], connection_id=connection.id)


def test_a_token_opens_its_credential(
    store: Store, peppers: Peppers, tenant: Tenant, connection: Connection, scim: tuple[Credential, str]
) -> None:
    issued, token = scim
    found = find_credential(store, peppers, token)
    assert found == issued
    assert (found.tenant_id, found.scopes) == (tenant.id, ("scim",))
    assert (found.connection_id, found.connection_name, found.dialect) == (
        connection.id,
        "okta",
        "rfc-strict",
    )
    assert found.actor == f"connection:{connection.id}"
    assert token.startswith(f"kst_scim_{issued.id}_")
    assert found.expires_at - found.created_at == 365 * 24 * 3600 * SECOND


def test_the_first_scope_is_in_the_text_whatever_order_they_come_in(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    issued, token = issue(store, peppers, tenant, "audit", "gate", "operator")
    assert issued.scopes == ("operator", "gate", "audit")
    assert token.startswith("kst_operator_")
    assert issued.actor == f"credential:{issued.id}"


def test_neither_table_nor_event_nor_repr_holds_the_token(
    store: Store, peppers: Peppers, scim: tuple[Credential, str]
) -> None:
    issued, token = scim
    kept = token.rsplit("_", 1)[1]
    with store.engine.begin() as connection:
        rows = [*connection.execute(sa.select(credential)), *connection.execute(sa.select(event))]
    assert len(rows) == 4
    for row in [*rows, issued]:
        assert kept not in repr(row)
        assert kept.encode() not in repr(row).encode()


def test_what_is_unknown_opens_nothing(store: Store, peppers: Peppers, scim: tuple[Credential, str]) -> None:
    _, token = scim
    other = Peppers({1: b"2" * 32})
    assert find_credential(store, other, token) is None
    assert find_credential(store, peppers, token[:-1] + ("0" if token[-1] != "0" else "1")) is None
    for text in ("", "x", "Bearer", "é" * 80, token + " ", token.upper()):
        assert find_credential(store, peppers, text) is None


def test_garbage_costs_no_look_up(store: Store, peppers: Peppers, scim: tuple[Credential, str]) -> None:
    statements: list[str] = []
    sa.event.listen(store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    _, token = scim
    find_credential(store, peppers, f"{token[:-1]}-")
    find_credential(store, peppers, token[:-2] + token[-1] + token[-2] if token[-1] != token[-2] else "x")
    assert statements == []
    find_credential(store, peppers, token)
    assert [each for each in statements if each.startswith("SELECT")] == statements[-1:]


def test_the_secret_of_a_key_is_no_token(store: Store, peppers: Peppers, tenant: Tenant) -> None:
    issued, token = issue(store, peppers, tenant, "operator")
    digest = peppers.digest("key", token)
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(credential).where(credential.c.id == issued.id).values(digest=digest))
    assert find_credential(store, peppers, token) is None


def test_a_newer_pepper_keeps_old_tokens_and_makes_new_ones(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    _, old = issue(store, peppers, tenant, "gate")
    both = Peppers({**peppers.by_version, 2: b"2" * 32})
    _, new = issue(store, both, tenant, "gate")
    assert find_credential(store, both, old) is not None
    assert find_credential(store, both, new) is not None
    assert find_credential(store, peppers, new) is None
    assert find_credential(store, Peppers({2: b"2" * 32}), old) is None


def test_an_expired_token_opens_nothing_and_says_why(store: Store, peppers: Peppers, tenant: Tenant) -> None:
    issued, token = issue(store, peppers, tenant, "gate")
    assert issued.ended(issued.expires_at - 1) is None
    assert issued.ended(issued.expires_at) == "the token has expired"
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(credential).values(expires_at=wall_clock()))
    with pytest.raises(CredentialEnded, match="expired"):
        find_credential(store, peppers, token)


def test_expiry_follows_the_last_write_when_the_clock_goes_back(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    issued, token = issue(store, peppers, tenant, "gate", lifetime=100)
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(tenant_table).values(last_write_at=issued.expires_at))
    with pytest.raises(CredentialEnded, match="expired"):
        find_credential(store, peppers, token)


def test_an_absurd_clock_lets_nobody_in(store: Store, peppers: Peppers, tenant: Tenant) -> None:
    _, token = issue(store, peppers, tenant, "gate", lifetime=10**9)
    with store.engine.execution_options(writing=True).begin() as connection:
        connection.execute(sa.update(tenant_table).values(last_write_at=wall_clock() + 3600 * SECOND))
    with pytest.raises(ClockAbsurd):
        find_credential(store, peppers, token)


def test_revoking_is_for_good_and_said_again_changes_nothing(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    issued, token = issue(store, peppers, tenant, "operator")
    with store.writing(tenant.id, actor="system") as unit:
        first = revoke_credential(unit, issued.id)
    with store.writing(tenant.id, actor="system") as unit:
        assert revoke_credential(unit, issued.id) == first
        assert [each.type for each in timeline(unit)].count("credential.revoked") == 1
        with pytest.raises(CredentialEnded, match="revoked"):
            rotate_credential(unit, peppers, issued.id)
    with pytest.raises(CredentialEnded, match="revoked"):
        find_credential(store, peppers, token)


def test_the_tokens_of_a_disabled_connection_open_nothing(
    store: Store, peppers: Peppers, connection: Connection, scim: tuple[Credential, str]
) -> None:
    issued, token = scim
    with store.writing(connection.tenant_id, actor="system") as unit:
        disable_connection(unit, connection.id)
        with pytest.raises(ConnectionDisabled):
            issue_credential(unit, peppers, label="x", scopes=["scim"], connection_id=connection.id)
        with pytest.raises(CredentialEnded, match="disabled"):
            rotate_credential(unit, peppers, issued.id)
    with pytest.raises(CredentialEnded, match="connection of the token is disabled"):
        find_credential(store, peppers, token)


def test_after_a_rotation_both_tokens_work_until_the_overlap_is_over(
    store: Store, peppers: Peppers, scim: tuple[Credential, str]
) -> None:
    old, old_token = scim
    with store.writing(old.tenant_id, actor="system") as unit:
        new, new_token = rotate_credential(unit, peppers, old.id, lifetime=7200)
        rotated = timeline(unit)[-1]
        now = unit.now
    found = find_credential(store, peppers, old_token)
    assert found is not None
    assert found.expires_at == now + 24 * 3600 * SECOND
    assert find_credential(store, peppers, new_token) == new
    same = ("label", "scopes", "connection_id", "dialect", "tenant_id")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    assert new.expires_at == now + 7200 * SECOND
    assert (rotated.type, rotated.subject) == ("credential.rotated", f"credential/{new.id}")
    assert (rotated.data["replaces"], rotated.data["oldExpiresAt"]) == (old.id, found.expires_at)


def test_an_overlap_of_nothing_ends_the_old_token_at_once(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    old, old_token = issue(store, peppers, tenant, "operator")
    with store.writing(tenant.id, actor="system") as unit:
        _, token = rotate_credential(unit, peppers, old.id, overlap=0)
    assert find_credential(store, peppers, token) is not None
    with pytest.raises(CredentialEnded, match="expired"):
        find_credential(store, peppers, old_token)


def test_an_overlap_never_lengthens_the_life_of_the_old_token(
    store: Store, peppers: Peppers, tenant: Tenant
) -> None:
    old, _ = issue(store, peppers, tenant, "operator", lifetime=60)
    with store.writing(tenant.id, actor="system") as unit:
        rotate_credential(unit, peppers, old.id, overlap=3600)
        assert get_credential(unit, old.id).expires_at == old.expires_at


@pytest.mark.parametrize("scopes", [[], ["root"], ["gate", "root"], ["scim"]])
def test_a_credential_without_sense_is_not_issued(
    store: Store, peppers: Peppers, tenant: Tenant, scopes: list[str]
) -> None:
    with store.writing(tenant.id, actor="system") as unit:
        with pytest.raises(CredentialInvalid):
            issue_credential(unit, peppers, label="x", scopes=scopes)
        with pytest.raises(CredentialInvalid):
            issue_credential(unit, peppers, label="x", scopes=["gate"], lifetime=0)
        with pytest.raises(NameInvalid):
            issue_credential(unit, peppers, label="", scopes=["gate"])
        assert list_credentials(unit) == []


def test_tenants_do_not_meet(store: Store, peppers: Peppers, scim: tuple[Credential, str]) -> None:
    theirs, _ = scim
    other = create_tenant(store, "other")
    with store.writing(other.id, actor="system") as unit:
        assert list_credentials(unit) == []
        with pytest.raises(ConnectionMissing):
            issue_credential(unit, peppers, label="x", scopes=["scim"], connection_id=theirs.connection_id)
        for act in (
            lambda: get_credential(unit, theirs.id),
            lambda: revoke_credential(unit, theirs.id),
            lambda: rotate_credential(unit, peppers, theirs.id),
        ):
            with pytest.raises(CredentialMissing):
                act()


def test_credentials_are_listed_by_connection(
    store: Store, peppers: Peppers, tenant: Tenant, scim: tuple[Credential, str]
) -> None:
    operator, _ = issue(store, peppers, tenant, "operator")
    with store.reading(tenant.id) as unit:
        assert list_credentials(unit) == [scim[0], operator]
        assert list_credentials(unit, connection_id=scim[0].connection_id) == [scim[0]]


def test_issuing_writes_an_event(store: Store, peppers: Peppers, tenant: Tenant) -> None:
    issued, _ = issue(store, peppers, tenant, "gate")
    with store.reading(tenant.id) as unit:
        written = timeline(unit)[-1]
    assert (written.type, written.subject) == ("credential.issued", f"credential/{issued.id}")
    assert written.data == {
        "label": "test",
        "scopes": ["gate"],
        "connection": None,
        "expiresAt": issued.expires_at,
    }
