"""What the gate signs with: ES256 keys that follow from the peppers, one for each version of them.

So the keys are kept where the peppers are, come to every machine with them, and rotate with them: a new
pepper that does not make digests yet is already published, and an old one still is until it is dropped.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from joserfc import jwt
from joserfc.jwk import ECKey

from app.store.peppers import Peppers, derived

ALGORITHM: Final = "ES256"
PATH: Final = "/.well-known/jwks.json"

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points the curve P-256 has (NIST SP 800-186): private keys are smaller."""

_PURPOSE: Final = "gate signatures"


class Signer:
    """Signs what the gate says, so that it can be believed without asking again."""

    def __init__(self, peppers: Peppers) -> None:
        self._peppers = peppers

    def sign(self, kind: str, claims: Mapping[str, Any]) -> str:
        """Return a JWT of a type (``typ``), signed with the key of the pepper that makes new digests."""
        held = self._peppers.held()
        key = _key(held.by_version[held.current])
        header = {"typ": kind, "alg": ALGORITHM, "kid": key.thumbprint()}
        return jwt.encode(header, dict(claims), key, algorithms=[ALGORITHM])

    def public_keys(self) -> dict[str, Any]:
        """Return the JWK set (RFC 7517) of all the keys, the newest first."""
        by_version = self._peppers.held().by_version
        keys = [_key(by_version[version]) for version in sorted(by_version, reverse=True)]
        return {
            "keys": [
                {**each.as_dict(private=False), "kid": each.thumbprint(), "use": "sig", "alg": ALGORITHM}
                for each in keys
            ]
        }


def _key(pepper: bytes) -> ECKey:
    number = int.from_bytes(derived(pepper, _PURPOSE)) % (_ORDER - 1) + 1
    point = derive_private_key(number, SECP256R1()).public_key().public_numbers()
    return ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": _encoded(point.x), "y": _encoded(point.y), "d": _encoded(number)}
    )


def _encoded(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32)).decode().rstrip("=")
