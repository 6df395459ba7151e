"""Peppers: the secrets under which digests are made, kept outside the database.

A stolen database alone can test no candidate key. Peppers are versioned: the newest makes new digests, the
older ones still verify what they made.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class PepperUnusable(Exception):
    """The peppers cannot be read, or are not what a pepper must be."""


@dataclass(frozen=True)
class Peppers:
    """The peppers by version; each is at least 32 bytes."""

    by_version: Mapping[int, bytes]

    def __repr__(self) -> str:
        return f"Peppers(versions={sorted(self.by_version)})"

    @property
    def current(self) -> int:
        """The version that makes new digests."""
        return max(self.by_version)

    def digest(self, purpose: str, secret: str, version: int | None = None) -> bytes:
        """Return the HMAC-SHA-256 of a secret for one purpose, under a version of the pepper.

        :raises PepperUnusable: when that version is not at hand.
        """
        version = self.current if version is None else version
        pepper = self.by_version.get(version)
        if pepper is None:
            raise PepperUnusable(f"pepper version {version} is missing")
        return hmac.new(pepper, f"{purpose}\0{secret}".encode(), hashlib.sha256).digest()

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose, the same in every process and at every start."""
        return hmac.new(
            self.by_version[min(self.by_version)], f"derive\0{purpose}".encode(), hashlib.sha256
        ).digest()


def parse_peppers(text: str) -> Peppers:
    """Read peppers from JSON: an object of version to base64 bytes, such as ``{"1": "…"}``.

    :raises PepperUnusable: when the text is not that, or a pepper is shorter than 32 bytes.
    """
    try:
        by_version = {
            int(version): base64.b64decode(value, validate=True)
            for version, value in json.loads(text).items()
        }
    except (ValueError, AttributeError, TypeError, binascii.Error):
        raise PepperUnusable('peppers must be JSON such as {"1": "<32 bytes in base64>"}') from None
    if not by_version or any(len(value) < 32 or version < 1 for version, value in by_version.items()):
        raise PepperUnusable("every pepper needs a version from 1 and at least 32 bytes")
    return Peppers(by_version)


def load_peppers(path: Path) -> Peppers:
    """Read the peppers from their file; create it with mode 600 and a first pepper where there is none.

    :raises PepperUnusable: when the file cannot be read or written, or others than its owner may read it.
    """
    if not path.exists():
        _create(path)
    try:
        if path.stat().st_mode & 0o077:
            raise PepperUnusable(f"{path} may be read by others: run chmod 600 {path}")
        return parse_peppers(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PepperUnusable(f"cannot read {path}: {error.strerror}") from error


def _create(path: Path) -> None:
    """Write a first pepper; of several processes doing so at once, one wins and the others read its file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump({"1": base64.b64encode(secrets.token_bytes(32)).decode()}, file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    except OSError as error:
        raise PepperUnusable(f"cannot create {path}: {error.strerror}") from error
