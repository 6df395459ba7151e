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

REVOCATION_TYPES: Final = frozenset({"global-token-revocation+jwt"})
"""What an assertion must say that it is to end the keys of a user, as Okta signs it."""

LONGEST_LIFE: Final = 3600
"""How far ahead the end of an assertion that is used once may be, in seconds, and how long ago it began."""

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
    audience = issuer if client.audience is None else client.audience
    claims = _claims(assertion, client, keys, TYPES, _expected(client, issuer), audience)
    if client.is_federated:
        return Believed(None, (int(claims["exp"]) + SLACK) * _SECOND)
    return _used_once(claims, audience)


def believe_revocation(assertion: str, client: Client, keys: SigningKeys, *, endpoint: str) -> Believed:
    """Check an assertion by which a client ends all keys of a user.

    It says by its ``typ`` that it is for that, has the issuer and the subject that are registered (where none
    are, the client as both), the address that was called as its only audience, was issued within the hour,
    ends within the hour, and has an id that is used once.

    :param endpoint: the address that was called, without a query.
    :raises AssertionInvalid: when it is not to be believed.
    :raises KeysUnavailable: when nobody can tell, because the keys cannot be fetched.
    """
    expected = jwt.JWTClaimsRegistry(
        leeway=SLACK,
        iss={"essential": True, "value": client.issuer or client.id},
        sub={"essential": True, "value": client.subject or client.id},
        aud={"essential": True, "value": endpoint},
        exp={"essential": True},
        iat={"essential": True},
        jti={"essential": True},
    )
    claims = _claims(assertion, client, keys, REVOCATION_TYPES, expected, endpoint)
    if claims["iat"] * _SECOND < wall_clock() - (LONGEST_LIFE + SLACK) * _SECOND:
        raise AssertionInvalid("the assertion's iat is too long ago: an hour at most")
    return _used_once(claims, endpoint)


def _claims(
    assertion: str,
    client: Client,
    keys: SigningKeys,
    types: frozenset[str],
    expected: jwt.JWTClaimsRegistry,
    audience: str,
) -> dict[str, Any]:
    """Return the claims of an assertion whose signature, type and claims are as they must be."""
    key_id = _unverified(assertion)[0].get("kid")
    found = _keys_of(client, keys, key_id if isinstance(key_id, str) else None)
    try:
        token = jwt.decode(assertion, found, algorithms=ALGORITHMS)
    except (JoseError, ValueError, TypeError):
        raise AssertionInvalid("the signature of the assertion cannot be verified") from None
    if str(token.header.get("typ", "JWT")).lower().removeprefix("application/") not in types:
        raise AssertionInvalid("the JWT is for another purpose: its typ says so")
    try:
        expected.validate(token.claims)
    except InvalidClaimError as error:
        raise AssertionInvalid(_explained(error.claim, audience)) from None
    except JoseError as error:
        raise AssertionInvalid(f"the assertion is refused: {error.description or error.error}") from None
    return token.claims


def _used_once(claims: dict[str, Any], audience: str) -> Believed:
    """Hold the claims to what is asked of an assertion that may be used once."""
    if claims["aud"] != audience:
        raise AssertionInvalid(_explained("aud", audience))
    if len(claims["jti"]) > 256:
        raise AssertionInvalid("the assertion's jti is too long")
    ends_at = (int(claims["exp"]) + SLACK) * _SECOND
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


def _explained(claim: str | None, audience: str) -> str:
    if claim == "aud":
        return f"the assertion's aud must be {audience!r} and nothing else"
    return f"the assertion's {claim} is not as it must be"


def _keys_of(client: Client, keys: SigningKeys, key_id: str | None) -> KeySet:
    if client.keys_url is not None:
        return keys.at(client.keys_url, key_id)
    if client.keys is not None:
        return usable_keys(dict(client.keys))
    if client.issuer is not None:
        return keys.of_issuer(client.issuer, key_id)
    raise AssertionInvalid("the client has no keys")


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
