from __future__ import annotations

import string
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.secrets import ALPHABET, SHORTEST, SecretMalformed, mint, parse, redacted, redacted_escapes

brands = st.from_regex(r"[a-z][a-z0-9]{1,15}", fullmatch=True)
environments = st.from_regex(r"[a-z][a-z0-9]{0,15}", fullmatch=True)


@given(brands, environments)
def test_what_is_minted_is_parsed(brand: str, environment: str) -> None:
    made = mint(brand, environment)
    assert parse(made.text) == made
    assert made.text.startswith(f"{brand}_{environment}_{made.id}_")


def test_no_two_secrets_are_alike() -> None:
    made = [mint("ks", "live") for _ in range(1000)]
    assert len({each.id for each in made}) == len({each.text for each in made}) == 1000


@given(st.data(), brands, environments)
def test_every_single_character_change_is_refused(data: st.DataObject, brand: str, environment: str) -> None:
    text = mint(brand, environment).text
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(sorted({*ALPHABET, "_", "-", " ", "é"} - {text[place]})))
    with pytest.raises(SecretMalformed):
        parse(text[:place] + other + text[place + 1 :])


@given(st.data())
def test_every_omission_and_insertion_is_refused(data: st.DataObject) -> None:
    text = mint("ks", "live").text
    place = data.draw(st.integers(0, len(text) - 1))
    inserted = data.draw(st.sampled_from(string.printable))
    for changed in (text[:place] + text[place + 1 :], text[:place] + inserted + text[place:]):
        with pytest.raises(SecretMalformed):
            parse(changed)


@given(st.text(max_size=200))
def test_other_text_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SecretMalformed) as refused:
        parse(text)
    assert str(refused.value) == "not a secret of ours: wrong form or checksum"


def test_a_secret_does_not_show_itself() -> None:
    made = mint("ks", "live")
    assert made.text not in repr(made)


@given(st.text(max_size=20), st.text(max_size=20), brands, environments)
def test_of_a_secret_in_a_text_the_public_part_is_left(
    before: str, after: str, brand: str, environment: str
) -> None:
    made = mint(brand, environment)
    for glued in (before, f"{before} key", "f"):
        told = redacted(f"{glued}{made.text}{after}")
        assert made.text[-49:] not in told
        assert f"{made.id}_…" in told
        assert told.endswith(f"_…{after}")


def test_what_only_looks_like_a_secret_is_left_as_it_is() -> None:
    made = mint("ks", "live").text
    wrong = made[:-1] + ("A" if made[-1] != "A" else "B")
    assert redacted(wrong) == wrong
    assert redacted_escapes(wrong) != wrong


@pytest.mark.parametrize("times", range(4))
def test_a_secret_is_found_however_often_it_was_escaped(times: int) -> None:
    made = mint("ks", "live")
    for text in (
        f"/orders/{made.text}/7",
        "/a%2f" + quote(made.text).replace("_", "%5f"),
        f"/%20{made.text}",
    ):
        written = text
        for _ in range(times):
            written = quote(written, safe="/")
        told = redacted_escapes(written)
        assert made.text[-49:] not in unquote(unquote(told))
        assert made.id in told
    assert redacted_escapes("/orders/7") == "/orders/7"
    long = "/orders/" + "%2525" * 400
    assert redacted_escapes(long) == long
    assert len(min((mint("ab", "x").text for _ in range(3)), key=len)) == SHORTEST
