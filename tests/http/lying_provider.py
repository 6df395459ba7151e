"""An OpenID provider that can be made to lie: what it answers is what a test tells it to."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import Key, RSAKey

_KEY: Final = RSAKey.generate_key(2048)


@dataclass
class LyingProvider:
    """``claims`` and ``metadata`` are laid over what would be true; a claim that is None is left out."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: _KEY)
    signing_key: Key | None = None
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    token_answer: tuple[int, dict[str, str], bytes] | None = None
    nonce: str = ""
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        document: dict[str, Any]
        if path == "/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.metadata,
            }
        elif path == "/keys":
            document = {"keys": [self.key.as_dict(private=False)]}
        elif path == "/userinfo":
            document = self.userinfo
        elif self.token_answer is not None:
            return self.token_answer
        else:
            self.forms.append(form)
            document = {"access_token": "access", "token_type": "Bearer", "id_token": self.id_token()}
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()

    def id_token(self) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "keysteward",
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            token = jwt.encode({"alg": "HS256"}, claims, self.signing_key or self.key)
            _, body, _ = token.split(".")
            return f"eyJhbGciOiJub25lIn0.{body}."
        return jwt.encode(
            {"alg": self.algorithm}, claims, self.signing_key or self.key, algorithms=[self.algorithm]
        )


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """Run one, at an address of its own."""
    told = LyingProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, headers, body = told.answer(self.path, parse_qs(form))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_told: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.issuer = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
