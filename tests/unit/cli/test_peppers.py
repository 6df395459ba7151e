"""`keysteward pepper …`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import Keysteward


def listed(keysteward: Keysteward) -> dict[int, dict[str, Any]]:
    return {each["version"]: each for each in keysteward.document("pepper", "list")}


def test_a_pepper_is_added_used_and_dropped(keysteward: Keysteward) -> None:
    assert listed(keysteward)[1]["current"] is True
    assert listed(keysteward)[1]["credentials"] == 3
    assert "Added pepper 2" in keysteward.told("pepper", "add")
    assert "Added pepper 3" in keysteward.told("pepper", "add", "--later")
    assert [each["current"] for each in listed(keysteward).values()] == [False, True, False]
    keysteward.told("pepper", "use", "3")
    keysteward.told("pepper", "drop", "2")
    assert listed(keysteward).keys() == {1, 3}
    assert "makes new digests" in keysteward.told("pepper", "list")


def test_a_pepper_in_use_is_not_dropped(keysteward: Keysteward) -> None:
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    keysteward.user("ada", "orders")
    keysteward.told("pepper", "add")
    (key,) = keysteward.document("key", "list")["Resources"]
    keysteward.told("key", "claim", key["id"])
    keysteward.told("pepper", "add")
    assert "3 tokens" in keysteward.refused("pepper", "drop", "1")
    assert "1 secrets" in keysteward.refused("pepper", "drop", "2")
    assert "makes the new digests" in keysteward.refused("pepper", "drop", "3")
    keysteward.told("key", "revoke", key["id"])
    assert "1 dead secrets" in keysteward.refused("pepper", "drop", "2")
    keysteward.told("pepper", "drop", "2", "--forget-dead")
    assert listed(keysteward)[2] == {
        "version": 2,
        "present": False,
        "current": False,
        "livingSecrets": 0,
        "deadSecrets": 1,
        "credentials": 0,
        "requests": 0,
    }


def test_a_pepper_that_leaked_takes_its_keys_with_it(keysteward: Keysteward) -> None:
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    keysteward.user("ada", "orders")
    (key,) = keysteward.document("key", "list")["Resources"]
    keysteward.told("key", "claim", key["id"])
    keysteward.told("pepper", "add")
    keysteward.told("pepper", "drop", "1", "--revoke")
    (key,) = keysteward.document("key", "list")["Resources"]
    assert (key["state"], key["reason"]) == ("revoked", "pepper_dropped")
    assert listed(keysteward)[1]["credentials"] == 0


def test_no_pepper_is_ever_printed(keysteward: Keysteward) -> None:
    keysteward.told("pepper", "add")
    written = json.loads((keysteward.folder / "peppers.json").read_text())
    said = keysteward.told("pepper", "list") + keysteward.told("pepper", "list", "--json")
    assert not [each for each in written.values() if each in said]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("pepper", "use", "7"), "no pepper 7: there is 1"),
        (("pepper", "drop", "7"), "no pepper 7: there is 1"),
        (("pepper", "drop", "1"), "pepper 1 makes the new digests: `pepper add` another one first"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    keysteward: Keysteward, words: tuple[str, ...], line: str
) -> None:
    assert keysteward.refused(*words) == line
