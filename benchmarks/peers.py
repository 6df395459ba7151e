"""Other people's ways to check an API key, each as fast as its documents let it be.

Flask-HTTPAuth: its ``HTTPTokenAuth`` with a ``verify_token`` that looks a digest up by the primary key of a
SQLite table, on the driver itself. djangorestframework-api-key: a Django project on SQLite with its
``HasAPIKey`` permission, no middleware, no authentication, and connections that stay open. Neither counts
uses nor records decisions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_FLASK_HTTPAUTH: Final = "flask_httpauth"
_DJANGO: Final = "djangorestframework_api_key"
_PACKAGES: Final = {
    "Flask-HTTPAuth": "flask_httpauth",
    "djangorestframework-api-key": "rest_framework_api_key",
}


def missing() -> list[str]:
    """Return the distributions that are not installed and without which nothing here runs."""
    return [name for name, package in _PACKAGES.items() if find_spec(package) is None]


def new_keys(application: str, folder: Path, count: int) -> list[str]:
    """Make keys for a peer, in a folder of its own, and return them."""
    # In a process of its own: Django is configured once in a process.
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers", application, str(folder), str(count)],
        stdout=subprocess.PIPE,
        check=True,
    )
    keys: list[str] = json.loads(made.stdout)
    return keys


def flask_httpauth(folder: Path) -> WSGIApplication:
    """Return a view of Flask behind Flask-HTTPAuth."""
    from flask_httpauth import HTTPTokenAuth

    own, path = threading.local(), folder / "tokens.sqlite3"
    flask, auth = Flask("peer", static_folder=None), HTTPTokenAuth(scheme="Bearer")

    def holder(token: str) -> str | None:
        connection: sqlite3.Connection | None = getattr(own, "connection", None)
        if connection is None:
            connection = own.connection = sqlite3.connect(path, isolation_level=None)
        row = connection.execute("SELECT holder FROM token WHERE digest = ?", (_digest(token),)).fetchone()
        return None if row is None else str(row[0])

    auth.verify_token(holder)
    flask.add_url_rule("/gate/verify", view_func=auth.login_required(_nothing))
    return flask


def djangorestframework_api_key(folder: Path) -> WSGIApplication:
    """Return a view of Django REST framework behind its API keys."""
    _configure_django(folder)
    from django.core.wsgi import get_wsgi_application

    application: WSGIApplication = get_wsgi_application()
    return application


APPLICATIONS: Final[dict[str, Callable[[Path], WSGIApplication]]] = {
    _FLASK_HTTPAUTH: flask_httpauth,
    _DJANGO: djangorestframework_api_key,
}


def _nothing() -> str:
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _flask_httpauth_keys(folder: Path, count: int) -> Iterator[str]:
    with closing(sqlite3.connect(folder / "tokens.sqlite3")) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE token (digest BLOB PRIMARY KEY, holder TEXT NOT NULL) WITHOUT ROWID")
        for number in range(count):
            token = secrets.token_urlsafe(32)
            connection.execute("INSERT INTO token VALUES (?, ?)", (_digest(token), f"user{number}"))
            yield token


def _configure_django(folder: Path) -> None:
    from django.conf import settings

    # It tells of each request that it refuses.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    settings.configure(
        SECRET_KEY=secrets.token_urlsafe(32),
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="benchmarks.peers_django",
        MIDDLEWARE=[],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "rest_framework",
            "rest_framework_api_key",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": folder / "django.sqlite3",
                "CONN_MAX_AGE": None,
                "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL"},
            }
        },
        REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": []},
        LOGGING_CONFIG=None,
    )


def _djangorestframework_api_keys(folder: Path, count: int) -> Iterator[str]:
    _configure_django(folder)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from rest_framework_api_key.models import APIKey

    keys: Any = APIKey.objects
    for number in range(count):
        yield keys.create_key(name=f"user{number}")[1]


_MAKING: Final[dict[str, Callable[[Path, int], Iterator[str]]]] = {
    _FLASK_HTTPAUTH: _flask_httpauth_keys,
    _DJANGO: _djangorestframework_api_keys,
}


def _main(application: str, folder: str, count: str) -> None:
    made: Sequence[str] = list(_MAKING[application](Path(folder), int(count)))
    print(json.dumps(made))


if __name__ == "__main__":
    _main(*sys.argv[1:])
