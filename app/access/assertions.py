"""Client assertions: JWTs by which a client, or who vouches for it, shows who it is (RFC 7523 §2.2)."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jws, jwt
from joserfc.errors import InvalidClaimError, JoseError, SecurityWarning
from joserfc.jwk import KeySet

from app.access.clients import Client
from app.access.signing_keys import SigningKeys, usable_keys
from app.store.unit_of_work import wall_clock

ALGORITHMS: Final = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
"""How an assertion may be signed: nothing symmetric, and never not at all."""

TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
"""What an assertion may say that it is. It may say nothing: RFC 7523bis advises against refusing that."""

LONGEST_LIFE: Final = 3600
"""How far ahead the end of a client's own assertion may be, in seconds."""

SLACK: Final = 60
"""How far the clocks may differ, in seconds."""

_LONGEST: Final = 16 * 1024
_SECOND: Final = 1_000_000

# Clients will say "EdDSA" for years; the library warns of the old name with every assertion (RFC 9864).
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)


class AssertionInvalid(Exception):
    """An assertion is not to be believed; the message says why, without repeating it."""


@dataclass(frozen=True)
class Believed:
    """An assertion that is to be believed.

    ``jti`` is there where it may be used once. After ``ends_at``, in microseconds, nobody believes it.
    """

    jti: str | None
    ends_at: int


def claimed_client(assertion: str) -> str | None:
    """Return the client that an assertion speaks of, before anything of it is believed.

    :raises AssertionInvalid: when it is no JWT.
    """
    subject = _unverified(assertion)[1].get("sub")
    return subject if isinstance(subject, str) else None


def believe(assertion: str, client: Client, keys: SigningKeys, *, issuer: str) -> Believed:
    """Check an assertion of a client, or of who vouches for it.

    A client's own has the client as issuer and subject, our issuer identifier as its only audience (RFC
    7523bis §4), an end within the hour, and an id that is used once. One of somebody else has the issuer,
    subject and audience that are registered.

    :param issuer: our own issuer identifier (RFC 8414 §2).
    :raises AssertionInvalid: when it is not to be believed.
    :raises KeysUnavailable: when nobody can tell, because the keys cannot be fetched.
    """
    key_id = _unverified(assertion)[0].get("kid")
    found = _keys_of(client, keys, key_id if isinstance(key_id, str) else None)
    try:
        token = jwt.decode(assertion, found, algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError):
        raise AssertionInvalid("the signature of the assertion cannot be verified") from None
    if str(token.header.get("typ", "JWT")).lower().removeprefix("application/") not in TYPES:
        raise AssertionInvalid("the JWT is for another purpose: its typ says so")
    claims = token.claims
    try:
        _expected(client, issuer).validate(claims)
    except InvalidClaimError as error:
        raise AssertionInvalid(_explained(error.claim, issuer, client)) from None
    except JoseError as error:
        raise AssertionInvalid(f"the assertion is refused: {error.description or error.error}") from None
    ends_at = (int(claims["exp"]) + SLACK) * _SECOND
    if client.is_federated:
        return Believed(None, ends_at)
    if claims["aud"] != issuer:
        raise AssertionInvalid(_explained("aud", issuer, client))
    if len(claims["jti"]) > 256:
        raise AssertionInvalid("the assertion's jti is too long")
    if ends_at > wall_clock() + (LONGEST_LIFE + 2 * SLACK) * _SECOND:
        raise AssertionInvalid("the assertion's exp is too far ahead: an hour at most")
    return Believed(claims["jti"], ends_at)


def _expected(client: Client, issuer: str) -> jwt.JWTClaimsRegistry:
    """Return what the claims must be, besides that the assertion holds now."""
    if client.issuer is not None and client.subject is not None and client.audience is not None:
        return jwt.JWTClaimsRegistry(
            leeway=SLACK,
            iss={"essential": True, "value": client.issuer},
            sub={"essential": True, "value": client.subject},
            aud={"essential": True, "value": client.audience},
            exp={"essential": True},
        )
    return jwt.JWTClaimsRegistry(
        leeway=SLACK,
        iss={"essential": True, "value": client.id},
        sub={"essential": True, "value": client.id},
        aud={"essential": True, "value": issuer},
        exp={"essential": True},
        jti={"essential": True},
    )


def _explained(claim: str | None, issuer: str, client: Client) -> str:
    if claim == "aud" and not client.is_federated:
        return f"the assertion's aud must be {issuer!r} and nothing else"
    return f"the assertion's {claim} is not as it must be"


def _keys_of(client: Client, keys: SigningKeys, key_id: str | None) -> KeySet:
    if client.issuer is not None:
        return keys.of_issuer(client.issuer, key_id)
    if client.keys_url is not None:
        return keys.at(client.keys_url, key_id)
    return usable_keys(dict(client.keys or {}))


def _unverified(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if len(assertion) > _LONGEST:
        raise AssertionInvalid("the assertion is too long")
    try:
        parts = jws.extract_compact(assertion.encode())
        claims = json.loads(parts.payload)
        header = dict(parts.headers())
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise AssertionInvalid("the assertion is no JWT") from None
    if not isinstance(claims, dict):
        raise AssertionInvalid("the assertion is no JWT")
    return header, claims
