"""`keysteward plan`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.unit.cli.conftest import Keysteward

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.fixture
def group(keysteward: Keysteward) -> str:
    """Return the id of the group "Buyers", which gives ada the entitlement "orders" and a key."""
    ada = keysteward.user("ada")
    group = keysteward.group("Buyers", ada)
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic", "--group", group)
    return group


def joiner(name: str) -> dict[str, object]:
    body = {"schemas": [USER], "userName": name, "entitlements": [{"value": "orders"}]}
    return {"method": "POST", "path": "/Users", "body": body}


def test_what_if_a_group_went(keysteward: Keysteward, group: str) -> None:
    (key,) = keysteward.document("key", "list")["Resources"]
    for called in ("Buyers", group):
        made = keysteward.document("plan", "--without-group", called)
        assert made["totals"]["keys"] == {"dormant": 1}
        assert [each["id"] for each in made["keys"]] == [key["id"]]
    shown = keysteward.told("plan", "--without-group", "Buyers")
    for words in ("0 gained, 1 lost", "1 would fall dormant", "group Buyers", key["id"], "Nothing was done"):
        assert words in shown
    assert keysteward.document("key", "list")["Resources"] == [key]
    assert "nobody" in keysteward.refused("plan", "--without-user", "nobody")
    assert "no group 'Sellers'" in keysteward.refused("plan", "--without-group", "Sellers")


@pytest.mark.parametrize("form", ["one", "list", "lines"])
def test_requests_are_read_from_a_file(keysteward: Keysteward, group: str, tmp_path: Path, form: str) -> None:
    two = [joiner("bo"), joiner("cy")]
    text = {
        "one": json.dumps(two[0], indent=1),
        "list": json.dumps(two),
        "lines": "\n".join(map(json.dumps, two)) + "\n\n",
    }[form]
    file = tmp_path / "requests"
    file.write_text(text)
    made = keysteward.document("plan", str(file))
    names = ["bo"] if form == "one" else ["bo", "cy"]
    assert sorted(each["consumer"]["userName"] for each in made["keys"]) == names
    assert made["totals"]["keys"] == {"issued": len(names)}
    shown = keysteward.told("plan", str(file), "--shown", "0")
    assert f"Keys (0 of {len(names)})" in shown
    assert "POST /Users" in shown


def test_a_request_is_read_from_the_standard_input(keysteward: Keysteward, group: str) -> None:
    environment = {"KEYSTEWARD_DATA_DIR": str(keysteward.folder), "COLUMNS": "200"}
    result = CliRunner(env=environment).invoke(main, ["plan", "-", "--json"], input=json.dumps(joiner("bo")))
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["requests"][0]["status"] == 201


def test_what_is_no_request_is_told_in_one_line(keysteward: Keysteward, tmp_path: Path) -> None:
    file = tmp_path / "requests"
    for text, told in (
        ("", "not JSON"),
        ("{}\n{", "request 2 is not JSON"),
        ('{"method": "GET", "path": "/Users"}', "'method'"),
        ("[]", "1 to 1000 requests"),
    ):
        file.write_text(text)
        assert told in keysteward.refused("plan", str(file))
    file.write_bytes(b"\xff")
    assert "not UTF-8" in keysteward.refused("plan", str(file))
    assert keysteward.run("plan").exit_code == 2
    assert keysteward.run("plan", str(file), "--without-group", "Buyers").exit_code == 2
