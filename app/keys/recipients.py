"""Secrets for machines: encrypted to a public key (RFC 7516), so that nobody on the way can read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

CONTENT_ENCRYPTION: Final = "A256GCM"
LEAST_RSA_BITS: Final = 2048
MOST_RSA_BITS: Final = 8192

_CURVES: Final = {"EC": ("P-256", "P-384", "P-521"), "OKP": ("X25519",)}
_ALGORITHMS: Final = {"RSA": "RSA-OAEP-256", "EC": "ECDH-ES+A256KW", "OKP": "ECDH-ES+A256KW"}
_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_OPERATIONS: Final = frozenset({"encrypt", "wrapKey", "deriveKey", "deriveBits"})
_LONGEST_KEY_ID: Final = 200


class RecipientUnusable(Exception):
    """No secret can be encrypted to this key; the message says what to change."""


@dataclass(frozen=True)
class Recipient:
    """A public key that secrets can be encrypted to. ``thumbprint``: of RFC 7638, in base64url."""

    key: RSAKey | ECKey | OKPKey
    algorithm: str
    key_id: str | None
    thumbprint: str

    @classmethod
    def of(cls, jwk: Mapping[str, Any]) -> Recipient:
        """Return the recipient that a public JWK (RFC 7517) is.

        :raises RecipientUnusable: when it is private, symmetric, weak, not for encryption, or no JWK.
        """
        kind = jwk.get("kty")
        if kind == "oct":
            raise RecipientUnusable("the key is symmetric: send a public key (kty RSA, EC or OKP)")
        if any(member in jwk for member in _PRIVATE):
            raise RecipientUnusable(
                "the key has private members: send its public members only, and replace it, for it was sent"
            )
        if not isinstance(kind, str) or kind not in _ALGORITHMS:
            raise RecipientUnusable("'kty' must be RSA, EC or OKP")
        _require_purpose(jwk, _ALGORITHMS[kind])
        if kind in _CURVES and jwk.get("crv") not in _CURVES[kind]:
            raise RecipientUnusable(f"'crv' of a key of type {kind} must be {' or '.join(_CURVES[kind])}")
        key = _imported(kind, jwk)
        return cls(key, _ALGORITHMS[kind], jwk.get("kid"), key.thumbprint())

    def seal(self, document: Mapping[str, Any]) -> str:
        """Return a document, as JSON, in the compact form of a JWE that only the recipient can open."""
        header = {"alg": self.algorithm, "enc": CONTENT_ENCRYPTION, "cty": "json"}
        if self.key_id is not None:
            header["kid"] = self.key_id
        algorithms = [self.algorithm, CONTENT_ENCRYPTION]
        return jwe.encrypt_compact(header, json.dumps(document).encode(), self.key, algorithms=algorithms)


def _require_purpose(jwk: Mapping[str, Any], algorithm: str) -> None:
    if jwk.get("use", "enc") != "enc":
        raise RecipientUnusable("'use' must be 'enc': the key is not for encryption")
    operations = jwk.get("key_ops", ["wrapKey"])
    if not isinstance(operations, list) or not _OPERATIONS & {str(each) for each in operations}:
        raise RecipientUnusable(f"'key_ops' must have one of {', '.join(sorted(_OPERATIONS))}")
    if jwk.get("alg", algorithm) != algorithm:
        raise RecipientUnusable(f"'alg' must be {algorithm}, or be left out")
    key_id = jwk.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 0 < len(key_id) <= _LONGEST_KEY_ID):
        raise RecipientUnusable(f"'kid' must be a text of 1 to {_LONGEST_KEY_ID} characters")


def _imported(kind: str, jwk: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey:
    # What is needed and nothing else: no other member can make the key mean something else.
    needed: dict[str, str | list[str]] = {
        name: str(jwk[name]) for name in ("kty", "n", "e", "crv", "x", "y") if name in jwk
    }
    try:
        if kind == "RSA":
            key = RSAKey.import_key(needed)
            bits = key.public_key.key_size
            if not LEAST_RSA_BITS <= bits <= MOST_RSA_BITS:
                raise RecipientUnusable(
                    f"the RSA key has {bits} bits: use one of {LEAST_RSA_BITS} to {MOST_RSA_BITS}"
                )
            return key
        return ECKey.import_key(needed) if kind == "EC" else OKPKey.import_key(needed)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        raise RecipientUnusable(f"the members of a {kind} key are missing or wrong (RFC 7518 §6)") from None
