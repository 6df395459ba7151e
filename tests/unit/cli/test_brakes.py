"""`keysteward brake …` and `keysteward connection brake`."""

from __future__ import annotations

import sqlalchemy as sa

from app.store.tables import FOREVER, brake, connection
from tests.unit.cli.conftest import Keysteward


def engaged(keysteward: Keysteward, name: str) -> str:
    """Let the brake of a connection be engaged; return its id."""
    with keysteward.writing() as unit:
        (connection_id,) = unit.execute(sa.select(connection.c.id).where(connection.c.name == name)).scalars()
        unit.execute(
            sa.insert(brake).values(
                id=f"brk_{name}",
                tenant_id=unit.tenant_id,
                connection_id=connection_id,
                engaged_at=unit.now,
                active=40,
                threshold=20,
                estimated=False,
                holds_until=FOREVER,
            )
        )
    return f"brk_{name}"


def test_a_brake_is_listed_shown_and_decided_once(keysteward: Keysteward) -> None:
    assert keysteward.told("brake", "list") == "No brake engaged.\n"
    for name in ("okta", "entra"):
        keysteward.told("connection", "create", name)
    okta, entra = engaged(keysteward, "okta"), engaged(keysteward, "entra")
    assert "brake_engaged" in keysteward.told("warnings")
    assert "waits" in keysteward.told("brake", "list")
    assert "It waits" in keysteward.told("brake", "show", okta)
    assert "Confirmed at" in keysteward.told("brake", "confirm", okta)
    assert keysteward.document("brake", "confirm", okta)["decision"] == "confirmed"
    assert "confirmed already" in keysteward.refused("brake", "release", okta)
    assert "Released at" in keysteward.told("brake", "release", entra, "--within", "2h")
    assert "released already" in keysteward.refused("brake", "confirm", entra)
    assert "no brake" in keysteward.refused("brake", "show", "brk_0")
    assert "no brake" in keysteward.refused("brake", "confirm", "brk_0")
    listed = keysteward.document("brake", "list")["Resources"]
    assert {each["name"]: each["decision"] for each in listed} == {"okta": "confirmed", "entra": "released"}
    assert "brake_engaged" not in keysteward.told("warnings")


def test_the_brake_of_a_connection_is_set(keysteward: Keysteward) -> None:
    keysteward.told("connection", "create", "okta")
    told = keysteward.told("connection", "brake", "okta", "--percent", "5", "--within", "2h")
    assert "5 % of the active consumers, and at least 20, are withdrawn within 2 hours" in told
    shown = keysteward.document("connection", "brake", "okta", "--minimum", "7")
    assert shown["brake"] == {"percent": 5, "minimum": 7, "withinSeconds": 7200}
    assert "off" in keysteward.told("connection", "brake", "okta", "--percent", "0")
    assert "say what to set" in keysteward.run("connection", "brake", "okta").stderr
    assert "no connection" in keysteward.refused("connection", "brake", "none", "--percent", "0")
