"""Conditions judged on generated data as plain readings of docs/conditions.md judge them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from itertools import product
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.gate.conditions.paths import path_allowed
from app.rights.conditions.networks import Networks, parse_address, parse_network
from app.rights.conditions.windows import DAYS, parse_window
from app.store.moments import EPOCH

QUARTER: Final = timedelta(minutes=15)

# -- Windows ------------------------------------------------------------------------------------------------

ZONES: Final = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/St_Johns"),
    # Clocks that are changed by half an hour, at midnight, and twice around Ramadan.
    *("Australia/Lord_Howe", "Africa/Cairo", "Africa/Casablanca", "America/Santiago"),
)


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """Return when the clocks of a zone are changed in three years, to the quarter of an hour."""
    known = ZoneInfo(zone)
    moment, found = datetime(2026, 1, 1, tzinfo=UTC), []
    while moment.year < 2029:
        later = moment + timedelta(days=1)
        if moment.astimezone(known).utcoffset() != later.astimezone(known).utcoffset():
            while moment.astimezone(known).utcoffset() == (moment + QUARTER).astimezone(known).utcoffset():
                moment += QUARTER
            found.append(moment + QUARTER)
        moment = later
    return tuple(found)


@st.composite
def moments(draw: st.DrawFn, zone: str) -> datetime:
    """Generate moments, every other one near a change of the clocks."""
    seconds = draw(st.integers(-5 * 3600, 5 * 3600))
    if changes(zone) and draw(st.booleans()):
        return draw(st.sampled_from(changes(zone))) + timedelta(seconds=seconds)
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=draw(st.integers(0, 26_000)), seconds=seconds)


def shown_by_clocks(moment: datetime, zone: str) -> datetime:
    """Return what the clocks of a zone show, found the other way round: what they show, and when they do."""
    minute = moment.replace(second=0, microsecond=0)
    for quarters in range(-4 * 14, 4 * 14 + 1):
        shown = minute.replace(tzinfo=None) + quarters * QUARTER
        first, second = (shown.replace(fold=fold, tzinfo=ZoneInfo(zone)).astimezone(UTC) for fold in (0, 1))
        # A time that clocks skip would come later by the old time than by the new one (PEP 495).
        if first <= second and minute in (first, second):
            return shown
    raise AssertionError(f"no clock shows {moment}")


def week(days: set[int], start: int, length: int) -> set[int]:
    """Return all minutes of a week that windows of this length, from this minute of some days, hold."""
    begins = [day * 1440 + start for day in days]
    return {(begin + minute) % (7 * 1440) for begin in begins for minute in range(length)}


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(),
    zone=st.sampled_from(ZONES),
    days=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    length=st.integers(1, 1440),
)
def test_a_window_holds_the_minutes_that_clocks_show(
    data: st.DataObject, zone: str, days: set[int], start: int, length: int
) -> None:
    if start + length > 1440 and length == 1440:
        length -= 1  # From a time of day until the same one has no length.
    end = start + length if start + length <= 1440 else start + length - 1440
    named = ",".join(DAYS[day] for day in sorted(days))
    window = parse_window(f"{named} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02} {zone}")
    inside = week(days, start, length)
    for _ in range(5):
        moment = data.draw(moments(zone))
        shown = shown_by_clocks(moment, zone)
        minute = shown.weekday() * 1440 + shown.hour * 60 + shown.minute
        assert window.contains((moment - EPOCH) // timedelta(microseconds=1)) == (minute in inside), (
            window,
            moment,
            shown,
        )


def test_the_windows_were_tried_when_clocks_are_changed() -> None:
    assert all(len(changes(each)) >= 6 for each in ZONES[1:3])
    assert changes("Europe/Berlin")[0] == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


# -- Networks -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prefix:
    """A network as the leading bits of its addresses."""

    bits: str
    width: int

    def __str__(self) -> str:
        number = int(self.bits.ljust(self.width, "0"), 2)
        if self.width == 32:
            return f"{'.'.join(str(each) for each in number.to_bytes(4, 'big'))}/{len(self.bits)}"
        groups = (number >> shift & 0xFFFF for shift in range(112, -16, -16))
        return f"{':'.join(f'{each:x}' for each in groups)}/{len(self.bits)}"


@st.composite
def prefixes(draw: st.DrawFn) -> Prefix:
    width = draw(st.sampled_from([32, 128]))
    # Few different bits, so that networks hold one another and addresses.
    length = draw(st.integers(0, width))
    bits = draw(st.text("01", min_size=min(length, 6), max_size=min(length, 6)))
    return Prefix(bits.ljust(length, draw(st.sampled_from("01")))[:length], width)


@settings(max_examples=150, deadline=None)
@given(networks=st.lists(prefixes(), min_size=1, max_size=8), data=st.data())
def test_an_address_is_in_a_network_when_their_first_bits_are_the_same(
    networks: list[Prefix], data: st.DataObject
) -> None:
    parsed = Networks(parse_network(str(each)) for each in networks)
    for _ in range(5):
        near = data.draw(st.sampled_from(networks))
        filled = near.bits.ljust(near.width, data.draw(st.sampled_from("01")))
        number = (int(filled, 2) + data.draw(st.sampled_from([0, 0, 1, -1]))) % 2**near.width
        bits = f"{number:0{near.width}b}"
        mapped = near.width == 32 and data.draw(st.booleans())
        text = str(Prefix(bits, near.width)).partition("/")[0]
        address = parse_address(f"::ffff:{text}" if mapped else text)
        assert address is not None
        if near.width == 128 and number >> 32 == 0xFFFF:
            bits = bits[96:]
        inside = any(
            _four(each).width == len(bits) and bits.startswith(_four(each).bits) for each in networks
        )
        assert (address in parsed) == inside, (text, [str(each) for each in networks])


def _four(network: Prefix) -> Prefix:
    """Return a network of IPv4 addresses inside IPv6 ones as the one of the IPv4 addresses."""
    inside = "0" * 80 + "1" * 16
    if network.width == 128 and network.bits.startswith(inside):
        return Prefix(network.bits.removeprefix(inside), 32)
    return network


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=20) | st.ip_addresses().map(str))
def test_what_is_no_address_is_none(text: str) -> None:
    try:
        known = ip_address(text)
    except ValueError:
        assert parse_address(text) is None
    else:
        assert (parse_address(text) is None) == ("%" in str(known))


# -- Paths --------------------------------------------------------------------------------------------------

SEGMENTS: Final = ("orders", "7", "ä b", "admin", "a.b", "...", "x;y=1", "~_-")
PATTERNS: Final = (
    "/",
    "/*",
    "/orders",
    "/orders/",
    "/orders/*",
    "/orders*",
    "/orders/7",
    "/ä b/*",
    "/admin/*",
)
AMBIGUOUS: Final = ("%2f", "%2F", "%5c", "\\", "%00", "%25", "%", "%zz", "%ff", "\t", "%09", " ")


def escaped(draw: st.DrawFn, segment: str) -> str:
    """Return a segment in which what must be escaped is, and some of the rest."""
    return "".join(
        f"%{ord(each):02X}" if each.isascii() and draw(st.booleans()) else quote(each, safe=";=~")
        for each in segment
    )


@st.composite
def paths(draw: st.DrawFn) -> tuple[str, str | None]:
    """Generate paths as callers write them, each with what an application makes of it."""
    kept: list[str] = []
    written: list[str] = []
    above = False
    for kind in draw(st.lists(st.sampled_from(["segment", "segment", ".", "..", ""]), max_size=5)):
        if kind == "segment":
            segment = draw(st.sampled_from(SEGMENTS))
            kept.append(segment)
            written.append(escaped(draw, segment))
            continue
        if kind == "..":
            above = above or not kept
            kept = kept[:-1]
        written.append(draw(st.sampled_from([kind, kind.replace(".", "%2e"), kind.replace(".", "%2E")])))
    text = "/" + "/".join(written)
    ends_open = not written or written[-1].lower().replace("%2e", ".") in ("", ".", "..")
    if written and draw(st.booleans()):
        text, ends_open = text + "/", True
    meant: str | None = "/" + "/".join(kept) + ("/" if kept and ends_open else "")
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(1, len(text)))
        odd = draw(st.sampled_from(AMBIGUOUS))
        if "%" not in text[max(0, place - 2) : place]:
            text, meant = text[:place] + odd + text[place:], None
    tail = draw(st.sampled_from(["", "?", "?a=/admin", "#/admin", "?a=%2f"]))
    return text + tail, None if above else meant


@settings(max_examples=300, deadline=None)
@given(path=paths(), patterns=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=3))
def test_a_path_meets_a_pattern_as_what_an_application_makes_of_it_does(
    path: tuple[str, str | None], patterns: list[str]
) -> None:
    text, meant = path
    expressions = [
        re.escape(each.removesuffix("*")) + (".*" if each.endswith("*") else "") for each in patterns
    ]
    expected = meant is not None and any(re.fullmatch(each, meant, re.DOTALL) for each in expressions)
    assert path_allowed(patterns, text) == expected, (text, meant, patterns)
    assert path_allowed(["/*"], text) == (meant is not None), text


def test_what_is_ambiguous_meets_nothing_wherever_it_stands() -> None:
    for odd, place in product(AMBIGUOUS, range(1, len("/orders/7") + 1)):
        text = "/orders/7"[:place] + odd + "/orders/7"[place:]
        assert not path_allowed(["/*"], text), text
        assert path_allowed(["/*"], f"/orders/7?{odd}")


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("/.%2eEfFcC5\\ab?#;"), max_size=14))
def test_no_path_leads_out_of_the_place_that_is_allowed(text: str) -> None:
    """Whatever is written: read as loosely as can be, it is still below what was allowed."""
    path = f"/a/{text}"
    if not path_allowed(["/a/*"], path):
        return
    loose = path.partition("?")[0].partition("#")[0]
    for _ in range(3):
        loose = re.sub("%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), loose.replace("\\", "/"))
    depth = 0
    for segment in loose.split("/")[2:]:
        depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
        assert depth >= 0, loose
