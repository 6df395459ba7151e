"""Requests to ``/gate/verify`` as no gateway sends them, and what docs/gateways.md says of each."""

from __future__ import annotations

import base64
import random
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

PATH: Final = "/gate/verify"
STANDARD_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
ALLOWED: Final = "allowed"
AUDIENCE: Final = "shop"
SCOPE: Final = "a"
"""What the live keys are for, and the one scope that they have."""

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM: Final = re.compile(r"[a-z][a-z0-9]{1,15}_[a-z][a-z0-9]{0,15}_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}")
_LONGEST_TEXT: Final = 65_000

# What a server hands over is bytes read as Latin-1, without line breaks and NUL.
_ANY: Final = "".join(chr(code) for code in range(1, 256) if chr(code) not in "\r\n")
_NOISE_BYTES: Final = bytes.maketrans(b"\r\n\0", b"___")
_WIDE: Final = [
    text.encode().decode("latin-1") for text in ("０", "١", "а", "\u200b", "\ufeff", "\u2028", "ı", "ſ", "K")
]
_SCHEMES: Final = [
    "Bearer ",
    "bearer ",
    "BEARER  ",
    "Bearer",
    "Bearer Bearer ",
    "Basic ",
    "Digest ",
    "",
    "",
    "Bearer\t",
    "Bearer=",
    "Token ",
]
_AROUND: Final = [
    "",
    "",
    " ",
    "\t",
    "\xa0",
    "\x0b",
    "\x85",
    "%20",
    "+",
    ";",
    '"',
    "'",
    "\x00",
    "=",
    "&",
    "\\",
]
_QUERIES: Final[tuple[tuple[str, frozenset[str]], ...]] = tuple(
    (query, frozenset(scopes.split()))
    for query, scopes in (
        ("", ""),
        ("", ""),
        ("scope=a", "a"),
        ("scope=%61&&", "a"),
        ("scope=a+a&other=b", "a"),
        ("scope&&=", ""),
        ("%", ""),
        ("Scope=b", ""),
        ("scope=b", "b"),
        ("scope=a%20b", "a b"),
        ("scope=a&scope=b", "a b"),
        ("scope=%ff", "\ufffd"),
    )
)
"""Queries, each with the scopes that it asks for."""

# Where a key may be that is no place for one.
_ELSEWHERE: Final = (
    "HTTP_COOKIE",
    "HTTP_PROXY_AUTHORIZATION",
    "HTTP_X_FORWARDED_AUTHORIZATION",
    "HTTP_X_API_TOKEN",
    "HTTP_APIKEY",
    "HTTP_X_AUTH_KEY_ID",
    "REMOTE_USER",
)
_TOLD: Final = ("ORIGINAL_URI", "FORWARDED_URI", "ORIGINAL_METHOD", "FORWARDED_METHOD")


