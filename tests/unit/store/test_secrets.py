from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.store.secrets import ALPHABET, SecretMalformed, mint, parse

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
