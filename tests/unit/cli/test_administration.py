"""`keysteward tenant …` and `keysteward connection …`."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.store.tables import connection, credential, tenant
from tests.unit.cli.conftest import Keysteward


def test_before_there_is_a_tenant_it_says_how_to_make_one(fresh: Keysteward) -> None:
    assert "keysteward init" in fresh.told("tenant", "list")
    assert fresh.document("tenant", "list")["Resources"] == []
    assert "keysteward init" in fresh.refused("key", "list")


def test_tenants_are_made_and_listed(keysteward: Keysteward) -> None:
    words = ("--recovery-window", "30m", "--unmatched-values", "refuse")
    made = keysteward.document("tenant", "create", "second", *words)
    assert (made["recoveryWindowSeconds"], made["unmatchedValues"]) == (1800, "refuse")
    assert made["tokens"]["operator"].startswith("kst_operator_")
    listed = keysteward.document("tenant", "list")["Resources"]
    assert [each["name"] for each in listed] == ["default", "second"]
    assert made["tokens"]["gate"] not in keysteward.told("tenant", "list", "--json")
    assert "30 minutes" in keysteward.told("tenant", "list")
    assert "exists already" in keysteward.refused("tenant", "create", "second")
    assert "a name has" in keysteward.refused("tenant", "create", " ")


def test_of_several_tenants_one_must_be_named(keysteward: Keysteward) -> None:
    keysteward.told("tenant", "create", "second")
    assert keysteward.refused("connection", "list").endswith("--tenant: default, second")
    assert keysteward.document("connection", "list", "--tenant", "second")["totalResults"] == 0
    assert keysteward.document("connection", "list", "--tenant", "default")["totalResults"] == 1


def test_the_settings_of_a_tenant_change(keysteward: Keysteward) -> None:
    changed = keysteward.document("tenant", "set", "--recovery-window", "2d", "--unmatched-values", "refuse")
    assert (changed["recoveryWindowSeconds"], changed["unmatchedValues"]) == (172_800, "refuse")
    assert keysteward.document("tenant", "set", "--recovery-window", "0")["recoveryWindowSeconds"] == 0
    assert keysteward.document("tenant", "list")["Resources"][0]["unmatchedValues"] == "refuse"
    for words in (
        (),
        ("--recovery-window", "-1"),
        ("--recovery-window", "9y"),
        ("--recovery-window", "999d"),
    ):
        assert keysteward.run("tenant", "set", *words).exit_code == 2


def test_a_longer_recovery_window_wakes_no_dead_key(keysteward: Keysteward) -> None:
    keysteward.told("tenant", "set", "--recovery-window", "0")
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    user_id = keysteward.user("ada", "orders")
    with keysteward.writing() as unit:
        # The key lapses with no write that would notice.
        unit.execute(sa.text("UPDATE activity SET until = since + 1"))
    keysteward.told("tenant", "set", "--recovery-window", "30d")
    (key,) = keysteward.document("key", "list", "--consumer", user_id)["Resources"]
    assert (key["state"], key["reason"]) == ("revoked", "right_lapsed")
    assert key["revokedAt"]


def test_a_connection_is_made_with_what_to_paste(keysteward: Keysteward) -> None:
    told = keysteward.told("connection", "create", "okta", "--dialect", "okta")
    assert "http://127.0.0.1:8470/scim/v2" in told
    assert "kst_scim_" in told
    made = keysteward.document("connection", "create", "entra", "--dialect", "entra")
    assert (made["name"], made["dialect"]) == ("entra", "entra")
    listed = keysteward.told("connection", "list")
    assert "okta" in listed
    assert made["token"] not in listed
    assert "exists already" in keysteward.refused("connection", "create", "okta")
    assert keysteward.run("connection", "create", "new", "--dialect", "latin").exit_code == 2


def test_a_token_is_rotated_with_an_overlap(keysteward: Keysteward) -> None:
    made = keysteward.document("connection", "create", "okta")
    rotated = keysteward.document("connection", "rotate-token", "okta", "--overlap", "1h")
    assert rotated["token"] != made["token"]
    with keysteward.writing() as unit:
        times = unit.execute(
            sa.select(credential.c.expires_at, credential.c.created_at)
            .where(credential.c.connection_id == made["id"])
            .order_by(credential.c.created_at)
        ).all()
    assert times[0].expires_at - times[1].created_at == 3600 * 1_000_000
    assert "no connection 'nothing'" in keysteward.refused("connection", "rotate-token", "nothing")


def test_a_connection_is_disabled_for_good(keysteward: Keysteward) -> None:
    keysteward.told("connection", "create", "okta")
    disabled = keysteward.document("connection", "disable", "okta")
    assert disabled["disabledAt"]
    assert keysteward.document("connection", "disable", "okta") == disabled
    assert "disabled" in keysteward.refused("connection", "rotate-token", "okta")
    with keysteward.writing() as unit:
        assert unit.execute(sa.select(sa.func.count()).select_from(connection)).scalar_one() == 2
        assert unit.execute(sa.select(sa.func.count()).select_from(tenant)).scalar_one() == 1


@pytest.mark.parametrize("variable", ["KEYSTEWARD_DATABASE_URL", "KEYSTEWARD_NONSENSE"])
def test_wrong_settings_are_said_in_one_line(
    fresh: Keysteward, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "mysql://nowhere")
    assert variable in fresh.refused("tenant", "list")
