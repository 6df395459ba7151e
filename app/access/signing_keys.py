"""The public keys of those whose assertions are believed, fetched from where they publish them."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet

from app.access.clients import checked_address

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0
"""How long an answer may make us wait at a time, in seconds."""

LONGEST_WAIT: Final = 10.0
"""How long a request waits for keys altogether, in seconds."""

AT_ONCE: Final = 2
"""How many requests of a process may wait for keys: the others serve everybody else."""

LARGEST: Final = 256 * 1024
"""How large a document may be, in bytes."""

FRESH: Final = 3600.0
"""After how many seconds keys are fetched anew."""

PATIENCE: Final = 30.0
"""An address is asked no more often than once in so many seconds, whatever assertions say and it answers."""


class KeysUnavailable(Exception):
    """The keys cannot be fetched, so no assertion can be believed (P5)."""


@dataclass
class _Source:
    """What is known of one address. The times are those of the clock."""

    asking: Future[KeySet]
    asked_at: float
    keys: KeySet | None = None
    fetched_at: float = 0.0


class SigningKeys:
    """Fetches keys and keeps them for an hour.

    An address that does not answer, or answers slowly, keeps nobody waiting who does not need it.

    :param loopback: whether http addresses on this machine may be asked besides https ones.
    """

    def __init__(self, *, loopback: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._loopback = loopback
        self._clock = clock
        self._sources: dict[str, _Source] = {}
        self._lock = threading.Lock()
        self._waiting = threading.BoundedSemaphore(AT_ONCE)

    def of_issuer(self, issuer: str, key_id: str | None) -> KeySet:
        """Return the keys of an OpenID provider, from where its discovery document says.

        :raises KeysUnavailable: when they cannot be had.
        """
        return self._keys(f"{issuer.rstrip('/')}/.well-known/openid-configuration", key_id, issuer=issuer)

    def at(self, address: str, key_id: str | None) -> KeySet:
        """Return the keys at an address.

        :raises KeysUnavailable: when they cannot be had.
        """
        return self._keys(address, key_id, issuer=None)

    def _keys(self, address: str, key_id: str | None, *, issuer: str | None) -> KeySet:
        with self._lock:
            now = self._clock()
            source = self._sources.get(address)
            known = source.keys if source is not None and now - source.fetched_at < FRESH else None
            if known is not None and _has(known, key_id):
                return known
            if source is None:
                self._forget(now)
                source = self._sources[address] = _Source(Future(), now)
                self._ask(source, address, issuer)
            elif source.asking.done() and now - source.asked_at >= PATIENCE:
                source.asking, source.asked_at = Future(), now
                self._ask(source, address, issuer)
            asking = source.asking
        try:
            return self._answer(asking)
        except KeysUnavailable:
            if known is None:
                raise
            return known

    def _answer(self, asking: Future[KeySet]) -> KeySet:
        if asking.done():
            return asking.result()
        if not self._waiting.acquire(blocking=False):
            raise KeysUnavailable("too many wait for the keys of issuers")
        try:
            return asking.result(LONGEST_WAIT)
        except TimeoutError:
            raise KeysUnavailable("the keys do not come") from None
        finally:
            self._waiting.release()

    def _ask(self, source: _Source, address: str, issuer: str | None) -> None:
        """Fetch the keys beside the requests: an address that drips its answer holds this thread alone."""
        threading.Thread(
            target=self._fetch_keys, args=(source, source.asking, address, issuer), daemon=True
        ).start()

    def _fetch_keys(self, source: _Source, asking: Future[KeySet], address: str, issuer: str | None) -> None:
        try:
            document = self._fetch(address)
            if issuer is not None:
                if document.get("issuer") != issuer:
                    raise KeysUnavailable("the discovery document is of another issuer")
                document = self._fetch(str(document.get("jwks_uri")))
            keys = usable_keys(document)
            if not keys:
                raise KeysUnavailable("there is no key")
        except Exception as error:
            why = str(error) if isinstance(error, KeysUnavailable) else type(error).__name__
            log.warning("the keys at %s cannot be fetched: %s", address, why)
            asking.set_exception(KeysUnavailable("the keys of the issuer cannot be fetched"))
            return
        with self._lock:
            source.keys, source.fetched_at = keys, self._clock()
        asking.set_result(keys)

    def _fetch(self, address: str) -> dict[str, Any]:
        address = checked_address(address, loopback=self._loopback)
        # Not compressed, so that its size is what it seems.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        with (
            httpx2.Client(timeout=TIMEOUT, follow_redirects=False) as client,
            client.stream("GET", address, headers=headers) as answer,
        ):
            if answer.status_code != 200:
                raise KeysUnavailable(f"the answer was {answer.status_code}")
            body = b""
            for part in answer.iter_raw():
                body += part
                if len(body) > LARGEST:
                    raise KeysUnavailable("the document is too large")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise KeysUnavailable("the document is no object")
        return document

    def _forget(self, now: float) -> None:
        """Drop what nobody asked for lately."""
        old = [
            address
            for address, source in self._sources.items()
            if source.asking.done() and now - max(source.asked_at, source.fetched_at) > FRESH
        ]
        for address in old:
            del self._sources[address]


def usable_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the public keys of a JWK set that can be read; what cannot is left out (RFC 7517 §5)."""
    found: list[Key] = []
    listed = document.get("keys")
    for each in listed if isinstance(listed, list) else ():
        try:
            key = JWKRegistry.import_key(each)
            key.check_key_op("verify")
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if key.key_type != "oct":
            found.append(key)
    return KeySet(found)


def _has(keys: KeySet, key_id: str | None) -> bool:
    return key_id is None or any(each.kid == key_id for each in keys.keys)
