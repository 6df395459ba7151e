"""Which address networks are about: the one that trusted proxies tell, and never one that a caller writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.http.conftest import Tenant
from tests.http.gate.faces import ASKED, Asking, held

VERIFY = ("door", "view")

ADDRESSES: list[tuple[str, dict[str, str], str | None]] = [
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7"}, "192.0.2.7"),
    ("127.0.0.1", {"X_Forwarded_For": "[2001:db8::7]:4711"}, "2001:db8::7"),
    ("127.0.0.1", {"X_Real_IP": "192.0.2.7"}, "192.0.2.7"),
    ("::ffff:127.0.0.1", {"X_Forwarded_For": "192.0.2.7"}, "192.0.2.7"),
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7, 10.0.0.1, 10.0.0.2"}, "192.0.2.7"),
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7, 10.0.0.1", "X_Real_IP": "192.0.2.7"}, "192.0.2.7"),
    ("127.0.0.1", {"X_Forwarded_For": "10.0.0.1, 10.0.0.2"}, "10.0.0.1"),
    # What a caller wrote stands before what the proxies add.
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7, 203.0.113.9"}, "203.0.113.9"),
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7, 203.0.113.9, 10.0.0.1"}, "203.0.113.9"),
    ("127.0.0.1", {"X_Forwarded_For": "10.0.0.1, 192.0.2.7, unknown"}, None),
    ("127.0.0.1", {"X_Forwarded_For": "192.0.2.7, "}, None),
    ("127.0.0.1", {"X_Forwarded_For": "203.0.113.9", "X_Real_IP": "192.0.2.7"}, None),
    ("127.0.0.1", {"X_Real_IP": "192.0.2.7, 192.0.2.7"}, None),
    ("127.0.0.1", {"Forwarded": "for=192.0.2.7"}, None),
    ("127.0.0.1", {}, None),
    # Who asks is no proxy that is trusted: a caller who knows a gateway's token, for one.
    ("203.0.113.9", {"X_Forwarded_For": "192.0.2.7"}, None),
    ("203.0.113.9", {"X_Forwarded_For": "192.0.2.7, 127.0.0.1"}, None),
    ("192.0.2.7", {"X_Real_IP": "192.0.2.7"}, None),
    ("", {"X_Forwarded_For": "192.0.2.7"}, None),
]


def test_an_address_is_believed_when_trusted_proxies_tell_it(
    by_face: Callable[[str], Asking], tenant: Tenant
) -> None:
    key = held(tenant, networks=["192.0.2.0/24", "2001:db8::/32"])
    for face in VERIFY:
        for address, headers, known in ADDRESSES:
            asking = replace(by_face(face), address=address)
            said = asking.say(key, replace(ASKED, client=None), **headers)
            met = known in ("192.0.2.7", "2001:db8::7")
            assert said.word == ("allow" if met else "network_not_allowed"), (address, headers)
            assert asking.recorded[said.headers["X-Auth-Decision-Id"]].client == known, (address, headers)


@pytest.mark.parametrize("face", VERIFY)
def test_without_trusted_proxies_no_address_is_known(
    by_face: Callable[[str], Asking], tenant: Tenant, face: str
) -> None:
    asking = replace(by_face(face), tenant=tenant)
    key = held(tenant, networks=["0.0.0.0/0", "::/0"])
    assert asking.word(key, ASKED) == "network_not_allowed"
    assert asking.word(key, replace(ASKED, client=None), X_Real_IP="127.0.0.1") == "network_not_allowed"
