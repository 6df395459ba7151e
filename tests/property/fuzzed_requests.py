"""Requests to ``/gate/verify`` as no gateway sends them, and what they may be answered."""

from __future__ import annotations

import io
import json
import random
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

PATH: Final = "/gate/verify"
STANDARD_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DENIALS: Final = (400, 401, 403, 404, 405)
"""The gate says 401 or 403; the others say that a request never came to it."""

_WARM_UP: Final = 3000
_FAILURES_TOLD: Final = 20

# What a server hands over is bytes read as Latin-1, without line breaks and NUL.
_ANY: Final = "".join(chr(code) for code in range(1, 256) if chr(code) not in "\r\n")
_WIDE: Final = [
    text.encode().decode("latin-1") for text in ("０", "١", "а", "\u200b", "\ufeff", "\u2028", "ı", "ſ", "K")
]
_SCHEMES: Final = [
    "Bearer ",
    "bearer ",
    "BEARER  ",
    "Bearer",
    "Basic ",
    "Digest ",
    "",
    "",
    "Bearer\t",
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


@dataclass(frozen=True)
class Request:
    """One request: headers as CGI names them, and whether it shows a live key with the gateway's token."""

    method: str
    path: str
    query: str
    body: bytes
    headers: dict[str, str] = field(repr=False)
    acceptable: bool


class Fuzzer:
    """Makes requests, always the same of the same seed."""

    def __init__(self, seed: int, gate_token: str, keys: list[str]) -> None:
        self._random = random.Random(seed)
        self._gate_token = gate_token
        self._keys = keys

    def request(self) -> Request:
        one = self._random.random
        headers = {}
        for name in ("HTTP_AUTHORIZATION", "HTTP_X_API_KEY"):
            if one() < 0.65:
                headers[name] = self._credentials(self._keys)
        if one() < 0.97:
            headers["HTTP_X_GATE_AUTHORIZATION"] = (
                f"Bearer {self._gate_token}" if one() < 0.9 else self._credentials([self._gate_token])
            )
        for name in ("ORIGINAL_URI", "FORWARDED_URI", "ORIGINAL_METHOD", "FORWARDED_METHOD", "GATE_SCOPE"):
            if one() < 0.15:
                headers[f"HTTP_X_{name}"] = self._text()
        for name in ("HTTP_X_GATE_AUDIENCE", "HTTP_X_FORWARDED_FOR", "HTTP_HOST", "HTTP_COOKIE"):
            if one() < 0.1:
                headers[name] = self._text()
        if one() < 0.05:
            headers["CONTENT_TYPE"] = self._text()
        method = self._random.choice(STANDARD_METHODS)
        if one() < 0.05:
            method = self._random.choice(["get", "FOO", "CONNECT", "PROPFIND", "G" * 300])
        below = self._text() if one() < 0.3 else ""
        queries = ["", "scope=a", "scope=%ff", "scope&&=", "%"]
        return Request(
            method,
            PATH + ("/" + below if below or one() < 0.1 else ""),
            self._text() if one() < 0.3 else self._random.choice(queries),
            b"" if one() < 0.9 else self._random.randbytes(self._random.randint(1, 2000)),
            headers,
            self._acceptable(headers),
        )

    def _acceptable(self, headers: dict[str, str]) -> bool:
        """Say by the rules of docs/gateways.md whether one live key and the gateway's token are shown."""
        shown = _shown(headers.get("HTTP_AUTHORIZATION", ""), with_scheme=True)
        shown |= _shown(headers.get("HTTP_X_API_KEY", ""), with_scheme=False)
        gateway = _shown(headers.get("HTTP_X_GATE_AUTHORIZATION", ""), with_scheme=True)
        key = shown.pop().removeprefix("secret-token:") if len(shown) == 1 else ""
        return key in self._keys and gateway == {self._gate_token}

    def _credentials(self, live: list[str]) -> str:
        count = 1 if self._random.random() < 0.85 else self._random.randint(2, 5)
        return self._random.choice([",", ", ", " ,,", " "]).join(
            self._random.choice(_SCHEMES) + self._credential(live) for _ in range(count)
        )

    def _credential(self, live: list[str]) -> str:
        kind = self._random.random()
        key = self._random.choice(live)
        if kind < 0.6:
            return self._mutated(key)
        if kind < 0.75:
            return well_formed(self._letters(16), self._letters(43))
        if kind < 0.85:
            # Another secret under the identifier of a live one: only the digest tells them apart.
            return well_formed(key[-66:-50], self._letters(43))
        if kind < 0.9:
            return key
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
                lambda: key + key,
                lambda: key + choice(_DIGITS) * self._random.randint(1, 2000),
                lambda: key[::-1],
                lambda: "secret-token:" + key,
                lambda: "SECRET-TOKEN:" + key,
                lambda: "secret-token:secret-token:" + key,
                lambda: key.replace("_", choice(["-", "__", "%5F", "\xad"])),
                lambda: key[:-6] + key[-6:][::-1],
                lambda: self._rewritten(key, at),
            )
        )()

    def _rewritten(self, key: str, at: int) -> str:
        """Change one character and put the checksum right again."""
        changed = (key[:at] + self._random.choice(_DIGITS) + key[at + 1 :])[:-6]
        return changed + checksum(changed)

    def _text(self) -> str:
        length = int(self._random.paretovariate(0.6)) if self._random.random() < 0.98 else 65_000
        if self._random.random() < 0.5:
            return self._random.randbytes(min(length, 70_000)).decode("latin-1").translate(_NOT_IN_HEADERS)
        few = self._random.choices(_ANY, k=min(length, 12))
        return "".join(few) * max(1, min(length, 4000) // 12)

    def _letters(self, count: int) -> str:
        return "".join(self._random.choices(_DIGITS, k=count))


_NOT_IN_HEADERS: Final = dict.fromkeys(map(ord, "\r\n\0"), "_")


def _shown(header: str, *, with_scheme: bool) -> set[str]:
    shown = set()
    for part in header.split(","):
        text = part.strip()
        if with_scheme and text[:7].rstrip().lower() == "bearer" and text[6:].strip():
            text = text[6:].strip()
        if text:
            shown.add(text)
    return shown


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


def fuzz(fuzzer: Fuzzer, count: int) -> dict[str, Any]:
    """Send many requests to the application as a worker process serves it, and say what they came to.

    Memory is in bytes, after the first few thousand requests and at the end.
    """
    from app.worker import load

    application = load()
    answers: Counter[int] = Counter()
    failures: list[str] = []
    acceptable = memory = 0
    own = psutil.Process()
    for number in range(count + _WARM_UP):
        if number == _WARM_UP:
            memory = own.memory_info().rss
        request = fuzzer.request()
        status = _status(application, request)
        answers[status] += 1
        acceptable += request.acceptable
        wrong = status not in _DENIALS and not (status == 200 and request.acceptable)
        if wrong and len(failures) < _FAILURES_TOLD:
            failures.append(f"{status}: {request!r} {request.headers!r}")
    return {
        "answers": answers,
        "acceptable": acceptable,
        "failures": failures,
        "memory": [memory, own.memory_info().rss],
    }


def _status(application: Callable[..., Iterable[bytes]], request: Request) -> int:
    told: list[str] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        # What ends a header must never come from a request (RFC 9110 §5.5).
        assert not any(end in value for _, value in headers for end in "\r\n\0"), request
        told[:] = [status]

    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8470",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **request.headers,
    }
    if request.body:
        environ["CONTENT_LENGTH"] = str(len(request.body))
    body = application(environ, start_response)
    for _ in body:
        pass
    if (close := getattr(body, "close", None)) is not None:
        close()
    return int(told[0][:3])


if __name__ == "__main__":
    # In a process of its own, which is a worker like any other, and whose memory is its own. It is told the
    # secrets on its standard input.
    asked = json.load(sys.stdin)
    print(json.dumps(fuzz(Fuzzer(asked["seed"], asked["gateToken"], asked["keys"]), asked["count"])))
