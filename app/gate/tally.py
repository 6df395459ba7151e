"""What a number of decisions of one tenant add up to."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final

from app.gate.reasons import DEAD

BUCKETS: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 25_000, 50_000, 100_000, 200_000, 1_000_000)
"""The upper bounds of the histogram's buckets, in microseconds; one more takes what took longer."""

ALLOWED: Final = "allowed"
"""The outcome of a decision that is no denial; that of a denial is the code of its reason."""

_BOUNDS: Final = tuple(each * 1_000 for each in BUCKETS)
_DEAD: Final = frozenset(reason.code for reason in DEAD)
_DAY: Final = 86_400 * 1_000_000


class RecordUnreadable(ValueError):
    """A text of the spool is no record of a decision."""


@dataclass(frozen=True, slots=True)
class Record:
    """A recorded decision, and the text that it was written down as."""

    text: bytes
    at: int
    tenant_id: str
    face: str
    outcome: str
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
        try:
            read: dict[str, Any] = json.loads(text)
            return cls(
                text=text,
                at=read["at"],
                tenant_id=read["tenant"],
                face=read["face"],
                outcome=ALLOWED if read["allowed"] else read["reason"],
                key_id=read["key"],
                consumer_id=read["consumer"],
                entitlements=tuple(read["entitlements"]),
                client=read["client"],
                took=read["took"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise RecordUnreadable from error


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
    days: Counter[tuple[str, int, str, str]] = field(default_factory=Counter)
    networks: dict[tuple[str, str], NetworkUse] = field(default_factory=dict)
    counts: dict[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Count one more decision."""
        self.texts.append(record.text)
        self.first_at = min(self.first_at, record.at)
        self.last_at = max(self.last_at, record.at)
        counted = (record.face, record.outcome, bisect_left(_BOUNDS, record.took))
        decisions, nanoseconds = self.counts.get(counted, (0, 0))
        self.counts[counted] = decisions + 1, nanoseconds + record.took
        if record.key_id is not None:
            self._add_use(record, record.key_id)

    def _add_use(self, record: Record, key_id: str) -> None:
        use = self.keys.setdefault(key_id, KeyUse())
        use.consumer_id = record.consumer_id
        if record.outcome == ALLOWED:
            use.allowed += 1
            use.first_at = record.at if use.first_at is None else min(use.first_at, record.at)
            use.last_at = record.at if use.last_at is None else max(use.last_at, record.at)
        else:
            use.denied += 1
            use.dead_uses += record.outcome in _DEAD
            denied_at = use.last_denied_at
            use.last_denied_at = record.at if denied_at is None else max(denied_at, record.at)
        for entitlement in ("", *record.entitlements):
            self.days[key_id, record.at // _DAY, entitlement, record.outcome] += 1
        network = None if record.client is None else network_of(record.client)
        if network is not None:
            use.last_network = network
            seen = self.networks.setdefault((key_id, network), NetworkUse(record.at, record.at))
            seen.first_at, seen.last_at = min(seen.first_at, record.at), max(seen.last_at, record.at)
            seen.uses += 1


def tally(records: Iterable[Record]) -> dict[str, Tally]:
    """Count decisions, by tenant."""
    found: dict[str, Tally] = {}
    for record in records:
        if record.tenant_id not in found:
            found[record.tenant_id] = Tally(record.at, record.at)
        found[record.tenant_id].add(record)
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
