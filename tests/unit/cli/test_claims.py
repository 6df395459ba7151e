"""`keysteward key claim`, `claim-link` and `login-provider`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from joserfc import jwe
from joserfc.jwk import ECKey

from app.cli import main
from app.store.secrets import parse
from tests.unit.cli.conftest import Keysteward

PRIVATE = ECKey.generate_key("P-256")


@pytest.fixture
def key_id(keysteward: Keysteward) -> str:
    keysteward.told("entitlement", "create", "orders", "--issuance", "automatic")
    keysteward.user("ada", "orders")
    (key,) = keysteward.document("key", "list")["Resources"]
    return str(key["id"])


@pytest.fixture
def public(tmp_path: Path) -> Path:
    file = tmp_path / "public.jwk"
    file.write_text(json.dumps(PRIVATE.as_dict(private=False)))
    return file


def opened(text: str) -> dict[str, Any]:
    algorithms = ["ECDH-ES+A256KW", "A256GCM"]
    document: dict[str, Any] = json.loads(
        jwe.decrypt_compact(text.strip(), PRIVATE, algorithms=algorithms).plaintext or b""
    )
    return document


def test_a_secret_is_encrypted_to_a_key_and_written_to_a_file(
    keysteward: Keysteward, key_id: str, public: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sealed"
    assert keysteward.told("key", "claim", key_id, "--to", str(public), "--out", str(out)) == ""
    assert out.stat().st_mode & 0o777 == 0o600
    document = opened(out.read_text())
    assert document["id"] == key_id
    assert parse(document["secret"])


def test_a_secret_may_go_to_a_file_as_it_is(keysteward: Keysteward, key_id: str, tmp_path: Path) -> None:
    out = tmp_path / "secret"
    keysteward.told("key", "claim", key_id, "--out", str(out))
    assert out.stat().st_mode & 0o777 == 0o600
    assert parse(out.read_text().strip())


def test_an_encrypted_secret_is_printed_for_programs(
    keysteward: Keysteward, key_id: str, public: Path
) -> None:
    document = keysteward.document("key", "claim", key_id, "--to", str(public))
    assert document["recipient"] == PRIVATE.thumbprint()
    assert opened(document["jwe"])["id"] == document["id"] == key_id
    assert "secret" not in document


def test_what_cannot_be_written_is_not_handed_out(
    keysteward: Keysteward, key_id: str, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    there.write_text("something else")
    assert "File exists" in keysteward.refused("key", "claim", key_id, "--out", str(there))
    assert there.read_text() == "something else"
    keysteward.refused("key", "claim", key_id, "--out", str(tmp_path / "nowhere" / "file"))
    assert keysteward.document("key", "list")["Resources"][0]["state"] == "issued"
    keysteward.told("key", "claim", key_id)
    out = tmp_path / "late"
    assert "only once" in keysteward.refused("key", "claim", key_id, "--out", str(out))
    assert not out.exists()


def test_a_full_disk_hands_nothing_out(keysteward: Keysteward, key_id: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this machine has no full disk")
    # A new file cannot be on /dev/full, so what stands for it is a link that is there already.
    keysteward.refused("key", "claim", key_id, "--out", "/dev/full")
    assert keysteward.document("key", "list")["Resources"][0]["state"] == "issued"


@pytest.mark.parametrize("content", ["{}", "[]", "no json", json.dumps(PRIVATE.as_dict(private=True))])
def test_a_key_that_will_not_do_is_refused(
    keysteward: Keysteward, key_id: str, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "key.jwk"
    file.write_text(content)
    assert str(file) in keysteward.refused("key", "claim", key_id, "--to", str(file))
    assert str(tmp_path / "none") in keysteward.refused(
        "key", "claim", key_id, "--to", str(tmp_path / "none")
    )
    assert keysteward.document("key", "list")["Resources"][0]["state"] == "issued"


def test_a_link_is_printed_alone_on_stdout(keysteward: Keysteward, key_id: str) -> None:
    printed = keysteward.told("key", "claim-link", key_id)
    assert printed.startswith("http://127.0.0.1:8470/claim#kst_claim_")
    document = keysteward.document("key", "claim-link", key_id, "--expires-in", "7d")
    assert document["key"] == key_id
    assert keysteward.run("key", "claim-link", key_id, "--expires-in", "8d").exit_code == 2
    assert keysteward.run("key", "claim-link", key_id, "--expires-in", "0").exit_code == 2
    keysteward.told("key", "claim", key_id)
    assert "only once" in keysteward.refused("key", "claim-link", key_id)
    assert "no key" in keysteward.refused("key", "claim-link", "key_none")


def test_a_login_provider_is_set_with_its_secret_in_a_file(fresh: Keysteward) -> None:
    fresh.told("init")
    words = ["login-provider", "set", "--issuer", "https://idp.example", "--client-id", "ks", "--json"]
    result = CliRunner(env={"KEYSTEWARD_DATA_DIR": str(fresh.folder)}).invoke(
        main, [*words, "--client-secret-stdin"], input="planted-secret\n"
    )
    assert result.exit_code == 0, result.output
    assert "planted-secret" not in result.output
    document = json.loads(result.stdout)
    file = fresh.folder / "login-secrets" / document["clientSecretFile"]
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("planted-secret\n", 0o600)
    assert b"planted-secret" not in (fresh.folder / "keysteward.sqlite3").read_bytes()
    assert fresh.document("login-provider", "show") == document
    assert document["redirectUri"] in fresh.told("login-provider", "show")
    # A secret belongs to its issuer: for another one there is none.
    other = fresh.document("login-provider", "set", "--issuer", "https://evil.example", "--client-id", "ks")
    assert other["clientSecretFile"] != document["clientSecretFile"]
    fresh.told("login-provider", "remove")
    assert "no login provider" in fresh.refused("login-provider", "show")
    assert "https" in fresh.refused(
        "login-provider", "set", "--issuer", "http://idp.example", "--client-id", "x"
    )
