"""Who may end all keys of a user by a signed assertion (draft-parecki-oauth-global-token-revocation).

An identity provider signs the assertion as itself: Okta with the keys of its org, which are those that it
signs ID tokens with. Each client has an address of its own to call, so that it is never the assertion that
says whose directory is meant: two tenants may trust the same issuer and subject.
"""

from __future__ import annotations

from typing import Final

from app.access.assertions import AssertionInvalid, Believed, believe_revocation, claimed_client
from app.access.clients import Client, Purpose, find_client
from app.access.protector import REALM, Unauthenticated
from app.access.rate_limit import RateLimit
from app.access.signing_keys import SigningKeys
from app.store.unit_of_work import Store

REVOCATION_PATH: Final = "/global-token-revocation"


def is_assertion(token: str) -> bool:
    """Whether a bearer token has the form of a JWT, which no credential of ours has."""
    return token.count(".") == 2


def revocation_url(root_url: str, client_id: str) -> str:
    """Return the address that a client for revocation calls, and that its assertions are for."""
    return f"{root_url}{REVOCATION_PATH}/{client_id}"


class Revokers:
    """Believes the assertions of clients for revocation.

    :param root_url: the root of our public URLs.
    :param keys: what fetches the keys of issuers.
    :param rate_limit: how many requests each connection may send; a revocation is one.
    """

    def __init__(self, store: Store, keys: SigningKeys, *, root_url: str, rate_limit: RateLimit) -> None:
        self._store = store
        self._keys = keys
        self._root_url = root_url
        self._rate_limit = rate_limit

    def believe(self, assertion: str, client_id: str | None) -> tuple[Client, Believed]:
        """Return the client that an assertion is of; it is for the caller to use the assertion up.

        :param client_id: the client whose own address was called; None where the common one was, at which a
            client says by ``sub`` which one it is.
        :raises Unauthenticated: 401, when the assertion is not to be believed.
        :raises KeysUnavailable: when nobody can tell, because the keys cannot be fetched.
        :raises TooManyRequests: when the connection of the client sends more than it may.
        """
        endpoint = f"{self._root_url}{REVOCATION_PATH}"
        try:
            if client_id is None:
                client_id = claimed_client(assertion)
            else:
                endpoint = revocation_url(self._root_url, client_id)
            with self._store.engine.begin() as reading:
                client = find_client(reading, client_id or "", Purpose.revocation)
            if client is None:
                raise AssertionInvalid("there is no such client")
            believed = believe_revocation(assertion, client, self._keys, endpoint=endpoint)
        except AssertionInvalid as error:
            raise refused(str(error)) from None
        # Only now: nobody else may use up what the connection may send.
        self._rate_limit.take(client.connection_id)
        return client, believed


def refused(why: str) -> Unauthenticated:
    """Return the refusal of an assertion (RFC 6750 §3.1)."""
    challenge = f'Bearer realm="{REALM}", error="invalid_token", error_description="{why}"'
    return Unauthenticated(401, challenge, why[:1].upper() + why[1:])
