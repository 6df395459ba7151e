"""What conditions say, what they cannot say, and the one form in which they are stored."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.rights.conditions import (
    LONGEST,
    NAMES,
    NONE,
    canonical_conditions,
    conditions_of,
    parse_conditions,
)
from app.rights.conditions.invalid import ConditionInvalid
from app.rights.conditions.limits import parse_quota
from app.rights.conditions.policies import DEEPEST, MOST_SYMBOLS, SCHEMA
from app.rights.conditions.policies import LONGEST as LONGEST_POLICY

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
PERMIT = "permit (principal, action, resource)"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ({}, {}),
        ({"methods": [], "paths": None, "rate": None}, {}),
        ({"methods": ["post", "GET", "get"]}, {"methods": ["GET", "POST"]}),
        ({"paths": ["/b", "/a/*"]}, {"paths": ["/b", "/a/*"]}),
        (
            {"networks": ["192.0.2.0/24", "198.51.100.7", "2001:DB8:0::/32", "192.0.2.0/24"]},
            {"networks": ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]},
        ),
        ({"networks": ["::ffff:192.0.2.0/120", "::/0"]}, {"networks": ["192.0.2.0/24", "::/0"]}),
        (
            {"windows": ["Mon-Wed,Sun 08:00-18:00 UTC", "Fri-Mon 22:00-00:00 UTC"]},
            {"windows": ["Mon,Tue,Wed,Sun 08:00-18:00 UTC", "Mon,Fri,Sat,Sun 22:00-24:00 UTC"]},
        ),
        (
            {"notBefore": "2026-11-30t18:00:00+01:00", "notAfter": "2026-11-30 17:00:00.1234567Z"},
            {"notBefore": "2026-11-30T17:00:00.000000Z", "notAfter": "2026-11-30T17:00:00.123456Z"},
        ),
        ({"notBefore": "0001-01-01T00:00:00+14:00"}, {"notBefore": "1970-01-01T00:00:00.000000Z"}),
        ({"notAfter": "9999-12-31T23:59:59-14:00"}, {"notAfter": "9999-12-31T23:59:59.999999Z"}),
        ({"rate": "100/60s"}, {"rate": "100/60s burst 100"}),
        ({"rate": "100/60s burst 20"}, {"rate": "100/60s burst 20"}),
        ({"quota": "5/month Asia/Tokyo"}, {"quota": "5/month Asia/Tokyo"}),
        ({"quota": "007/day 90/month UTC"}, {"quota": "7/day 90/month UTC"}),
        ({"cedar": f"{PERMIT};"}, {"cedar": f"{PERMIT};"}),
    ],
)
def test_each_is_stored_in_one_form_that_says_the_same(
    written: dict[str, Any], stored: dict[str, Any]
) -> None:
    assert canonical_conditions(written) == stored
    assert canonical_conditions(stored) == stored


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ({"moonPhase": "full"}, "moonPhase is no condition: there are methods, paths"),
        ({"methods": "GET"}, "methods: write a list"),
        ({"methods": [1]}, "methods: write a text"),
        (
            {"networks": ["192.0.2.5/24"]},
            "networks: '192.0.2.5/24' is an address in a network: write 192.0.2.0/24",
        ),
        ({"networks": ["2001:db8::1/32"]}, "write 2001:db8::/32"),
        ({"networks": ["192.0.2.0/255.255.255.0"]}, "is no network: write 192.0.2.0/24 or 2001:db8::/32"),
        ({"networks": ["fe80::1%eth0"]}, "is no network"),
        ({"networks": ["example.com"]}, "is no network"),
        ({"networks": ["192.0.2.0/33"]}, "is no network"),
        ({"networks": [" 192.0.2.0/24"]}, "is no network"),
        ({"networks": [""]}, "is no network"),
        ({"windows": ["always"]}, "windows: 'always' is no window: write Mon-Fri 08:00-18:00 Europe/Berlin"),
        ({"windows": ["Mon 08:00-18:00"]}, "is no window"),
        ({"windows": ["Mon 08:00-18:60 UTC"]}, "is no window"),
        ({"windows": ["Mon 24:00-25:00 UTC"]}, "a day goes from 00:00 to 24:00"),
        ({"windows": ["Mon 08:00-24:01 UTC"]}, "a day goes from 00:00 to 24:00"),
        ({"windows": ["Mon 08:00-08:00 UTC"]}, "has no length: write 00:00-24:00 for whole days"),
        ({"windows": ["mon 08:00-18:00 UTC"]}, "'mon' is no day of the week"),
        ({"windows": ["Mon- 08:00-18:00 Europe/Berlim"]}, "did you mean Europe/Berlin?"),
        ({"windows": ["Mon 08:00-18:00 ../../etc/passwd"]}, "is no time zone"),
        ({"windows": ["Mon 08:00-18:00 +01:00"]}, "is no time zone"),
        ({"notBefore": "2026-11-30T17:00:00"}, "notBefore: '2026-11-30T17:00:00' is no date and time with"),
        ({"notAfter": "2026-11-30"}, "write 2026-11-30T17:00:00Z"),
        ({"notAfter": "2026-02-30T00:00:00Z"}, "is no date and time"),
        ({"notAfter": "2026-06-30T23:59:60Z"}, "is no date and time"),
        ({"notAfter": "20261130T170000Z"}, "is no date and time"),
        ({"notAfter": ""}, "is no date and time"),
        (
            {"notBefore": "2026-11-30T17:00:01Z", "notAfter": "2026-11-30T17:00:00Z"},
            "notBefore: it is after notAfter",
        ),
        ({"rate": "100"}, "rate: '100' is no rate: write 100/60s"),
        ({"rate": "0/60s"}, "is out of range"),
        ({"rate": "10/0s"}, "is out of range"),
        ({"rate": "10/60s burst 0"}, "is out of range"),
        ({"rate": "10/86401s"}, "is out of range"),
        ({"rate": "1/86400s burst 32"}, "takes over 31 days to come back"),
        ({"rate": "١٠/60s"}, "is no rate"),
        ({"quota": "1000"}, "quota: '1000' is no quota: write 1000/day UTC"),
        ({"quota": "1000/day"}, "is no quota"),
        ({"quota": "0/day UTC"}, "is out of range"),
        ({"quota": "1000/month 10/day UTC"}, "is no quota"),
        ({"quota": "1000/day Mars/Olympus"}, "is no time zone"),
        ({"cedar": ""}, "cedar: it permits nothing"),
        ({"cedar": "// permit (principal, action, resource);"}, "it permits nothing"),
        ({"cedar": "forbid (principal, action, resource);"}, "it permits nothing"),
        ({"cedar": f"{PERMIT}"}, "unexpected end of input"),
        ({"cedar": f"{PERMIT} when {{ principal.shoeSize == 43 }};"}, "attribute `shoeSize`"),
        ({"cedar": f"{PERMIT} when {{ principal.department == 1 }};"}, "schema in docs/conditions.md"),
        ({"cedar": 'permit (principal, action == Action::"get", resource);'}, "unrecognized action `Action"),
        ({"cedar": "permit (principal == ?principal, action, resource);"}, "it has a slot"),
        ({"cedar": f"{PERMIT} when {{ resource has path }};"}, "leave that out, what is unknown denies"),
        ({"cedar": f'{PERMIT} when {{ context has "client" }};'}, "leave that out, what is unknown denies"),
        ({"cedar": " " * LONGEST_POLICY + f"{PERMIT};"}, "is longer than 8192 characters"),
        ({"cedar": f"{PERMIT} when {{ {'(' * DEEPEST}true{')' * DEEPEST} }};"}, "it is too large"),
        ({"cedar": f"{PERMIT} when {{ true{' && true' * (MOST_SYMBOLS // 2)} }};"}, "it is too large"),
        ({"cedar": f"{PERMIT} when {{ {'if true then true else ' * 21}true }};"}, "it is too large"),
        ({"paths": ["/" + "x" * LONGEST]}, "together they take more than 65536 characters"),
    ],
)
def test_what_nobody_could_judge_is_refused_with_what_to_write(written: dict[str, Any], told: str) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        canonical_conditions(written)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def of_symbols(number: int) -> str:
    """Return a policy of so many words and signs."""
    begin, end = f"{PERMIT} when {{ ", "true };"
    # Of the frame 13; each of the others is a sign or a word by itself.
    ands, signs = divmod(number - 13, 3)
    return f"{begin}{'true && ' * ands}{'!' * signs}{end}"


def test_a_policy_has_as_many_words_and_signs_as_the_document_says() -> None:
    assert f"a policy has at most {MOST_SYMBOLS} words" in " ".join(DOCUMENT.split())
    assert MOST_SYMBOLS == 500
    for number in (MOST_SYMBOLS - 1, MOST_SYMBOLS):
        assert parse_conditions({"cedar": of_symbols(number)}).policy is not None
    # Each policy of a text by itself, and comments are none.
    several = f"// {'x ' * 600}\n" + 3 * f"{of_symbols(MOST_SYMBOLS)}\n"
    assert parse_conditions({"cedar": several}).policy is not None
    for text in (of_symbols(MOST_SYMBOLS + 1), of_symbols(13) + of_symbols(MOST_SYMBOLS + 1)):
        with pytest.raises(ConditionInvalid, match="a policy has at most 500 words and signs"):
            parse_conditions({"cedar": text})


def test_brackets_in_strings_and_comments_are_no_nesting() -> None:
    text = f'// {"(" * 50}\n{PERMIT} when {{ principal.userName like "{"(" * 50}*\\"{"(" * 50}" }};'
    assert parse_conditions({"cedar": text}).policy is not None


def test_stored_text_that_cannot_be_read_is_met_by_nothing() -> None:
    for stored in ({"moonPhase": "full"}, {"networks": ["x"]}, {"rate": 7}, {"methods": "GET"}):
        assert conditions_of(stored).unknown
    assert conditions_of({}) is NONE


def test_what_is_stored_is_parsed_once() -> None:
    first = conditions_of({"cedar": f"{PERMIT};", "methods": ["GET"]})
    assert conditions_of({"methods": ["GET"], "cedar": f"{PERMIT};"}) is first


@pytest.mark.parametrize(
    ("moment", "day_ends", "month_ends"),
    [
        ("2026-11-30T22:59:59+00:00", "2026-11-30T23:00:00+00:00", "2026-11-30T23:00:00+00:00"),
        ("2026-11-30T23:00:00+00:00", "2026-12-01T23:00:00+00:00", "2026-12-31T23:00:00+00:00"),
        # The day on which clocks go forward has 23 hours, the one on which they go back 25.
        ("2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00", "2026-03-31T22:00:00+00:00"),
        ("2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00", "2026-10-31T23:00:00+00:00"),
    ],
)
def test_days_and_months_are_those_of_the_zone(moment: str, day_ends: str, month_ends: str) -> None:
    quota = parse_quota("1/day 1/month Europe/Berlin")
    at = int(datetime.fromisoformat(moment).timestamp()) * 1_000_000
    for period, ends in ((quota.day(at), day_ends), (quota.month(at), month_ends)):
        assert period.ends_at == int(datetime.fromisoformat(ends).timestamp()) * 1_000_000
    assert quota.day(quota.day(at).ends_at).number == quota.day(at).number + 1
    assert quota.month(quota.month(at).ends_at).number == quota.month(at).number + 1


def test_the_document_has_every_condition_with_an_example_that_can_be_stored() -> None:
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| `\w+`", DOCUMENT, re.MULTILINE)
    assert tuple(table) == NAMES
    shown: set[str] = set()
    for example in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL):
        shown |= canonical_conditions(json.loads(example)).keys()
    (policy,) = re.findall(r"```cedar\n(.*?)```", DOCUMENT, re.DOTALL)
    shown |= canonical_conditions({"cedar": policy}).keys()
    assert shown == set(NAMES)
    (schema,) = re.findall(r"```cedarschema\n(.*?)```", DOCUMENT, re.DOTALL)
    assert schema == SCHEMA
    subs = next(
        each["subAttributes"]
        for each in json.loads((ROOT / "schemas" / "entitlement.json").read_text())["attributes"]
        if each["name"] == "conditions"
    )
    assert [each["name"] for each in subs] == list(NAMES)
    for each in subs:
        for value in each.get("canonicalValues", ()):
            assert canonical_conditions({each["name"]: [value] if each["multiValued"] else value})


AT_THE_LIMITS = """
import sys, threading
from app.gate.conditions.cedar import policy_denies
from app.gate.decision import Call, Holding, Person, Right
from app.rights.conditions.invalid import ConditionInvalid
from app.rights.conditions.policies import DEEPEST, LONGEST, MOST_BRANCHES, MOST_SYMBOLS, parse_policy

