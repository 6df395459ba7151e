"""Input that means harm: what it may cost is bounded, and what is over a bound gets the right error.

Work is measured as processor time, and only compared: what four times as much input may cost of it is at most
twice four times as much, where a quadratic step would cost sixteen times as much.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

from app.scim.limits import LONGEST_EXPRESSION, MOST_BULK_CHANGES, MOST_CHANGES
from tests.http.conftest import BULK, GROUP, PATCH, USER, Tenant
from tests.http.test_bad_input import JSON, is_scim_error, rows

FEW: Final = 500
MANY: Final = 4 * FEW
MOST: Final = 10_000


def body(name: str, **attributes: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name, **attributes}


def addresses(number: int) -> list[dict[str, str]]:
    return [{"value": f"{each}@example.com", "type": "work"} for each in range(number)]


def grows_with_its_input(cost: Callable[[int], Callable[[], TestResponse]]) -> None:
    """Compare what a request costs with few and with many values.

    :param cost: prepares a request of a size, and returns what sends it.
    """

    def least(number: int) -> float:
        spent = []
        send = cost(number)
        for _ in range(3):
            before = time.process_time()
            answer = send()
            spent.append(time.process_time() - before)
            assert answer.status_code < 300, answer.text
        return min(spent)

    assert least(MANY) < 2 * (MANY / FEW) * least(FEW)


# -- Names that look alike ----------------------------------------


@pytest.mark.parametrize(
    ("taken", "alike"),
    [
        ("zoe", "ZOE"),
        ("zoé", "zoe\u0301"),
        ("zoe", "\uff5a\uff4f\uff45"),
        ("ångström", "\u212bNGSTRO\u0308M"),
        ("straße", "STRA\u1e9eE"),
    ],
)
def test_names_that_are_the_same_when_prepared_are_taken(tenant: Tenant, taken: str, alike: str) -> None:
    made = tenant.user(taken)
    is_scim_error(tenant.scim.post("/Users", body(alike)), 409, "uniqueness")
    other = tenant.user("other")
    rename = {"op": "replace", "path": "userName", "value": alike}
    is_scim_error(tenant.scim.patch(f"/Users/{other}", rename), 409, "uniqueness")
    is_scim_error(tenant.scim.put(f"/Users/{other}", body(alike)), 409, "uniqueness")
    found = tenant.scim.get("/Users", filter=f'userName eq "{alike}"').get_json()["Resources"]
    assert [each["id"] for each in found] == [made]


@pytest.mark.parametrize("alike", ["\u0430da", "ad\u0251", "\u0391da"])
def test_other_letters_that_look_alike_are_another_name(tenant: Tenant, alike: str) -> None:
    ada, other = tenant.user("ada"), tenant.user(alike)
    for name, identity in (("ada", ada), (alike, other)):
        found = tenant.scim.get("/Users", filter=f'userName eq "{name}"').get_json()["Resources"]
        assert [each["id"] for each in found] == [identity]


HIDING: Final = {
    "a space of no width": ("ad\u200ba", "ada"),
    "from right to left": ("ada\u202e", "ada"),
    "a hyphen that is not shown": ("a\u00adda", "ada"),
    "a byte order mark": ("ada\ufeff", "ada"),
    "an invisible letter": ("ada\U000e0041", "ada"),
    "a ligature": ("\ufb01ona", "fiona"),
}


@pytest.mark.parametrize("what", HIDING)
def test_what_is_not_seen_in_a_name_makes_no_other_name(tenant: Tenant, what: str) -> None:
    name, seen = HIDING[what]
    tenant.user(seen)
    before = rows(tenant)
    is_scim_error(tenant.scim.post("/Users", body(name)), 409, "uniqueness")
    is_scim_error(tenant.connect("rfc-strict").post("/Users", body(name)), 400, "invalidValue")
    assert rows(tenant)["resource"] == before["resource"]
    found = tenant.scim.get("/Users", filter=f'userName eq "{name}"').get_json()["Resources"]
    assert [each["userName"] for each in found] == [seen]


# -- Large values ----------------------------------------


def test_a_long_value_is_kept_and_found_and_costs_what_it_is_long(tenant: Tenant) -> None:
    text = "x" * 1_000_000
    ada = tenant.user("ada", title=text, externalId=text)
    tenant.user("bob", externalId=text[1:])
    assert tenant.read(f"/Users/{ada}")["title"] == text
    longest = LONGEST_EXPRESSION - 100
    tenant.user("cleo", externalId=text[:longest])
    found = tenant.scim.get("/Users", filter=f'externalId eq "{text[:longest]}"', attributes="userName")
    assert [each["userName"] for each in found.get_json()["Resources"]] == ["cleo"]

    def replacing(number: int) -> Callable[[], TestResponse]:
        value = "y" * (500 * number)
        return lambda: tenant.scim.patch(f"/Users/{ada}", {"op": "replace", "path": "title", "value": value})

    grows_with_its_input(replacing)


def test_a_long_name_is_refused_before_it_is_prepared(tenant: Tenant) -> None:
    before = rows(tenant)
    for name in ("n" * 1_000_000, "\ufb01" * 300_000, "c" + "\u0301\u0323" * 200_000):
        is_scim_error(tenant.scim.post("/Users", body(name)), 400, "invalidValue")
    assert rows(tenant) == before


def test_a_large_body_takes_a_few_times_its_size_of_memory(tenant: Tenant) -> None:
    size = 3_000_000
    tenant.user("first", title="warm")
    tracemalloc.start()
    try:
        assert tenant.scim.post("/Users", body("ada", title="x" * size)).status_code == 201
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 16 * size
        refused = b'{"schemas":["%s"],"a":' % USER.encode() + b"[" * size
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
        answer = tenant.scim.client.post(
            "/scim/v2/Users", data=refused, content_type=JSON, headers=tenant.scim.headers
        )
        is_scim_error(answer, 400, "invalidSyntax")
        _, peak = tracemalloc.get_traced_memory()
        assert peak - held < 16 * size
    finally:
        tracemalloc.stop()


# -- Lists of many values ----------------------------------------


def test_ten_thousand_values_are_kept_changed_and_found(tenant: Tenant) -> None:
    many = addresses(MOST)
    ada = tenant.user("ada", emails=many[1:])
    add = {"op": "add", "path": "emails", "value": many}
    assert tenant.scim.patch(f"/Users/{ada}", add).status_code == 200
    assert len(tenant.read(f"/Users/{ada}")["emails"]) == MOST
    remove = {"op": "remove", "path": f'emails[value eq "{many[5]["value"]}"]'}
    assert tenant.scim.patch(f"/Users/{ada}", remove).status_code == 200
    for asked, totals in (
        (f'emails.value eq "{many[-1]["value"]}"', 1),
        (f'emails[type eq "work" and value sw "{MOST - 1}@"]', 1),
        (f'emails.value eq "{many[5]["value"]}"', 0),
        ('emails[not (type eq "work")]', 0),
    ):
        assert tenant.scim.get("/Users", filter=asked, count=0).get_json()["totalResults"] == totals
    assert tenant.scim.put(f"/Users/{ada}", body("ada", emails=many[:10])).status_code == 200
    assert len(tenant.read(f"/Users/{ada}")["emails"]) == 10


def creating(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    names = iter(f"{number}-{each}" for each in range(10))
    return lambda: tenant.scim.post("/Users", body(next(names), emails=addresses(number)))


def replacing(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    ada = tenant.user(f"ada {number}".replace(" ", "-"))
    titles = iter("abc")
    return lambda: tenant.scim.put(
        f"/Users/{ada}", body(f"ada-{number}", emails=addresses(number), title=next(titles))
    )


def adding(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    ada = tenant.user(f"ada-{number}", emails=addresses(number))
    return lambda: tenant.scim.patch(
        f"/Users/{ada}", {"op": "add", "path": "emails", "value": addresses(number)}
    )


def selecting(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    ada = tenant.user(f"ada-{number}", emails=addresses(number))
    path = f'emails[value eq "{number - 1}@example.com"].type'
    kinds = iter(("home", "other", "work"))
    return lambda: tenant.scim.patch(f"/Users/{ada}", {"op": "replace", "path": path, "value": next(kinds)})


def with_members(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    listed = [{"value": f"nobody-{each}"} for each in range(number)]
    group = tenant.group("crowd")
    return lambda: tenant.scim.put(
        f"/Groups/{group}", {"schemas": [GROUP], "displayName": "crowd", "members": listed}
    )


def searching(tenant: Tenant, number: int) -> Callable[[], TestResponse]:
    for each in range(5):
        tenant.user(f"ada-{number}-{each}", title=str(number), emails=addresses(number))
    asked = f'title eq "{number}" and emails[value co "x" and not (type eq "home")]'
    return lambda: tenant.scim.get("/Users", filter=asked, attributes="userName")


@pytest.mark.parametrize("work", [creating, replacing, adding, selecting, with_members, searching])
def test_what_a_list_costs_grows_as_it_does(
    tenant: Tenant, work: Callable[[Tenant, int], Callable[[], TestResponse]]
) -> None:
    grows_with_its_input(lambda number: work(tenant, number))


TOO_MANY: Final[dict[str, tuple[str, str, Callable[[str], Any]]]] = {
    "created": ("POST", "/Users", lambda: body("bob", emails=addresses(12_001))),
    "created, of several attributes": (
        "POST",
        "/Users",
        lambda: body("bob", emails=addresses(6_000), roles=addresses(6_001)),
    ),
    "created, of schemas": (
        "POST",
        "/Users",
        lambda: {"schemas": [USER, *(f"urn:example:{each}" for each in range(12_001))], "userName": "bob"},
    ),
    "created, in a list of a list": (
        "POST",
        "/Users",
        lambda: body("bob", emails=[{"value": "a", "more": ["x"] * 12_001}]),
    ),
    "replaced": ("PUT", "/Users/{}", lambda: body("ada", emails=addresses(12_001))),
    "added by a PATCH": (
        "PATCH",
        "/Users/{}",
        lambda: patch({"op": "add", "path": "emails", "value": addresses(12_001)}),
    ),
    "added by the operations of a PATCH": (
        "PATCH",
        "/Users/{}",
        lambda: patch(
            *({"op": "add", "path": path, "value": addresses(6_001)} for path in ("emails", "roles"))
        ),
    ),
    "looked for by a list": (
        "PATCH",
        "/Users/{}",
        lambda: patch({"op": "remove", "path": "emails", "value": addresses(1_000)}),
    ),
    "looked for by many operations": (
        "PATCH",
        "/Users/{}",
        lambda: patch(*({"op": "remove", "path": f'emails[value eq "{each}"]'} for each in range(400))),
    ),
    "looked for by many comparisons": (
        "PATCH",
        "/Users/{}",
        lambda: patch({"op": "remove", "path": "emails[" + " or ".join(['value eq "a"'] * 1_000) + "]"}),
    ),
}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


@pytest.mark.parametrize("what", TOO_MANY)
def test_too_many_values_are_refused(tenant: Tenant, what: str) -> None:
    ada = tenant.user("ada", emails=addresses(100))
    before, held = rows(tenant), tenant.read(f"/Users/{ada}")
    method, path, sent = TOO_MANY[what]
    is_scim_error(tenant.scim.send(method, path.format(ada), sent()), 400, "tooMany")
    assert rows(tenant) == before
    assert tenant.read(f"/Users/{ada}") == held


# -- Many changes, and deep ones ----------------------------------------


def renaming(number: int) -> list[dict[str, Any]]:
    return [{"op": "replace", "path": "title", "value": str(each)} for each in range(number)]


def test_a_patch_makes_a_bounded_number_of_changes(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    assert tenant.scim.patch(f"/Users/{ada}", *renaming(MOST_CHANGES)).status_code == 200
    assert tenant.read(f"/Users/{ada}")["title"] == str(MOST_CHANGES - 1)
    before = rows(tenant)
    names = {f"name{each}": each for each in range(MOST_CHANGES)}
    for operations in (
        renaming(MOST_CHANGES + 1),
        renaming(100_000),
        [{"op": "replace", "value": names}],
        [{"op": "replace", "path": "name", "value": {"givenName": names}}],
    ):
        is_scim_error(tenant.scim.patch(f"/Users/{ada}", *operations), 413, None)
    assert rows(tenant) == before


def test_a_bulk_request_makes_a_bounded_number_of_changes(tenant: Tenant) -> None:
    ada = tenant.user("ada")
    before = rows(tenant)

    def bulk(*operations: dict[str, Any]) -> TestResponse:
        return tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": list(operations)})

    many = {"method": "PATCH", "path": f"/Users/{ada}", "data": patch(*renaming(MOST_CHANGES))}
    is_scim_error(bulk(*[many] * (MOST_BULK_CHANGES // MOST_CHANGES + 1)), 413, None)
    is_scim_error(bulk(*[{"method": "DELETE", "path": f"/Users/{ada}"}] * 1_001), 413, None)
    crowd = {"method": "POST", "path": "/Users", "bulkId": "a", "data": body("bob", emails=addresses(7_000))}
    is_scim_error(bulk(crowd, {**crowd, "bulkId": "b"}), 400, "tooMany")
    assert rows(tenant) == before


@pytest.mark.parametrize("opening", [b'{"a":', b"[", b'{"a":[', b'[{"a":1},'])
@pytest.mark.parametrize("depth", [33, 100_000])
def test_a_deep_body_is_refused_before_it_is_parsed(tenant: Tenant, opening: bytes, depth: int) -> None:
    ada = tenant.user("ada")
    before = rows(tenant)
    closing = b"".join({b"{": b"}", b"[": b"]"}.get(each, b"") for each in map(bytes, zip(reversed(opening))))
    deep = opening * depth + b"1" + closing * depth
    for method, path in (("POST", "/Users"), ("PUT", f"/Users/{ada}"), ("PATCH", f"/Users/{ada}")):
        sent = b'{"schemas":["%s"],"userName":"x","Operations":%s}' % (USER.encode(), deep)
        answer = tenant.scim.client.open(
            f"/scim/v2{path}", method=method, data=sent, content_type=JSON, headers=tenant.scim.headers
        )
        is_scim_error(answer, 400, "invalidSyntax")
    assert rows(tenant) == before


@pytest.mark.parametrize(
    ("path", "scim_type"),
    [
        ("emails[" + "not(" * 100 + "value pr" + ")" * 100 + "]", "invalidFilter"),
        ("emails[" + "(" * 5_000 + "value pr", "invalidFilter"),
        ("a." * 30_000 + "b", "invalidPath"),
        ("a" * (LONGEST_EXPRESSION + 1), "invalidPath"),
        ("urn:" + "a:" * (LONGEST_EXPRESSION // 2), "invalidPath"),
    ],
    ids=["nots", "brackets", "dots", "long", "colons"],
)
def test_a_path_that_is_a_bomb_is_refused(tenant: Tenant, path: str, scim_type: str) -> None:
    ada = tenant.user("ada", emails=addresses(3))
    before = rows(tenant)
    for idp in (tenant.scim, tenant.connect("rfc-strict")):
        before = rows(tenant)
        is_scim_error(idp.patch(f"/Users/{ada}", {"op": "remove", "path": path}), 400, scim_type)
        # As a name in a value it may be one that the type does not have, which changes nothing.
        assert idp.patch(f"/Users/{ada}", {"op": "add", "value": {path: "x"}}).status_code in (200, 400)
        assert rows(tenant) == before
