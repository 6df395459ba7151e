"""The keys of the gate follow the peppers, so that both rotate together and with an overlap."""

from __future__ import annotations

from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.gate.signing import Signer
from app.gate.status_list import packed_statuses
from app.store.pepper_file import add_pepper, drop_pepper, load_peppers, use_pepper
from app.store.peppers import Peppers


def kids(signer: Signer) -> list[str]:
    return [each["kid"] for each in signer.public_keys()["keys"]]


def signed_by(signer: Signer) -> str:
    token = signer.sign("statuslist+jwt", {"sub": "x"})
    read = jwt.decode(token, KeySet.import_key_set(signer.public_keys()), algorithms=["ES256"])
    assert read.claims == {"sub": "x"}
    return str(read.header["kid"])


def test_a_new_key_is_published_before_it_signs_and_an_old_one_until_it_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "peppers.json"
    signer = Signer(load_peppers(path))
    (first,) = kids(signer)
    assert signed_by(signer) == first
    add_pepper(path, later=True)
    second, also_first = kids(signer)
    assert (also_first, signed_by(signer)) == (first, first)
    use_pepper(path, 2)
    assert (kids(signer), signed_by(signer)) == ([second, first], second)
    assert signed_by(Signer(load_peppers(path))) == second, "the same in every process"
    drop_pepper(path, 1)
    assert kids(signer) == [second]


def test_what_is_published_signs_nothing() -> None:
    ours, others = Signer(Peppers({1: b"a" * 32})), Signer(Peppers({1: b"b" * 32}))
    (published,) = ours.public_keys()["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (published["kty"], published["crv"], published["alg"]) == ("EC", "P-256", "ES256")
    with pytest.raises(JoseError):
        jwt.decode(ours.sign("x", {}), KeySet.import_key_set(others.public_keys()), algorithms=["ES256"])


def test_the_vectors_of_the_draft() -> None:
    one_bit = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert packed_statuses(one_bit, bits=1) == "eNrbuRgAAhcBXQ"
    two_bits = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert packed_statuses(two_bits) == "eNo76fITAAPfAgc"