def most(unit, head="", tail=""):
    body = head
    while True:
        text = "permit (principal, action, resource) when { " + body + tail + " };"
        try:
            parse(text)
        except ConditionInvalid as error:
            if "too large" in str(error) or "longer than" in str(error):
                return
        body += unit

parsed = 0
right = Right("e", "v", None, (), {}, ())
holding = Holding("k", "t", "u", "n", 0, None, None, None, "s", None, None, None, True, False, None, None, 0,
    (right,), Person("Employee", "Sales"))
call = Call(frozenset(), frozenset(), "GET", "/", "192.0.2.1")

def parse(text):
    global parsed
    policy = parse_policy(text)
    parsed += 1
    policy_denies(policy, holding, right, call, 1)

def run():
    deep = DEEPEST - 1
    head = "permit (principal, action, resource) when { "
    brackets = ("(", ")"), ("!(", ")"), ("[", "].isEmpty()"), ("if (", ") then true else true")
    for opening, closing in brackets:
        try:
            parse(head + opening * deep + "true" + closing * deep + " };")
        except ConditionInvalid as error:
            assert "too large" not in str(error), error
    most(".path", "resource", ' == ""')
    most('["path"]', "resource", ' == ""')
    most("||true", "true")
    most("&&true", "true")
    most("+1", "1", " == 1")
    most("-1", "1", " == 1")
    most("*1", "1", " == 1")
    most(".isIpv4()", "context.client")
    most("||" + "(" * (deep - 1) + "true" + ")" * (deep - 1), "true")
    most("if true then true else ", "", "true")
    most("1,", "[", "1].contains(1)")
    assert parsed > 1000, parsed

threading.stack_size(512 * 1024)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print("parsed", parsed)
"""


def test_a_policy_at_the_limits_does_not_end_the_process() -> None:
    # Threads of the server have a stack of 2 MB: a quarter of it must do.
    ran = subprocess.run([sys.executable, "-c", AT_THE_LIMITS], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "Error" not in ran.stderr
    assert re.fullmatch(r"parsed \d{4,}\n", ran.stdout), ran.stdout + ran.stderr
