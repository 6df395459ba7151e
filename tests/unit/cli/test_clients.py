"""`keysteward connection …-client` and `keysteward warnings`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey

from app.store.tables import connection, credential
from tests.unit.cli.conftest import Keysteward

KEY = ECKey.generate_key("P-256", parameters={"kid": "1"})
ISSUER = "https://login.microsoftonline.com/9b1c/v2.0"


@pytest.fixture
def jwks(tmp_path: Path) -> str:
    file = tmp_path / "public-keys.json"
    file.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    return str(file)


def test_a_client_with_keys_is_added_listed_and_removed(keysteward: Keysteward, jwks: str) -> None:
    keysteward.told("connection", "create", "okta")
    told = keysteward.told("connection", "add-client", "okta", "workflows", "--jwks", jwks)
    assert "http://127.0.0.1:8470/oauth2/token" in told
    made = keysteward.document("connection", "add-client", "okta", "other", "--jwks", jwks)
    assert made["id"] in keysteward.told("connection", "clients", "okta")
    assert "workflows" in keysteward.told("connection", "clients", "okta")
    assert made["id"] in keysteward.told("connection", "remove-client", "okta", made["id"])
    listed = keysteward.document("connection", "clients", "okta")["Resources"]
    assert [each["name"] for each in listed] == ["workflows"]
    assert "no client" in keysteward.refused("connection", "remove-client", "okta", made["id"])


def test_a_client_that_entra_vouches_for_is_added(keysteward: Keysteward) -> None:
    keysteward.told("connection", "create", "entra", "--dialect", "entra")
    words = ("--issuer", ISSUER, "--subject", "4f9c", "--audience", "api://keysteward")
    told = keysteward.told("connection", "add-client", "entra", "provisioning", *words)
    assert "api://keysteward" in told
    assert "4f9c" in keysteward.told("connection", "clients", "entra", "--json")


def test_a_client_that_cannot_be_is_refused_in_one_line(
    keysteward: Keysteward, jwks: str, tmp_path: Path
) -> None:
    keysteward.told("connection", "create", "okta")
    add = ("connection", "add-client", "okta", "x")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    private = tmp_path / "private.json"
    private.write_text(json.dumps({"keys": [KEY.as_dict(private=True)]}))
    assert "give public keys" in keysteward.refused(*add)
    assert "not JSON" in keysteward.refused(*add, "--jwks", str(broken))
    assert "cannot read" in keysteward.refused(*add, "--jwks", str(tmp_path / "none"))
    assert "private key" in keysteward.refused(*add, "--jwks", str(private))
    assert "https" in keysteward.refused(*add, "--jwks-uri", "http://127.0.0.1/keys")
    assert "no connection" in keysteward.refused("connection", "clients", "none")
    assert keysteward.document("connection", "clients", "okta")["totalResults"] == 0


def test_what_to_see_to_is_told(keysteward: Keysteward) -> None:
    assert keysteward.document("warnings")["Resources"] == []
    keysteward.told("connection", "create", "okta", "--dialect", "okta")
    month = 30 * 24 * 3600 * 1_000_000
    with keysteward.writing() as unit:
        unit.execute(
            sa.update(connection).where(connection.c.name == "okta").values(last_call_at=unit.now - month)
        )
        of_gate = credential.c.scopes == "gate"
        unit.execute(sa.update(credential).where(of_gate).values(expires_at=unit.now + month // 2))
    told = keysteward.told("warnings")
    assert "connection_silent" in told
    assert "token_expiring" in told
    assert "connection_silent" in keysteward.told("connection", "list")
    (okta,) = [
        each for each in keysteward.document("connection", "list")["Resources"] if each["name"] == "okta"
    ]
    assert (okta["silent"], [each["kind"] for each in okta["warnings"]]) == (True, ["connection_silent"])
