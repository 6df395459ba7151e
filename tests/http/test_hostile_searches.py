"""Searches that mean harm: what one may cost is bounded, and what is over a bound gets the right error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from app.directory.filters import MOST_COMPARISONS
from app.scim import limits, storage
from app.scim.limits import LONGEST_EXPRESSION, MOST_ATTRIBUTES_ASKED
from tests.http.conftest import CONSUMER, Face, Tenant
from tests.http.test_bad_input import is_scim_error
from tests.http.test_hostile_input import addresses, grows_with_its_input

SEARCH: Final = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


def searched(face: Face, path: str, **asked: Any) -> Iterator[Any]:
    """Yield the answers to a search that is sent in each of the two ways."""
    yield face.get(path, **asked)
    yield face.post(f"{path}/.search", {"schemas": [SEARCH], **asked})


# -- Filters ----------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        "(" * 5_000 + "userName pr" + ")" * 5_000,
        "not(" * 30 + "userName pr" + ")" * 30,
        "userName eq" + " " * 60_000 + '"ada"',
        " or ".join(["userName pr"] * MOST_COMPARISONS),
        " and ".join(['emails[type eq "work" and value co "@"]'] * (MOST_COMPARISONS // 2)),
    ],
    ids=["brackets", "nots", "spaces", "comparisons", "selections"],
)
def test_what_is_only_long_is_answered(tenant: Tenant, asked: str) -> None:
    tenant.user("ada", emails=addresses(2))
    for answer in searched(tenant.scim, "/Users", filter=asked):
        assert answer.status_code == 200, answer.text
        assert answer.get_json()["totalResults"] == 1


BOMBS: Final = {
    "nots": "not(" * 100 + "userName pr" + ")" * 100,
    "brackets that stay open": "(" * 5_000 + "userName pr",
    "selections in selections": "emails[" * 1_000 + "value pr" + "]" * 1_000,
    "brackets of every kind": "(userName pr and (userName pr or " * 500 + "userName pr" + "))" * 500,
    "comparisons": " or ".join(["userName pr"] * (MOST_COMPARISONS + 1)),
    "comparisons in a selection": "emails[" + " or ".join(["value pr"] * (MOST_COMPARISONS + 1)) + "]",
    "pr of complex attributes": " or ".join(["addresses pr"] * (MOST_COMPARISONS // 5)),
    "groups of a user": " or ".join(['groups.display co "a"'] * (MOST_COMPARISONS // 10 + 1)),
    "a long value": f'userName eq "{"a" * LONGEST_EXPRESSION}"',
    "escapes": 'userName eq "' + '\\"' * (LONGEST_EXPRESSION // 2) + '"',
    "digits": "active eq " + "9" * 60_000,
    "an exponent": "active eq 1e" + "9" * 4_000,
    "dots": "a." * 30_000 + "b pr",
    "colons": "urn:" + "a:" * 30_000 + " pr",
    "blanks": " " * 60_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_filter_that_is_a_bomb_is_refused(tenant: Tenant, bomb: str) -> None:
    tenant.user("ada")
    for answer in searched(tenant.scim, "/Users", filter=BOMBS[bomb]):
        is_scim_error(answer, 400, "invalidFilter")


@pytest.mark.parametrize(
    ("type_path", "asked"),
    [
        ("/Entitlements", "keyPolicy.lifetimeSeconds eq 1e400"),
        ("/Entitlements", "keyPolicy.lifetimeSeconds lt -" + "9" * 4_000),
        ("/Users", f'{CONSUMER}:accessEndsAt gt "9999-99-99T99:99:99Z"'),
        ("/Users", 'meta.created gt "' + "9" * 1_000 + '-01-01T00:00:00Z"'),
    ],
)
def test_a_number_or_date_of_absurd_size_harms_nothing(tenant: Tenant, type_path: str, asked: str) -> None:
    tenant.entitlement("read", keyPolicy={"lifetimeSeconds": 60})
    tenant.user("ada")
    for answer in searched(tenant.scim, type_path, filter=asked):
        if answer.status_code == 200:
            assert answer.get_json()["totalResults"] == 0
        else:
            is_scim_error(answer, 400, "invalidFilter")


def test_a_filter_costs_what_it_has_of_comparisons(tenant: Tenant) -> None:
    tenant.user("ada", emails=addresses(3))

    def comparing(number: int) -> Callable[[], Any]:
        asked = " or ".join(['emails[value co "a"]'] * (number // 20))
        return lambda: tenant.scim.get("/Users", filter=asked)

    grows_with_its_input(comparing)


# -- A search that takes too long ----------------------------------------


SLOW: Final = " or ".join(['emails[value co "zz" or type co "zz"]'] * 20)


@pytest.fixture
def crowded(tenant: Tenant) -> Tenant:
    for each in range(2):
        tenant.user(f"ada-{each}", emails=addresses(1_000))
    return tenant


def test_a_search_that_takes_too_long_is_given_up_and_the_next_is_answered(
    crowded: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(storage, "LONGEST_SEARCH", 0.001)
        for _ in range(40):  # More than there are connections in the pool of either database.
            for answer in searched(crowded.scim, "/Users", filter=SLOW):
                is_scim_error(answer, 400, "tooMany")
    for answer in searched(crowded.scim, "/Users", filter=SLOW):
        assert answer.status_code == 200, answer.text
        assert answer.get_json()["totalResults"] == 0
    crowded.user("bob")
    (found,) = crowded.scim.get("/Users", filter='userName eq "bob"').get_json()["Resources"]
    assert found["userName"] == "bob"


# -- Answers ----------------------------------------


def test_an_answer_names_a_bounded_number_of_attributes(tenant: Tenant) -> None:
    ada = tenant.user("ada", title="Countess")
    named = ["title", *(f"a{each}" for each in range(MOST_ATTRIBUTES_ASKED - 1))]
    for parameter in ("attributes", "excludedAttributes"):
        asked = {parameter: ",".join(named)}
        for path in ("/Users", f"/Users/{ada}"):
            assert tenant.scim.get(path, **asked).status_code == 200
            too_many = {parameter: asked[parameter] + ",b"}
            is_scim_error(tenant.scim.get(path, **too_many), 400, "invalidValue")
    assert "title" in tenant.scim.get(f"/Users/{ada}", attributes=",".join(named)).get_json()


def test_an_answer_is_made_of_a_bounded_number_of_values(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_SHOWN", limits.MOST_SHOWN // 10)
    for name in ("ada", "bob", "cleo", "dora"):
        tenant.user(name, emails=addresses(500))
    every = ",".join(["emails", *(f"a{each}" for each in range(MOST_ATTRIBUTES_ASKED - 1))])
    for answer in searched(tenant.scim, "/Users", attributes=every):
        is_scim_error(answer, 400, "tooMany")
    for answer in searched(tenant.scim, "/Users", attributes="emails"):
        assert answer.status_code == 200
        assert [len(each["emails"]) for each in answer.get_json()["Resources"]] == [500] * 4
    assert tenant.scim.get("/Users", attributes=every, count=0).get_json()["totalResults"] == 4
