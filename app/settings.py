"""The settings: one table of names, defaults and meanings, and their values from the environment."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.rights.conditions.invalid import ConditionInvalid
from app.rights.conditions.networks import Network, parse_network
from app.store.pepper_file import load_peppers
from app.store.peppers import Peppers, PepperUnusable, parse_peppers

PREFIX: Final = "KEYSTEWARD_"
LOG_LEVELS: Final = ("debug", "info", "warning", "error", "critical")


class SettingsInvalid(Exception):
    """A setting has a value it cannot have, or a variable names no setting. The message is one line."""


@dataclass(frozen=True)
class Setting:
    """One setting, as ``keysteward settings`` lists it; ``read`` raises ValueError with what is expected.

    ``derived`` says that the default is no value but a description of how it follows from other settings.
    """

    name: str
    default: str
    description: str
    read: Callable[[str], Any]
    derived: bool = False

    @property
    def attribute(self) -> str:
        """The name of the field of :class:`Settings`."""
        return self.name.removeprefix(PREFIX).lower()


@dataclass(frozen=True)
class DescribedSetting:
    """A setting with its value as text in which passwords and secrets are masked."""

    name: str
    value: str
    default: str
    is_set: bool
    description: str


def _database_url(text: str) -> str:
    try:
        url = make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ValueError("a URL such as sqlite:////var/lib/keysteward.sqlite3 or postgresql://…") from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise ValueError("a URL that begins with sqlite:/// or postgresql://")
    if backend == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("a SQLite database in a file, which several processes can share")
    return text


def _directory(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:_-]+", text):
        raise ValueError("a host name or an IP address")
    return text


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return int(text)

    return read


def _public_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or parts.query or parts.fragment or re.search(r"\s", text):
        raise ValueError("an http or https URL without user, query and fragment")
    return text.rstrip("/")


def _peppers(text: str) -> Peppers:
    try:
        return parse_peppers(text)
    except PepperUnusable as error:
        raise ValueError(str(error)) from None


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(parse_network(each.strip()) for each in text.split(","))
    except ConditionInvalid:
        raise ValueError("networks or addresses, separated by commas: 192.0.2.7, 2001:db8::/64") from None


def _word(least: int) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(rf"[a-z][a-z0-9]{{{least - 1},15}}", text, re.ASCII):
            raise ValueError(f"{least} to 16 small letters and digits, a letter first")
        return text

    return read


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise ValueError("yes or no")
    return text.lower() == "yes"


def _deny_or_allow(text: str) -> str:
    if text.lower() not in ("deny", "allow"):
        raise ValueError("deny or allow")
    return text.lower()


def _metrics_token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{32,1000}", text, re.ASCII):
        raise ValueError("at least 32 characters of ASCII without spaces")
    return text


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"one of: {' '.join(LOG_LEVELS)}")
    return text.lower()


SETTINGS: Final = (
    Setting(
        "KEYSTEWARD_DATA_DIR", "./data", "Folder of the SQLite database and the pepper file.", _directory
    ),
    Setting(
        "KEYSTEWARD_DATABASE_URL",
        "keysteward.sqlite3 in the data folder",
        "Database: sqlite:///<path> or postgresql://<user>:<password>@<host>/<database>.",
        _database_url,
        derived=True,
    ),
    Setting("KEYSTEWARD_HOST", "127.0.0.1", "Address to listen on.", _host),
    Setting("KEYSTEWARD_PORT", "8470", "Port to listen on.", _number(1, 65535)),
    Setting(
        "KEYSTEWARD_PUBLIC_URL",
        "http://<host>:<port>",
        "Root of the URLs that are printed and, when set, of those in answers (meta.location).",
        _public_url,
        derived=True,
    ),
    Setting("KEYSTEWARD_WORKERS", "1", "Worker processes.", _number(1, 256)),
    Setting(
        "KEYSTEWARD_THREADS", "8", "Threads per worker, each serving one request at a time.", _number(1, 512)
    ),
    Setting(
        "KEYSTEWARD_PEPPERS",
        "peppers.json in the data folder",
        'Secrets under which digests are made: {"1": "<32 bytes in base64>"}; the newest makes new ones.',
        _peppers,
        derived=True,
    ),
    Setting("KEYSTEWARD_KEY_BRAND", "ks", "First part of every key's text.", _word(2)),
    Setting("KEYSTEWARD_KEY_ENVIRONMENT", "live", "Second part of every key's text.", _word(1)),
    Setting(
        "KEYSTEWARD_MAX_BODY_BYTES",
        "4194304",
        "Largest request body, in bytes.",
        _number(1024, 1024**3),
    ),
    Setting(
        "KEYSTEWARD_ASYNC_RESULT_SECONDS",
        "86400",
        "How long the result of an asynchronous request (Prefer: respond-async) can be read.",
        _number(60, 365 * 24 * 3600),
    ),
    Setting(
        "KEYSTEWARD_CONNECTION_REQUESTS_PER_SECOND",
        "200",
        "How many SCIM requests a connection may send a second, shared evenly by the workers.",
        _number(1, 1_000_000),
    ),
    Setting(
        "KEYSTEWARD_CONNECTION_BURST",
        "400",
        "How many SCIM requests a connection may send at once, shared as the requests a second are.",
        _number(1, 1_000_000),
    ),
    Setting(
        "KEYSTEWARD_SILENT_AFTER_CYCLES",
        "3",
        "After how many of its usual cycles without a call a connection is reported as silent.",
        _number(1, 1000),
    ),
    Setting(
        "KEYSTEWARD_LOOPBACK_ISSUERS",
        "no",
        "Whether login providers, and issuers and keys of OAuth clients, may be at http here: yes or no.",
        _yes_or_no,
    ),
    Setting(
        "KEYSTEWARD_TRUSTED_PROXIES",
        "none",
        "Networks of the gateways, and of the proxies before them, that tell the address of a caller.",
        _networks,
        derived=True,
    ),
    Setting(
        "KEYSTEWARD_SCHEMAS_DIR",
        "none",
        "Folder with a resource-types.json and schema files of your own, besides those of Keysteward.",
        _directory,
        derived=True,
    ),
    Setting(
        "KEYSTEWARD_LOGIN_SECRETS_DIR",
        "login-secrets in the data folder",
        "Folder of the files with the secrets by which Keysteward logs consumers in at their providers.",
        _directory,
        derived=True,
    ),
    Setting(
        "KEYSTEWARD_SPOOL_MEGABYTES",
        "1024",
        "How large the spool of decisions that are not in the store yet may become on this machine.",
        _number(16, 1_000_000),
    ),
    Setting(
        "KEYSTEWARD_UNRECORDED_DECISIONS",
        "deny",
        "What becomes of a call whose decision cannot be written down: deny, or allow where it may pass.",
        _deny_or_allow,
    ),
    Setting(
        "KEYSTEWARD_METRICS_TOKEN",
        "none, and /metrics is closed",
        "The bearer token that opens /metrics, of 32 characters or more.",
        _metrics_token,
        derived=True,
    ),
    Setting("KEYSTEWARD_LOG_LEVEL", "info", f"How much is logged: {' '.join(LOG_LEVELS)}.", _log_level),
)

SECRET_VARIABLES: Final = ("KEYSTEWARD_PEPPERS", "KEYSTEWARD_DATABASE_URL", "KEYSTEWARD_METRICS_TOKEN")
"""The variables whose values are secret or may hold a password."""


@dataclass(frozen=True)
class Settings:
    """The settings of an installation, each named as its variable without the prefix.

    ``public_url``, ``peppers`` and ``metrics_token`` are None where the environment does not set them.
    """

    data_dir: Path
    database_url: str = field(repr=False)
    host: str
    port: int
    public_url: str | None
    workers: int
    threads: int
    peppers: Peppers | None
    key_brand: str
    key_environment: str
    max_body_bytes: int
    async_result_seconds: int
    connection_requests_per_second: int
    connection_burst: int
    silent_after_cycles: int
    loopback_issuers: bool
    trusted_proxies: tuple[Network, ...] | None
    schemas_dir: Path | None
    login_secrets_dir: Path | None
    spool_megabytes: int
    unrecorded_decisions: str
    metrics_token: str | None = field(repr=False)
    log_level: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from environment variables (those of the process, when None); empty means unset.

        :raises SettingsInvalid: when a value cannot be, or a variable with the prefix names no setting.
        """
        given = {
            name: value
            for name, value in (os.environ if environment is None else environment).items()
            if name.startswith(PREFIX) and value != ""
        }
        wrong = [_unknown(name) for name in sorted(given.keys() - {each.name for each in SETTINGS})]
        values: dict[str, Any] = {}
        for setting in SETTINGS:
            text = given.get(setting.name, None if setting.derived else setting.default)
            try:
                values[setting.attribute] = None if text is None else setting.read(text)
            except ValueError as error:
                # The value itself is not repeated: it may hold a password.
                wrong.append(f"{setting.name} must be {error}")
        if wrong:
            raise SettingsInvalid("; ".join(wrong))
        if values["database_url"] is None:
            path = values["data_dir"] / "keysteward.sqlite3"
            url = sa.URL.create("sqlite", database=str(path))
            values["database_url"] = url.render_as_string(hide_password=False)
        return cls(**values)

    @property
    def root_url(self) -> str:
        """The root of the URLs that people are told, without a slash at its end."""
        if self.public_url is not None:
            return self.public_url
        # Nobody connects to "every address"; this machine itself surely can.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def pepper_file(self) -> Path:
        """Where the peppers are kept unless the environment gives them."""
        return self.data_dir / "peppers.json"

    @property
    def spool_folder(self) -> Path:
        """Where decisions are until they are in the database."""
        return self.data_dir / "spool"

    @property
    def spool_bytes(self) -> int:
        """How large the spool may become."""
        return self.spool_megabytes * 1_000_000

    @property
    def login_secrets_folder(self) -> Path:
        """Where the secrets of clients at login providers are kept."""
        return self.login_secrets_dir or self.data_dir / "login-secrets"

    def load_peppers(self) -> Peppers:
        """Return the peppers, from the environment or their file, which is created where there is none.

        :raises PepperUnusable: when the file cannot be read or written, or others may read it.
        """
        return self.peppers if self.peppers is not None else load_peppers(self.pepper_file)

    def describe(self, environment: Mapping[str, str] | None = None) -> list[DescribedSetting]:
        """Return every setting with its value, passwords and secrets masked."""
        given = os.environ if environment is None else environment
        return [
            DescribedSetting(
                setting.name,
                self._shown(setting),
                setting.default,
                bool(given.get(setting.name)),
                setting.description,
            )
            for setting in SETTINGS
        ]

    def _shown(self, setting: Setting) -> str:
        if setting.name == "KEYSTEWARD_DATABASE_URL":
            return masked(self.database_url)
        if setting.name == "KEYSTEWARD_PUBLIC_URL":
            return self.root_url
        if setting.name == "KEYSTEWARD_LOGIN_SECRETS_DIR":
            return str(self.login_secrets_folder)
        if setting.name == "KEYSTEWARD_PEPPERS":
            return str(self.pepper_file) if self.peppers is None else "***"
        if setting.name == "KEYSTEWARD_METRICS_TOKEN":
            return "none" if self.metrics_token is None else "***"
        value = getattr(self, setting.attribute)
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "none" if value is None else str(value)


def masked(database_url: str) -> str:
    """Return a database URL with every password in it replaced by ``***``."""
    url = make_url(database_url)
    hidden = url.update_query_dict({name: "***" for name in url.query if "password" in name.lower()})
    return hidden.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def _unknown(name: str) -> str:
    known = [each.name.removeprefix(PREFIX) for each in SETTINGS]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), known, n=1)
    meant = f"did you mean {PREFIX}{near[0]}?" if near else "see `keysteward settings`"
    return f"{name} is not a setting: {meant}"
