"""The format of every secret, a key's or a credential's: ``<brand>_<env>_<id>_<secret><checksum>``.

``id`` is 16 characters, public and loggable; the secret is 43 base62 characters (256 bits); the last six
are the CRC-32 of all that stands before them, in base62, so that garbage is refused without a look-up and a
scanner can tell it from a look-alike offline.
"""

from __future__ import annotations

import re
import secrets
import zlib
from dataclasses import dataclass, field
from urllib.parse import unquote

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PATTERN = re.compile(r"[a-z][a-z0-9]{1,15}_[a-z][a-z0-9]{0,15}_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}", re.ASCII)

SHORTEST = 71
"""How many characters a secret has at least."""

_MOST_ESCAPED = 5
"""How often escapes may be escaped again, by programs that pass a URL on."""


@dataclass(frozen=True)
class Secret:
    """A secret that has the right form and checksum; whether it opens anything is not known yet."""

    id: str
    text: str = field(repr=False)


class SecretMalformed(ValueError):
    """The text has not the form of a secret, or its checksum does not match."""


def _base62(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode("ascii")), 6)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def mint(brand: str, environment: str) -> Secret:
    """Return a new secret.

    :param brand: who makes it; a small letter, then 1 to 15 small letters or digits.
    :param environment: what it is for; a small letter, then up to 15 small letters or digits.
    """
    identifier = _random(16)
    text = f"{brand}_{environment}_{identifier}_{_random(43)}"
    return Secret(identifier, text + _checksum(text))


def parse(text: str) -> Secret:
    """Return the secret in a text, after its form and its checksum.

    :raises SecretMalformed: when either is wrong. The message does not repeat the text.
    """
    if len(text) > 120 or not PATTERN.fullmatch(text) or _checksum(text[:-6]) != text[-6:]:
        raise SecretMalformed("not a secret of ours: wrong form or checksum")
    return Secret(text[-66:-50], text)


def redacted(text: str) -> str:
    """Return a text in which of every secret of ours no more is left than what is public.

    For what is passed on that somebody else said: people paste secrets where none belongs.
    """
    return PATTERN.sub(lambda found: _public(found[0]), text)


def redacted_escapes(text: str) -> str:
    """Return a text of a URL in which nothing is left that has the form of a secret, however it is escaped.

    Not even what has the wrong checksum: one that was mistyped tells nearly all of the right one.
    """
    if len(text) < SHORTEST:
        return text
    plain = text
    for _ in range(_MOST_ESCAPED):
        hidden = PATTERN.sub(lambda found: f"{found[0][:-50]}_…", plain)
        if hidden != plain:
            return hidden
        if "%" not in plain:
            break
        plain = unquote(plain)
    return text


def _public(text: str) -> str:
    # Letters right before a secret look like a part of its brand.
    for begin in range(text.index("_") - 1):
        inner = text[begin:]
        if not inner[0].isdigit() and _checksum(inner[:-6]) == inner[-6:]:
            return f"{text[:-50]}_…"
    return text
