"""What a number of decisions of one tenant add up to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

import msgspec

from app.gate.reasons import DEAD

BUCKETS: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 1_000_000)
"""The upper bounds of the histogram's buckets, in microseconds; one more takes what took longer."""

ALLOWED: Final = "allowed"
"""The outcome of a decision that is no denial; that of a denial is the code of its reason."""

_BOUNDS: Final = tuple(each * 1_000 for each in BUCKETS)
_DEAD: Final = frozenset(reason.code for reason in DEAD)
_DAY: Final = 86_400 * 1_000_000
_MEMBERS: Final = {"tenant_id": "tenant", "key_id": "key", "consumer_id": "consumer"}


class RecordUnreadable(ValueError):
    """A text of the spool is no record of a decision."""


class Record(msgspec.Struct, frozen=True, gc=False, rename=_MEMBERS.get):
    """What is counted of a recorded decision; ``reason`` is None when it allowed the call."""

    at: int
    tenant_id: str
    face: str
    reason: str | None
    key_id: str | None
    consumer_id: str | None
    entitlements: tuple[str, ...]
    client: str | None
    took: int

    @classmethod
    def read(cls, text: bytes) -> Record:
        """Read a record.

        :raises RecordUnreadable: when it is none.
        """
        # What is not counted is not decoded, but it is kept too, and must be readable.
        if not text.isascii():
            raise RecordUnreadable
        try:
            return _decoder.decode(text)
        except msgspec.DecodeError as error:
            raise RecordUnreadable from error

    @property
    def outcome(self) -> str:
        """What came out, as it is counted."""
        return self.reason or ALLOWED


_decoder: Final = msgspec.json.Decoder(Record)


@dataclass(slots=True)
class KeyUse:
    """How one key was used. Times in microseconds."""

    consumer_id: str | None = None
    first_at: int | None = None
    last_at: int | None = None
    last_denied_at: int | None = None
    allowed: int = 0
    denied: int = 0
    dead_uses: int = 0
    last_network: str | None = None


@dataclass(slots=True)
class NetworkUse:
    """How one key was used from one network."""

    first_at: int
    last_at: int
    uses: int = 0


@dataclass(slots=True)
class Tally:
    """What some decisions of a tenant add up to.

    :ivar days: by key, day, entitlement and outcome, as ``key_usage_day`` has it.
    :ivar networks: by key and network.
    :ivar counts: by face, outcome and bucket: how many decisions, and how many nanoseconds.
    """

    first_at: int
    last_at: int
    texts: list[bytes] = field(default_factory=list)
    keys: dict[str, KeyUse] = field(default_factory=dict)
    days: dict[tuple[str, int, str, str], int] = field(default_factory=dict)
    networks: dict[tuple[str, str], NetworkUse] = field(default_factory=dict)
    counts: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, text: bytes, record: Record) -> None:
        """Count one more decision, and take the text that it was written down as."""
        self.texts.append(text)
        at, outcome, took = record.at, record.outcome, record.took
        if at < self.first_at:
            self.first_at = at
        if at > self.last_at:
            self.last_at = at
        counted = (record.face, outcome, bisect_left(_BOUNDS, took))
        decisions, nanoseconds = self.counts.get(counted, (0, 0))
        self.counts[counted] = decisions + 1, nanoseconds + took
        if record.key_id is not None:
            self._add_use(record.key_id, outcome, record)

    def _add_use(self, key_id: str, outcome: str, record: Record) -> None:
        at, client = record.at, record.client
        use = self.keys.get(key_id)
        if use is None:
            use = self.keys[key_id] = KeyUse()
        use.consumer_id = record.consumer_id
        if outcome == ALLOWED:
            use.allowed += 1
            use.first_at, use.last_at = _earlier(use.first_at, at), _later(use.last_at, at)
        else:
            use.denied += 1
            use.dead_uses += outcome in _DEAD
            use.last_denied_at = _later(use.last_denied_at, at)
        days, day = self.days, at // _DAY
        for entitlement in ("", *record.entitlements):
            counted = (key_id, day, entitlement, outcome)
            days[counted] = days.get(counted, 0) + 1
        network = None if client is None else network_of(client)
        if network is not None:
            use.last_network = network
            seen = self.networks.setdefault((key_id, network), NetworkUse(at, at))
            seen.first_at, seen.last_at = min(seen.first_at, at), max(seen.last_at, at)
            seen.uses += 1


def _earlier(one: int | None, other: int) -> int:
    return other if one is None or other < one else one


def _later(one: int | None, other: int) -> int:
    return other if one is None or other > one else one


def tally(records: Iterable[tuple[bytes, Record]]) -> dict[str, Tally]:
    """Count decisions, each with the text that it was written down as, by tenant."""
    found: dict[str, Tally] = {}
    for text, record in records:
        of_tenant = found.get(record.tenant_id)
        if of_tenant is None:
            of_tenant = found[record.tenant_id] = Tally(record.at, record.at)
        of_tenant.add(text, record)
    return found


@lru_cache(10_000)
def network_of(client: str) -> str | None:
    """Return the network that an address is reported as, its /24 (IPv4) or /48 (IPv6); None for none."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ip_network((address, 24 if address.version == 4 else 48), strict=False))
