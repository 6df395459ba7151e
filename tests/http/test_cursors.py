"""Pages by cursor (RFC 9865): each resource once while others write, and cursors that grant nothing."""

from __future__ import annotations

import base64
import dataclasses
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from scim2_server import cursor as sealing
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from app import create_app
from app.settings import Settings
from app.store import tables
from app.store.peppers import Peppers
from app.store.unit_of_work import new_id
from tests.http.conftest import Face, Tenant

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
INVALID = {"cursor": "invalidCursor", "count": "invalidCount", "old": "expiredCursor"}


def walk(
    face: Face, path: str, *, count: int = 3, between: Callable[[int], None] = lambda page: None, **query: Any
) -> list[list[str]]:
    """Follow the cursors from the first page to the last; return the ids of each page."""
    return [[each["id"] for each in page["Resources"]] for page in pages(face, path, count, between, **query)]


def pages(
    face: Face,
    path: str,
    count: int,
    between: Callable[[int], None] = lambda page: None,
    *,
    by: str = "nextCursor",
    cursor: str = "",
    **query: Any,
) -> Iterator[dict[str, Any]]:
    for number in range(100):
        answer = face.get(path, cursor=cursor, count=count, **query)
        assert answer.status_code == 200, answer.text
        page = answer.get_json()
        yield page
        if by not in page:
            return
        cursor = page[by]
        between(number)
    raise AssertionError("the pages do not end")


def flat(found: list[list[str]]) -> list[str]:
    return [each for page in found for each in page]


def refused(answer: TestResponse, scim_type: str) -> str:
    body = answer.get_json()
    assert (answer.status_code, body["scimType"]) == (400, scim_type), answer.text
    detail: str = body["detail"]
    return detail


@pytest.fixture
def people(tenant: Tenant) -> list[str]:
    """Ten people, in the order of their creation."""
    return [tenant.user(f"p{number}@example.com", title=f"t{number % 3}") for number in range(10)]


def test_every_page_says_how_many_there_are_and_all_but_the_last_where_the_next_is(
    tenant: Tenant, people: list[str]
) -> None:
    found = list(pages(tenant.scim, "/Users", 4))
    assert [each["id"] for page in found for each in page["Resources"]] == people
    assert [page["itemsPerPage"] for page in found] == [4, 4, 2]
    assert all(page["totalResults"] == 10 for page in found)
    assert ["nextCursor" in page for page in found] == [True, True, False]
    assert ["previousCursor" in page for page in found] == [False, True, True]
    assert all("startIndex" not in page for page in found)
    for page in found[:-1]:
        # RFC 9865 §2: the unreserved characters of a URI.
        assert re.fullmatch(r"[A-Za-z0-9\-._~]+", page["nextCursor"])


def test_the_last_page_may_be_full(tenant: Tenant, people: list[str]) -> None:
    assert walk(tenant.scim, "/Users", count=5) == [people[:5], people[5:]]
    assert walk(tenant.scim, "/Users", count=10) == [people]


def test_a_cursor_is_wanted_by_naming_it(tenant: Tenant, people: list[str]) -> None:
    client, headers = tenant.scim.client, tenant.scim.headers
    by_cursor = client.get("/scim/v2/Users?cursor&count=4", headers=headers).get_json()
    assert "nextCursor" in by_cursor
    by_index = tenant.scim.get("/Users", count=4).get_json()
    assert "nextCursor" not in by_index
    assert by_index["startIndex"] == 1
    assert tenant.scim.get("/Users", cursor="", startIndex=1).status_code == 400


def test_no_page_without_a_resource_leads_on(tenant: Tenant, people: list[str]) -> None:
    for query in ({"count": 0}, {"filter": 'userName eq "nobody"'}):
        page = tenant.scim.get("/Users", cursor="", **query).get_json()
        assert page["Resources"] == []
        assert "nextCursor" not in page
        assert page["totalResults"] == (10 if "count" in query else 0)


def test_the_pages_lead_back(tenant: Tenant, people: list[str]) -> None:
    there = list(pages(tenant.scim, "/Users", 4, sortBy="title", sortOrder="descending"))
    back = list(
        pages(
            tenant.scim,
            "/Users",
            4,
            by="previousCursor",
            cursor=there[-1]["previousCursor"],
            sortBy="title",
            sortOrder="descending",
        )
    )
    assert [page["Resources"] for page in back] == [page["Resources"] for page in reversed(there[:-1])]
    assert "previousCursor" not in back[-1]
    assert all("nextCursor" in page for page in back)


