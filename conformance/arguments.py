"""What the command lines of this package have in common: where a server is, and who is asking."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from urllib.parse import urlsplit


class Refused(Exception):
    """The run cannot or must not begin; the message says why and what to do."""


def read_token(file: Path | None, variable: str, *, option: str, given: str | None = None) -> str:
    """Return a bearer token: as given, else from its file, else from its variable in the environment.

    :param option: the option that names the file, for messages.
    :raises Refused: when there is none, or it cannot be one.
    """
    token = given
    if file is not None:
        try:
            token = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"the token cannot be read from {file}: {error}") from error
    token = (token if token is not None else os.environ.get(variable, "")).strip()
    if not token:
        raise Refused(f"no token: give {option}, or set {variable} in the environment")
    if not (token.isascii() and token.isprintable()):
        raise Refused("the token has characters that no HTTP header can carry")
    return token


def read_url(text: str, *, option: str, example: str) -> str:
    """Return a URL as it was given.

    :raises Refused: when it is none of http or https, or carries more than the place of a server.
    """
    try:
        url = urlsplit(text)
    except ValueError as error:
        raise Refused(f"not a URL: {text}") from error
    if url.scheme not in ("http", "https") or not url.hostname:
        raise Refused(f"{option} takes a URL such as {example}")
    if "@" in url.netloc or url.query or url.fragment:
        raise Refused(f"{option} takes no user, query or fragment: a credential goes into a file")
    return text


def ensure_folders(*paths: Path | None) -> None:
    """Let reports be asked for only where they can be written.

    :raises Refused: when there is no folder for one.
    """
    for path in paths:
        if path is not None and not path.resolve().parent.is_dir():
            raise Refused(f"there is no folder for {path}")


def at_least_one(text: str) -> int:
    """Read a whole number from 1 on, as a type of an argument."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
