"""What ``docs/keys.md`` tells the makers of secret scanners is true."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.access.credentials import SCOPES
from app.operator.subjects import FORMATS
from app.store.secrets import PATTERN, mint, parse

TEXT = (Path(__file__).parents[3] / "docs" / "keys.md").read_text(encoding="utf-8")
OURS, ANY = (re.compile(each) for each in re.findall(r"```regex\n(.+)\n```", TEXT))

MINTED = [mint("ks", "live").text for _ in range(200)]
AROUND = [
    "{}",
    'key = "{}"',
    "Authorization: Bearer {}\n",
    "https://x.example/?k={}&y=1",
    "({}).",
    "secret-token:{}",
]


@pytest.fixture(scope="module")
def is_secret() -> Callable[[str], bool]:
    """Return the function that the document gives."""
    (code,) = re.findall(r"```python\n(.+?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[[str], bool] = names["is_secret"]
    return found


@pytest.mark.parametrize("around", AROUND)
def test_the_expressions_find_every_secret_wherever_it_stands(around: str) -> None:
    for text in MINTED:
        for expression in (OURS, ANY):
            assert expression.findall(around.format(text)) == [text]


def test_the_general_one_finds_every_brand_and_every_token() -> None:
    for brand, environment in [("acme", "t"), ("a1", "prod2"), *(("kst", scope) for scope in SCOPES)]:
        text = mint(brand, environment).text
        assert ANY.findall(f"x {text} y") == [text]
        assert OURS.findall(text) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + "a",
        lambda text: text.replace("_", "-"),
        lambda text: text.upper(),
        lambda text: text[:30] + "ß" + text[31:],
        lambda text: text[:8] + text[9:],
        lambda text: text[:24] + text[25:],
        lambda text: text[:40] + " " + text[41:],
        lambda text: "K" + text[1:],
    ],
)
def test_a_near_miss_is_found_by_neither(spoil: Callable[[str], str]) -> None:
    for text in MINTED:
        assert not OURS.search(spoil(text))
        assert not ANY.search(spoil(text))


def test_the_general_one_is_the_form_that_is_read() -> None:
    assert ANY.pattern == rf"\b{PATTERN.pattern}\b"


def test_the_checksum_tells_a_secret_from_a_look_alike(is_secret: Callable[[str], bool]) -> None:
    for text in MINTED:
        assert is_secret(text)
        assert parse(text)
        for place in (10, 30, 60, len(text) - 1):
            other = "a" if text[place] != "a" else "b"
            near = text[:place] + other + text[place + 1 :]
            assert OURS.search(near)
            assert not is_secret(near)


def test_every_format_of_a_subject_is_listed() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \| (?:whose|any)", TEXT, re.MULTILINE)) == FORMATS
