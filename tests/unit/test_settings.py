from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path

import pytest

from app.settings import SETTINGS, Settings, SettingsInvalid
from app.store.engine import create_engine

PEPPERS = json.dumps({"1": base64.b64encode(b"p" * 32).decode()})


def settings(**variables: str) -> Settings:
    return Settings.from_environment({f"KEYSTEWARD_{name}": value for name, value in variables.items()})


def test_without_variables_everything_has_its_default() -> None:
    found = settings()
    assert found == Settings(
        data_dir=Path.cwd() / "data",
        database_url=f"sqlite:///{Path.cwd()}/data/keysteward.sqlite3",
        host="127.0.0.1",
        port=8470,
        public_url=None,
        workers=1,
        threads=8,
        peppers=None,
        key_brand="ks",
        key_environment="live",
        max_body_bytes=4 * 1024 * 1024,
        async_result_seconds=86400,
        connection_requests_per_second=200,
        connection_burst=400,
        silent_after_cycles=3,
        loopback_issuers=False,
        trusted_proxies=None,
        schemas_dir=None,
        login_secrets_dir=None,
        spool_megabytes=1024,
        unrecorded_decisions="deny",
        metrics_token=None,
        log_level="info",
    )
    assert found.root_url == "http://127.0.0.1:8470"


def test_the_table_and_the_fields_are_the_same() -> None:
    assert {each.attribute for each in SETTINGS} == {each.name for each in dataclasses.fields(Settings)}
    assert all(each.description.endswith(".") for each in SETTINGS)


def test_variables_set_what_they_name() -> None:
    found = settings(
        DATA_DIR="/srv/k",
        DATABASE_URL="postgresql://u:p@db/k",
        HOST="::",
        PORT="80",
        PUBLIC_URL="https://keys.example.com/",
        WORKERS="4",
        THREADS="16",
        PEPPERS=PEPPERS,
        KEY_BRAND="acme",
        KEY_ENVIRONMENT="t",
        MAX_BODY_BYTES="1048576",
        TRUSTED_PROXIES="192.0.2.7, 2001:DB8::/64",
        LOG_LEVEL="DEBUG",
    )
    assert (found.data_dir, found.database_url) == (Path("/srv/k"), "postgresql://u:p@db/k")
    assert (found.host, found.port, found.workers, found.threads) == ("::", 80, 4, 16)
    assert found.public_url == found.root_url == "https://keys.example.com"
    assert found.peppers is not None
    assert found.load_peppers() is found.peppers
    assert (found.key_brand, found.key_environment) == ("acme", "t")
    assert (found.max_body_bytes, found.log_level) == (1024 * 1024, "debug")
    shown = {each.name: each.value for each in found.describe({})}
    assert shown["KEYSTEWARD_TRUSTED_PROXIES"] == "192.0.2.7/32, 2001:db8::/64"


@pytest.mark.parametrize(
    ("host", "root"),
    [
        ("0.0.0.0", "http://127.0.0.1:8470"),
        ("::", "http://[::1]:8470"),
        ("fd00::7", "http://[fd00::7]:8470"),
        ("keys.local", "http://keys.local:8470"),
    ],
)
def test_people_are_told_an_address_that_can_be_reached(host: str, root: str) -> None:
    assert settings(HOST=host).root_url == root


def test_an_empty_variable_is_an_unset_one() -> None:
    assert settings(PORT="", PUBLIC_URL="", PEPPERS="", UNHEARD_OF="") == settings()


def test_the_database_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "100% sure? #1 @home"
    folder.mkdir()
    with create_engine(settings(DATA_DIR=str(folder)).database_url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    assert (folder / "keysteward.sqlite3").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://u:SECRET@db/k"),
        ("DATABASE_URL", "SECRET"),
        ("DATABASE_URL", "postgresql://u:SECRET@db:port/k"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("HOST", "a host"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "８４７０"),
        ("PORT", "-1"),
        ("PUBLIC_URL", "keys.example.com"),
        ("PUBLIC_URL", "https://u:SECRET@keys.example.com"),
        ("PUBLIC_URL", "https://keys.example.com/?a=b"),
        ("PUBLIC_URL", "https://keys.example.com:port"),
        ("PUBLIC_URL", "https://[keys"),
        ("WORKERS", "0"),
        ("THREADS", "many"),
        ("PEPPERS", "SECRET"),
        ("PEPPERS", '{"1": "c2hvcnQ="}'),
        ("PEPPERS", "[]"),
        ("KEY_BRAND", "Acme"),
        ("KEY_BRAND", "k"),
        ("KEY_BRAND", "a_b"),
        ("KEY_ENVIRONMENT", "live!"),
        ("MAX_BODY_BYTES", "12"),
        ("TRUSTED_PROXIES", "SECRET"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_does_not_repeat_it(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings(**{name: value})
    message = str(refused.value)
    assert message.startswith(f"KEYSTEWARD_{name} must be ")
    assert "\n" not in message
    assert "SECRET" not in message


def test_a_variable_that_names_no_setting_is_refused_with_what_was_meant() -> None:
    with pytest.raises(
        SettingsInvalid, match="KEYSTEWARD_PROT is not a setting: did you mean KEYSTEWARD_PORT"
    ):
        settings(PROT="1")
    with pytest.raises(
        SettingsInvalid, match="KEYSTEWARD_WHATEVER is not a setting: see `keysteward settings`"
    ):
        settings(WHATEVER="1")


def test_every_wrong_thing_is_said_at_once() -> None:
    with pytest.raises(SettingsInvalid) as refused:
        settings(PROT="1", PORT="x", WORKERS="x")
    assert str(refused.value).count("; ") == 2


def test_descriptions_mask_what_is_secret() -> None:
    url = "postgresql://u:PLANTED1@db/k?password=PLANTED2&sslpassword=PLANTED3&sslmode=require"
    environment = {"KEYSTEWARD_DATABASE_URL": url, "KEYSTEWARD_PEPPERS": PEPPERS}
    found = Settings.from_environment(environment)
    described = {each.name: each for each in found.describe(environment)}
    assert list(described) == [each.name for each in SETTINGS]
    text = repr(described) + repr(found)
    assert "PLANTED" not in text
    assert base64.b64encode(b"p" * 32).decode() not in text
    assert described["KEYSTEWARD_DATABASE_URL"].value == (
        "postgresql://u:***@db/k?password=***&sslmode=require&sslpassword=***"
    )
    assert described["KEYSTEWARD_DATABASE_URL"].is_set
    assert not described["KEYSTEWARD_PORT"].is_set
    assert described["KEYSTEWARD_PORT"].value == "8470"
