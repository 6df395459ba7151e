"""Peppers: the secrets under which digests are made, kept outside the database.

A stolen database alone can test no candidate key. Peppers are versioned: one of them, the newest unless
another is named, makes new digests; the others still verify what they made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

CURRENT: Final = "current"
"""The member of the JSON form that names the version which makes new digests, where it is not the newest."""


class PepperUnusable(Exception):
    """The peppers cannot be read, or are not what a pepper must be."""


@dataclass(frozen=True)
class Held:
    """Peppers as they are at one moment."""

    by_version: Mapping[int, bytes] = field(repr=False)
    chosen: int | None

    @property
    def current(self) -> int:
        """The version that makes new digests."""
        return max(self.by_version) if self.chosen is None else self.chosen

    def digest(self, purpose: str, secret: str, version: int) -> bytes:
        """Return the HMAC-SHA-256 of a secret for one purpose, under a version of the pepper.

        :raises PepperMissing: when that version is not at hand.
        """
        pepper = self.by_version.get(version)
        if pepper is None:
            raise PepperMissing(f"pepper version {version} is missing")
        return hmac.new(pepper, f"{purpose}\0{secret}".encode(), hashlib.sha256).digest()


def derived(pepper: bytes, purpose: str) -> bytes:
    """Return the key of 32 bytes that a pepper gives for another purpose."""
    return hmac.new(pepper, f"derive\0{purpose}".encode(), hashlib.sha256).digest()


class PepperMissing(PepperUnusable):
    """A digest was made under a version of the pepper that is not at hand."""


class Peppers:
    """The peppers by version.

    :param by_version: each is at least 32 bytes.
    :param chosen: the version that makes new digests; the newest, when None.
    """

    def __init__(self, by_version: Mapping[int, bytes], chosen: int | None = None) -> None:
        self._held = Held(by_version, chosen)

    def __repr__(self) -> str:
        return f"Peppers(versions={sorted(self.by_version)}, current={self.current})"

    def held(self) -> Held:
        """Return what there is at this moment."""
        return self._held

    @property
    def by_version(self) -> Mapping[int, bytes]:
        """The peppers by version."""
        return self.held().by_version

    @property
    def current(self) -> int:
        """The version that makes new digests."""
        return self.held().current

    def digest(self, purpose: str, secret: str, version: int | None = None) -> bytes:
        """Return the digest of a secret under a version of the pepper, or that which makes new ones.

        :raises PepperMissing: when that version is not at hand.
        """
        held = self.held()
        return held.digest(purpose, secret, held.current if version is None else version)

    def derive(self, purpose: str) -> bytes:
        """Return a key for another purpose, the same in every process until the oldest pepper is dropped."""
        by_version = self.by_version
        return derived(by_version[min(by_version)], purpose)


def parse_peppers(text: str) -> Peppers:
    """Read peppers from JSON: an object of version to base64 bytes, such as ``{"1": "…", "2": "…"}``.

    A member ``"current": 1`` names the version that makes new digests, where it is not the newest.

    :raises PepperUnusable: when the text is not that, or a pepper is shorter than 32 bytes.
    """
    try:
        members = dict(json.loads(text).items())
        chosen = members.pop(CURRENT, None)
        by_version = {
            int(version): base64.b64decode(value, validate=True) for version, value in members.items()
        }
    except (ValueError, AttributeError, TypeError, binascii.Error):
        raise PepperUnusable('peppers must be JSON such as {"1": "<32 bytes in base64>"}') from None
    if not by_version or any(len(value) < 32 or version < 1 for version, value in by_version.items()):
        raise PepperUnusable("every pepper needs a version from 1 and at least 32 bytes")
    if chosen is not None and (isinstance(chosen, bool) or chosen not in by_version):
        raise PepperUnusable('"current" must be the version of one of the peppers')
    return Peppers(by_version, chosen)


def peppers_as_json(held: Held) -> str:
    """Return peppers in the form that :func:`parse_peppers` reads."""
    members: dict[str, str | int] = {
        str(version): base64.b64encode(value).decode() for version, value in sorted(held.by_version.items())
    }
    if held.chosen is not None:
        members[CURRENT] = held.chosen
    return json.dumps(members)