@pytest.mark.parametrize("path", ["/Users/.search", "/.search"])
def test_a_search_by_post_pages_too(tenant: Tenant, people: list[str], path: str) -> None:
    body: dict[str, Any] = {
        "schemas": [SEARCH],
        "filter": 'title eq "t1"',
        "count": 2,
        "attributes": ["title"],
    }
    first = tenant.scim.post(path, {**body, "cursor": ""}).get_json()
    last = tenant.scim.post(path, {**body, "cursor": first["nextCursor"]}).get_json()
    assert [each["id"] for page in (first, last) for each in page["Resources"]] == [
        people[1],
        people[4],
        people[7],
    ]
    assert "nextCursor" not in last
    refused(tenant.scim.post(path, {**body, "count": 1, "cursor": first["nextCursor"]}), INVALID["count"])


def test_the_root_is_one_list_of_all_types(tenant: Tenant, people: list[str]) -> None:
    group = tenant.group("team")
    read = tenant.entitlement("read", display="t1")
    assert flat(walk(tenant.scim, "/")) == [*people, group, read]
    by_title = flat(walk(tenant.scim, "/", sortBy="title"))
    assert sorted(by_title) == sorted([*people, group, read])
    assert by_title[-2:] == [group, read]


def test_pages_by_cursor_have_the_order_of_those_by_index(tenant: Tenant) -> None:
    for number, nick in enumerate(
        ["b", None, "a", "B", "", "ä", None, "a", "n" * 300 + "b", "n" * 300 + "a"]
    ):
        more: dict[str, Any] = {} if nick is None else {"nickName": nick, "name": {"familyName": nick}}
        if number % 3:
            work, home = {"value": f"w{number % 4}@x.org"}, {"value": f"h{number % 2}@x.org", "primary": True}
            more["emails"] = [work, home] if number % 2 else [work]
        tenant.user(f"u{number}", active=number % 4 != 0, **more)
    for sort_by in (
        *("nickName", "emails", "name.familyName", "active", "phoneNumbers"),
        *("id", "meta.created", "meta.lastModified", "meta.version"),
    ):
        for order in ("ascending", "descending"):
            asked = {"sortBy": sort_by, "sortOrder": order}
            listed = tenant.scim.get("/Users", **asked).get_json()["Resources"]
            by_index = [each["id"] for each in listed]
            for count in (1, 4):
                assert flat(walk(tenant.scim, "/Users", count=count, **asked)) == by_index, asked


@pytest.mark.parametrize("asked", [{}, {"sortBy": "title"}, {"sortBy": "title", "sortOrder": "descending"}])
def test_who_stays_is_on_one_page_while_others_write(
    tenant: Tenant, people: list[str], asked: dict[str, str]
) -> None:
    gone, renamed = people[:4], people[4:6]

    def write(page: int) -> None:
        if page < 4:
            assert tenant.scim.delete(f"/Users/{gone[page]}").status_code == 204
        tenant.user(f"new{page}@example.com", title=f"t{page % 3}")
        for each in renamed:
            change = {"op": "replace", "path": "userName", "value": f"{page}{each}"}
            assert tenant.scim.patch(f"/Users/{each}", change).status_code == 200

    found = flat(walk(tenant.scim, "/Users", count=2, between=write, **asked))
    assert len(found) == len(set(found))
    assert set(people) - set(gone) <= set(found)


def test_a_page_after_one_that_is_deleted_is_where_it_was(tenant: Tenant, people: list[str]) -> None:
    first = tenant.scim.get("/Users", cursor="", count=3).get_json()
    for each in people[:4]:
        tenant.scim.delete(f"/Users/{each}")
    page = tenant.scim.get("/Users", cursor=first["nextCursor"], count=3).get_json()
    assert [each["id"] for each in page["Resources"]] == people[4:7]
    assert "previousCursor" not in page
    assert page["totalResults"] == 6


def test_a_cursor_is_for_one_query(tenant: Tenant, people: list[str]) -> None:
    asked = {"filter": 'title eq "t1"', "count": 1, "sortBy": "userName", "attributes": "title"}
    cursor = tenant.scim.get("/Users", cursor="", **asked).get_json()["nextCursor"]
    assert tenant.scim.get("/Users", cursor=cursor, **asked).status_code == 200
    for other in (
        {"filter": 'title eq "t2"'},
        {"sortBy": "id"},
        {"sortOrder": "descending"},
        {"attributes": "userName"},
    ):
        refused(tenant.scim.get("/Users", cursor=cursor, **{**asked, **other}), INVALID["cursor"])
    refused(tenant.scim.get("/Users", cursor=cursor, **{**asked, "count": 2}), INVALID["count"])
    unfiltered = tenant.scim.get("/Users", cursor="", count=1).get_json()["nextCursor"]
    for path in ("/Groups", "/"):
        refused(tenant.scim.get(path, cursor=unfiltered, count=1), INVALID["cursor"])


