"""`keysteward usage` and its neighbours, on what was folded."""

from __future__ import annotations

import pytest

from app.gate.folding import Folding
from app.gate.recorder import SpoolRecorder
from app.gate.spool import Spool
from app.store.engine import create_engine
from app.store.unit_of_work import Store, wall_clock
from tests.unit.cli.conftest import Keysteward
from tests.unit.gate.verifications import verification

SECOND = 1_000_000


@pytest.fixture
def key_id(keysteward: Keysteward) -> str:
    """Return the id of ada's key, which was allowed, and then denied for good."""
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    keysteward.user("ada", "orders")
    (key,) = keysteward.document("key", "list")["Resources"]
    (tenant,) = keysteward.document("tenant", "list")["Resources"]
    known = {"key_id": key["id"], "consumer_id": key["consumer"]["value"]}
    spool = Spool(keysteward.folder / "spool", most_bytes=10**9)
    recorder, now = SpoolRecorder(spool), wall_clock()
    recorder.record(verification(tenant["id"], at=now - SECOND, **known))
    recorder.record(verification(tenant["id"], at=now, reason="key_revoked", **known))
    engine = create_engine(f"sqlite:///{keysteward.folder / 'keysteward.sqlite3'}")
    Folding(Store(engine), spool).fold_all()
    engine.dispose()
    return str(key["id"])


def test_the_usage_of_a_key(keysteward: Keysteward, key_id: str) -> None:
    usage = keysteward.document("usage", key_id)
    assert (usage["allowed"], usage["denied"], usage["deadUses"]) == (1, 1, 1)
    assert [each["network"] for each in usage["networks"]] == ["203.0.113.0/24"]
    told = keysteward.told("usage", key_id)
    assert "ada" in told
    assert "key_revoked" in told
    assert "203.0.113.0/24" in told
    assert keysteward.refused("usage", "nothing") == "no key 'nothing'"


def test_keys_that_are_not_used_or_used_when_dead(keysteward: Keysteward, key_id: str) -> None:
    assert keysteward.document("unused-keys")["totalResults"] == 0
    assert keysteward.told("unused-keys") == "No unused keys.\n"
    assert [each["key"] for each in keysteward.document("dead-secrets")["Resources"]] == [key_id]
    assert key_id in keysteward.told("dead-secrets")


def test_new_networks(keysteward: Keysteward, key_id: str) -> None:
    (seen,) = keysteward.document("new-networks", "--key", key_id)["Resources"]
    assert (seen["network"], seen["uses"]) == ("203.0.113.0/24", 2)
    assert "203.0.113.0/24" in keysteward.told("new-networks", "--within", "1h")


def test_decisions(keysteward: Keysteward, key_id: str) -> None:
    found = keysteward.document("decisions", "--key", key_id)
    assert [(each["outcome"], each["reason"]) for each in found["Resources"]] == [
        ("allow", None),
        ("deny", "key_revoked"),
    ]
    since = keysteward.document("decisions", "--since", found["Resources"][1]["time"])
    assert since["Resources"] == found["Resources"][1:]
    assert keysteward.document("decisions", "--until", "2020-01-01")["Resources"] == []
    first = keysteward.document("decisions", "--count", "1")
    rest = keysteward.document("decisions", "--after", first["after"])
    assert first["Resources"] + rest["Resources"] == found["Resources"]
    assert "/orders/7" in keysteward.told("decisions", "--key", key_id)
    assert "no place" in keysteward.refused("decisions", "--after", "x")
