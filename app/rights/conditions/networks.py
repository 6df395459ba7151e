"""Networks (RFC 4632, RFC 4291 §2.3), and whether an address is in them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Any, Final

from app.rights.conditions.invalid import ConditionInvalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NO_NETWORK: Final = "is no network: write 192.0.2.0/24 or 2001:db8::/32"


@lru_cache(maxsize=4096)
def parse_address(text: str) -> Address | None:
    """Return an address; None for a text that is none. An IPv4 address inside an IPv6 one is the IPv4 one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            # A zone (RFC 4007 §11) means something on one machine only.
            return None
        return address.ipv4_mapped or address
    return address


def parse_network(text: str) -> Network:
    """Return a network, or a single address as the network of it alone.

    :raises ConditionInvalid: when it is none, or names an address inside the network instead of the network.
    """
    address, slash, length = text.partition("/")
    # The number of leading ones alone: a mask such as 255.0.0.0 would be taken as well.
    if "%" in text or (slash and not (length.isascii() and length.isdecimal())):
        raise ConditionInvalid(f"{text[:60]!r} {_NO_NETWORK}")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ConditionInvalid(f"{text[:60]!r} {_NO_NETWORK}") from None
    if slash and network.network_address != ip_address(address):
        raise ConditionInvalid(f"{text[:60]!r} is an address in a network: write {network}")
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return IPv4Network((inner, network.prefixlen - 96))
    return network


class Networks:
    """Some networks, IPv4 and IPv6, that answer quickly whether an address is in any of them."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self.networks = tuple(dict.fromkeys(networks))
        self._four = _bounds([each for each in self.networks if isinstance(each, IPv4Network)])
        self._six = _bounds([each for each in self.networks if isinstance(each, IPv6Network)])

    def __contains__(self, address: Address) -> bool:
        first, last = self._four if address.version == 4 else self._six
        number = int(address)
        place = bisect_right(first, number) - 1
        return place >= 0 and number <= last[place]

    def texts(self) -> list[str]:
        """Return the networks as texts, each as it is usually written (RFC 5952)."""
        return [str(each) for each in self.networks]


def _bounds(networks: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Return the first and the last addresses of networks as numbers, in their order, without overlaps."""
    apart = list(collapse_addresses(networks))
    return [int(each.network_address) for each in apart], [int(each.broadcast_address) for each in apart]