def test_having_a_cursor_grants_nothing(
    found: Callable[..., Tenant], tenant: Tenant, people: list[str]
) -> None:
    other = found()
    for number in range(3):
        other.user(f"o{number}@example.com")
    asked = {"count": 1}
    cursor = tenant.scim.get("/Users", cursor="", **asked).get_json()["nextCursor"]
    unknown = refused(tenant.scim.get("/Users", cursor="nobody-made-this", **asked), INVALID["cursor"])
    damaged = f"{cursor[:40]}{'A' if cursor[40] != 'A' else 'B'}{cursor[41:]}"
    for face, sent in (
        (other.scim, cursor),
        (tenant.connect("field"), cursor),
        (tenant.scim, damaged),
        (tenant.scim, cursor[:-8]),
        (tenant.scim, "ä"),
    ):
        assert refused(face.get("/Users", cursor=sent, **asked), INVALID["cursor"]) == unknown
    assert tenant.scim.client.get("/scim/v2/Users", query_string={"cursor": cursor}).status_code == 401


def test_a_cursor_says_nothing_of_what_it_holds(tenant: Tenant, people: list[str]) -> None:
    asked = {"count": 1, "sortBy": "userName"}
    one, other = (tenant.scim.get("/Users", cursor="", **asked).get_json()["nextCursor"] for _ in range(2))
    assert one != other
    decoded = base64.urlsafe_b64decode(one + "=" * (-len(one) % 4))
    assert len(decoded) > len("p0@example.com")
    assert b"p0@example.com" not in decoded


def test_a_cursor_ends(tenant: Tenant, people: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cursor = tenant.scim.get("/Users", cursor="", count=1).get_json()["nextCursor"]
    lifetime = tenant.read("/ServiceProviderConfig")["pagination"]["cursorTimeout"]
    later = time.time() + lifetime + 1
    monkeypatch.setattr(sealing.time, "time", lambda: later)
    refused(tenant.scim.get("/Users", cursor=cursor, count=1), INVALID["old"])


def test_a_cursor_leads_on_in_another_process_and_after_a_pepper_was_added(
    tenant: Tenant, people: list[str], settings: Settings
) -> None:
    cursor = tenant.scim.get("/Users", cursor="", count=4).get_json()["nextCursor"]
    peppers = Peppers({**tenant.peppers.by_version, tenant.peppers.current + 1: b"q" * 32})
    another = create_app(dataclasses.replace(settings, peppers=peppers)).test_client()
    query = {"cursor": cursor, "count": 4}
    page = another.get("/scim/v2/Users", query_string=query, headers=tenant.scim.headers).get_json()
    assert [each["id"] for each in page["Resources"]] == people[4:8]


@pytest.mark.parametrize("dialect", ["rfc-strict", "okta", "entra"])
def test_every_dialect_pages(tenant: Tenant, people: list[str], dialect: str) -> None:
    assert flat(walk(tenant.connect(dialect), "/Users")) == people


def test_a_page_deep_in_the_list_costs_what_the_first_does(tenant: Tenant) -> None:
    size, asked = 20_000, {"count": 100, "attributes": "userName"}
    with tenant.store.writing(tenant.id, actor="test") as unit:
        rows = [
            {
                "id": new_id(),
                "tenant_id": tenant.id,
                "type": "User",
                "document": {"userName": f"u{number}", "active": True},
                "comparable": {"username": f"u{number}", "active": 1},
                "revision": 1,
                "created_at": unit.now + number,
                "modified_at": unit.now,
            }
            for number in range(size)
        ]
        unit.connection.execute(sa.insert(tables.resource), rows)
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if "FROM resource" in statement and "count(" not in statement:
            statements.append((statement, parameters))

    first = tenant.scim.get("/Users", cursor="", **asked).get_json()
    page = first
    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        page = tenant.scim.get("/Users", cursor=page["nextCursor"], **asked).get_json()
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)
    assert page["totalResults"] == size
    assert statements
    for statement, parameters in statements:
        assert_entered_by_index(tenant, statement, parameters)


def assert_entered_by_index(tenant: Tenant, statement: str, parameters: Any) -> None:
    """The index is entered where the page begins, and nothing is sorted."""
    with tenant.store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            told = "\n".join(row.detail for row in plan)
            assert "ix_resource_listing (tenant_id=? AND type=? AND (created_at,id)" in told
            assert "TEMP B-TREE" not in told
        else:
            connection.exec_driver_sql("ANALYZE resource")
            plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
            told = "\n".join(row[0] for row in plan)
            condition = next(line for line in told.splitlines() if "Index Cond" in line)
            assert "ix_resource_listing" in told
            assert "ROW(created_at, id)" in condition
            assert "Sort" not in told