@dataclass(frozen=True)
class Known:
    """The secrets that open something.

    :ivar gates: the tenant of each gateway's token.
    :ivar keys: the tenant of each key, and :data:`ALLOWED` or the reason why it is denied whatever is asked.
    :ivar others: what opens other faces, and so is neither.
    """

    gates: Mapping[str, str] = field(repr=False)
    keys: Mapping[str, tuple[str, str]] = field(repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Request:
    """One request, its headers as CGI names them.

    :ivar expected: what it may come to: :data:`ALLOWED` or the code of a denial.
    :ivar shown: the key that it shows, where it shows one.
    """

    method: str
    path: str
    query: str
    body: bytes = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    expected: frozenset[str]
    shown: str | None = field(repr=False)


class Fuzzer:
    """Makes requests, always the same of the same seed."""

    def __init__(self, seed: int, known: Known) -> None:
        self._random = random.Random(seed)
        self._known = known
        self._gates = list(known.gates)
        self._keys = list(known.keys)
        self._live = [key for key, (_, outcome) in known.keys.items() if outcome == ALLOWED]
        self._open = [*self._gates, *self._keys, *known.others]
        noise = self._random.randbytes(16 * _LONGEST_TEXT)
        self._noise = noise.translate(_NOISE_BYTES).decode("latin-1")

    def request(self) -> Request:
        one = self._random.random
        headers = {}
        where = one()
        if where < 0.1:
            # As a gateway sends it.
            headers["HTTP_AUTHORIZATION"] = f"Bearer {self._random.choice(self._keys)}"
        elif where < 0.7:
            headers["HTTP_AUTHORIZATION"] = self._credentials(self._keys)
        if 0.5 < where < 0.9:
            headers["HTTP_X_API_KEY"] = self._credentials(self._keys)
        if one() < 0.97:
            headers["HTTP_X_GATE_AUTHORIZATION"] = (
                f"Bearer {self._random.choice(self._gates)}"
                if one() < 0.9
                else self._credentials(self._gates)
            )
        for name in _TOLD:
            if one() < 0.15:
                headers[f"HTTP_X_{name}"] = self._text()
        for name in ("HTTP_X_FORWARDED_FOR", "HTTP_HOST"):
            if one() < 0.1:
                headers[name] = self._text()
        if one() < 0.1:
            headers["HTTP_X_GATE_SCOPE"] = SCOPE if one() < 0.5 else self._text()
        if one() < 0.05:
            headers["HTTP_X_GATE_AUDIENCE"] = AUDIENCE if one() < 0.5 else self._text()
        if one() < 0.05:
            headers[self._random.choice(_ELSEWHERE)] = self._credentials(self._live)
        if one() < 0.05:
            headers["CONTENT_TYPE"] = self._text()
        method = self._random.choice(STANDARD_METHODS)
        if one() < 0.05:
            method = self._random.choice(["get", "FOO", "CONNECT", "PROPFIND", "G" * 300])
        path = PATH if one() < 0.65 else f"{PATH}/{self._below()}"
        query, scopes = self._random.choice(_QUERIES)
        asked: frozenset[str] | None = scopes
        if one() < 0.2:
            query, asked = self._text(), None
        elif one() < 0.05:
            # No place for a key either.
            query = f"{query}&access_token={self._random.choice(self._live)}"
        body = b""
        if one() < 0.1:
            body = self._random.randbytes(self._random.randint(1, 2000))
            if one() < 0.3:
                body = f"access_token={self._random.choice(self._live)}".encode()
                headers["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
        if path != PATH:
            # Envoy's form: the query is the caller's.
            asked = frozenset()
        shown, expected = self._expected(headers, asked)
        return Request(method, path, query, body, headers, expected, shown)

    def _expected(
        self, headers: dict[str, str], asked: frozenset[str] | None
    ) -> tuple[str | None, frozenset[str]]:
        """Return the key that is shown, and what docs/gateways.md says of it.

        :param asked: the scopes that the query asks for; None where that is not known.
        """
        gateway = _said(headers.get("HTTP_X_GATE_AUTHORIZATION", ""), with_scheme=True)
        tenant = self._known.gates.get(gateway.pop()) if len(gateway) == 1 else None
        if tenant is None:
            return None, frozenset({"gate_unauthenticated"})
        said = _said(headers.get("HTTP_AUTHORIZATION", ""), with_scheme=True)
        said |= _said(headers.get("HTTP_X_API_KEY", ""), with_scheme=False)
        if len(said) != 1:
            return None, frozenset({"keys_conflict" if said else "no_key"})
        key = said.pop().removeprefix("secret-token:")
        of, outcome = self._known.keys.get(key, (None, ""))
        if of != tenant:
            return key, frozenset({"key_unknown" if is_well_formed(key) else "key_malformed"})
        if outcome != ALLOWED:
            return key, frozenset({outcome})
        if headers.get("HTTP_X_GATE_AUDIENCE", "") not in ("", AUDIENCE):
            return key, frozenset({"audience_mismatch"})
        if asked is None or headers.get("HTTP_X_GATE_SCOPE", SCOPE) != SCOPE:
            # A text may name anything, these among it.
            return key, frozenset({ALLOWED, "scope_missing", "audience_mismatch"})
        return key, frozenset({ALLOWED if asked <= {SCOPE} else "scope_missing"})

    def _credentials(self, secrets: list[str]) -> str:
        count = 1 if self._random.random() < 0.85 else self._random.randint(2, 5)
        if count > 1 and self._random.random() < 0.3:
            # The same one several times is no conflict.
            secrets = [self._random.choice(secrets)]
            return self._random.choice([",", ", ", " ,, "]).join(secrets * count)
        return self._random.choice([",", ", ", " ,,", " "]).join(
            self._random.choice(_SCHEMES) + self._credential(secrets) for _ in range(count)
        )

    def _credential(self, secrets: list[str]) -> str:
        kind = self._random.random()
        secret = self._random.choice(secrets)
        if kind < 0.6:
            return self._mutated(secret)
        if kind < 0.7:
            return well_formed(self._letters(16), self._letters(43))
        if kind < 0.8:
            # Another secret under the identifier of a known one: only the digest tells them apart.
            return well_formed(secret[-66:-50], self._letters(43))
        if kind < 0.87:
            return secret
        if kind < 0.92:
            return self._random.choice(self._open)
        return self._text()

    def _mutated(self, key: str) -> str:
        at = self._random.randrange(len(key))
        choice = self._random.choice
        return choice(
            (
                lambda: key.swapcase(),
                lambda: key.upper(),
                lambda: key[:at] + key[at].swapcase() + key[at + 1 :],
                lambda: key[:at],
                lambda: key[at:],
                lambda: key[:at] + key[at + 1 :],
                lambda: key[:at] + choice(_DIGITS) + key[at + 1 :],
                lambda: key[:at] + choice(_DIGITS) + key[at:],
                lambda: key[:at] + choice(_WIDE) + key[at + 1 :],
                lambda: key[:at] + choice(_WIDE) + key[at:],
                lambda: key + choice(_WIDE),
                lambda: choice(_AROUND) + key + choice(_AROUND),
                lambda: key[:at] + choice(_AROUND) + key[at:],
                lambda: key[:at] + f"%{ord(key[at]):02X}" + key[at + 1 :],
                lambda: "".join(f"%{ord(each):02x}" for each in key),
                lambda: base64.b64encode(key.encode()).decode(),
                lambda: base64.b64encode(f"{key}:".encode()).decode(),
                lambda: key.encode().hex(),
                lambda: key.encode("utf-16-le").decode("latin-1").replace("\0", "\x01"),
                lambda: f'realm="{key}"',
                lambda: f"=?utf-8?q?{key}?=",
                lambda: f"utf-8''{key}",
                lambda: key + key,
                lambda: key + choice(_DIGITS) * self._random.randint(1, 2000),
                lambda: key[::-1],
                lambda: "secret-token:" + key,
                lambda: "SECRET-TOKEN:" + key,
                lambda: "secret-token:secret-token:" + key,
                lambda: "secret-token: " + key,
                lambda: key.replace("_", choice(["-", "__", "%5F", "\xad"])),
                lambda: key[:-6] + key[-6:][::-1],
                lambda: self._rewritten(key, at),
            )
        )()

    def _rewritten(self, key: str, at: int) -> str:
        """Change one character and put the checksum right again."""
        changed = (key[:at] + self._random.choice(_DIGITS) + key[at + 1 :])[:-6]
        return changed + checksum(changed)

    def _below(self) -> str:
        return "" if self._random.random() < 0.2 else self._text()

    def _text(self) -> str:
        # Most are short; a few are longer than any server lets through.
        one = self._random.random()
        length = (
            _LONGEST_TEXT if one < 0.003 else min(int(self._random.paretovariate(0.6)), _LONGEST_TEXT // 8)
        )
        if one < 0.5:
            at = int(self._random.random() * (len(self._noise) - length))
            return self._noise[at : at + length]
        few = "".join(self._random.choices(_ANY, k=min(length, 12)))
        return few * max(1, length // 12)

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_DIGITS, k=count))


def _said(header: str, *, with_scheme: bool) -> set[str]:
    said = set()
    for part in header.split(","):
        text = part.strip()
        if with_scheme and text[:7].rstrip().lower() == "bearer" and text[6:].strip():
            text = text[6:].strip()
        if text:
            said.add(text)
    return said


def is_well_formed(text: str) -> bool:
    """Say whether a text has the form and the checksum of a secret as docs/keys.md describes them."""
    return _FORM.fullmatch(text) is not None and checksum(text[:-6]) == text[-6:]


def checksum(text: str) -> str:
    """Return the checksum of a secret's text as docs/keys.md describes it."""
    number, digits = zlib.crc32(text.encode("latin-1")), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def well_formed(identifier: str, secret: str) -> str:
    """Return what has the form and the checksum of a key."""
    text = f"ks_live_{identifier}_{secret}"
    return text + checksum(text)
