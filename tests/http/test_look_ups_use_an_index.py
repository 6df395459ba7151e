"""What identity providers look up by is found through an index, whatever the size of the directory.

What is explained is what the server sent to its database while it answered, on a directory of thousands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.store import tables
from app.store.unit_of_work import new_id
from tests.http.conftest import Tenant

USERS: Final = 1_500
GROUPS: Final = 300
_LARGE: Final = ("resource", "attribute_value", "membership")
_OF_MANY: Final = {"tenant_id", "type", "attribute"}
_MOST_VISITED: Final = 60
"""How many rows of one table a look-up may visit: a handful, not a part of the directory."""

Statement = tuple[str, Any]


@contextmanager
def sent_to_the_database() -> Iterator[list[Statement]]:
    """Note every query on a large table that is sent while the block runs."""
    noted: list[Statement] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        large = re.search(rf"\b(FROM|JOIN|UPDATE) ({'|'.join(_LARGE)})\b", statement)
        if large and "EXPLAIN" not in statement:
            noted.append((statement, parameters))

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield noted
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


def scans_of(tenant: Tenant, statement: str, parameters: Any) -> list[str]:
    """Return where a statement goes through a large table, or all of it that is the tenant's, row by row."""
    with tenant.store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return [step for row in plan if _goes_through(step := str(row.detail))]
        # A few thousand rows are soon read; what a million would be is asked.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON)"
        told = connection.exec_driver_sql(f"{explain} {statement}", parameters).scalar_one()
        connection.rollback()
    (plan,) = told if isinstance(told, list) else json.loads(told)
    return list(_visits(plan["Plan"]))


def _goes_through(step: str) -> bool:
    """Whether a step of SQLite's plan reads more of a large table than what it looks for."""
    if step.startswith("SCAN"):
        return bool(re.match(rf"SCAN (?:{'|'.join(_LARGE)}|membership_\d+|member_row)\b", step))
    # An index that is entered by the tenant alone, or by the type too, leads to every row of it.
    entered = re.search(r"\((.*)\)$", step)
    return entered is not None and set(re.findall(r"(\w+)[=<>]", entered[1])) <= _OF_MANY


def _visits(node: dict[str, Any]) -> Iterator[str]:
    """Yield the nodes of PostgreSQL's plan that visited more than a handful of rows."""
    each = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
    visited = each * node.get("Actual Loops", 1)
    if node.get("Relation Name") in _LARGE and visited > _MOST_VISITED:
        yield f"{node['Node Type']} on {node['Relation Name']} visited {visited} rows"
    for below in node.get("Plans", ()):
        yield from _visits(below)


class LargeDirectory:
    """Some thousands of users and hundreds of groups, and one of each that is looked up."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        emails = [{"value": "ada@example.com", "type": "work"}]
        self.user = tenant.user("ada", externalId="x-ada", displayName="Ada", emails=emails)
        self.group = tenant.group("Buyers", self.user, externalId="x-buyers")
        users, groups = [new_id() for _ in range(USERS)], [new_id() for _ in range(GROUPS)]
        with tenant.store.writing(tenant.id, actor="test") as unit:
            kinds = [("User", "userName", each) for each in users]
            kinds += [("Group", "displayName", each) for each in groups]
            resources = [
                {
                    "id": each,
                    "tenant_id": tenant.id,
                    "type": kind,
                    "document": {name: each, "externalId": each},
                    "comparable": {name.lower(): each, "externalid": each},
                    "revision": 1,
                    "created_at": unit.now + place,
                    "modified_at": unit.now,
                }
                for place, (kind, name, each) in enumerate(kinds)
            ]
            values = [
                {
                    "tenant_id": tenant.id,
                    "attribute": f"urn:ietf:params:scim:schemas:core:2.0:{kind}:{attribute}".lower(),
                    "value": each,
                    "resource_id": each,
                    "is_unique": attribute == "userName",
                }
                for kind, name, each in kinds
                for attribute in (name, "externalId")
            ]
            members = [
                {
                    "tenant_id": tenant.id,
                    "group_id": groups[place % GROUPS],
                    "member_id": each,
                    "member_type": "User",
                    "since": unit.now,
                    "tolerance": 0,
                }
                for place, each in enumerate(users)
            ]
            for table, rows in (
                (tables.resource, resources),
                (tables.attribute_value, values),
                (tables.membership, members),
            ):
                unit.connection.execute(sa.insert(table), rows)
        with tenant.store.engine.begin() as connection:
            # What PostgreSQL's autovacuum does by itself after a while.
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"ANALYZE {', '.join(_LARGE)}")


@pytest.fixture(scope="module")
def directories() -> dict[str, LargeDirectory]:
    return {}


@pytest.fixture
def directory(
    directories: dict[str, LargeDirectory], found: Callable[..., Tenant], shared_engine: Engine
) -> LargeDirectory:
    """Return the directory of a database, which its tests share."""
    url = str(shared_engine.url)
    if url not in directories:
        directories[url] = LargeDirectory(found())
    return directories[url]


LOOK_UPS: Final = (
    ("/Users", 'userName eq "ADA"'),
    ("/Users", 'externalId eq "x-ada"'),
    ("/Users", 'id eq "<user>"'),
    ("/Users", 'displayName eq "ada"'),
    ("/Users", 'emails eq "ada@example.com"'),
    ("/Users", 'emails.value eq "ADA@example.com"'),
    ("/Users", 'emails[type eq "work" and value eq "ada@example.com"]'),
    ("/Users", 'emails[type eq "work"].value eq "ada@example.com"'),
    ("/Users", 'userName eq "ada" and active eq true'),
    ("/Users", 'active eq true and externalId eq "x-ada"'),
    ("/Users", 'userName eq "ada" or externalId eq "x-ada"'),
    ("/Users", 'userName eq "ada" or emails[type eq "work" and value eq "ada@example.com"]'),
    ("/Groups", 'displayName eq "buyers"'),
    ("/Groups", 'externalId eq "x-buyers"'),
    ("/Groups", 'id eq "<group>"'),
    ("/Groups", 'members eq "<user>"'),
    ("/Groups", 'members.value eq "<user>"'),
    ("/Groups", 'members[value eq "<user>"]'),
    ("/Groups", 'members[type eq "User" and value eq "<user>"]'),
    # Microsoft Entra asks so whether somebody is in a group.
    ("/Groups", 'id eq "<group>" and members eq "<user>"'),
    ("/Groups", 'displayName eq "Buyers" and members[value eq "<user>"]'),
)


@pytest.mark.parametrize(("path", "asked"), LOOK_UPS)
@pytest.mark.parametrize("paging", ["index", "cursor"])
def test_a_look_up_visits_what_it_looks_for(
    directory: LargeDirectory, path: str, asked: str, paging: str
) -> None:
    asked = asked.replace("<user>", directory.user).replace("<group>", directory.group)
    more = {"cursor": ""} if paging == "cursor" else {}
    with sent_to_the_database() as statements:
        answer = directory.tenant.scim.get(path, filter=asked, **more)
    assert answer.status_code == 200, answer.text
    wanted = directory.user if path == "/Users" else directory.group
    assert [each["id"] for each in answer.get_json()["Resources"]] == [wanted]
    assert any("FROM resource" in statement for statement, _ in statements)
    for statement, parameters in statements:
        assert scans_of(directory.tenant, statement, parameters) == [], statement


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/Users/<user>", None),
        ("GET", "/Groups/<group>", None),
        ("GET", "/Me", None),
        ("PATCH", "/Users/<user>", [{"op": "replace", "path": "title", "value": "Countess"}]),
        ("PATCH", "/Groups/<group>", [{"op": "add", "path": "members", "value": [{"value": "<user>"}]}]),
        ("PATCH", "/Groups/<group>", [{"op": "remove", "path": 'members[value eq "absent"]'}]),
    ],
)
def test_a_request_about_one_resource_visits_that_one(
    directory: LargeDirectory, method: str, path: str, body: Any
) -> None:
    def filled_in(text: str) -> str:
        return text.replace("<user>", directory.user).replace("<group>", directory.group)

    scim = directory.tenant.scim
    with sent_to_the_database() as statements:
        if body is None:
            answer = scim.get(filled_in(path))
        else:
            answer = scim.patch(filled_in(path), *json.loads(filled_in(json.dumps(body))))
    assert answer.status_code in (200, 404, 501), answer.text
    for statement, parameters in statements:
        assert scans_of(directory.tenant, statement, parameters) == [], statement


def test_a_search_without_an_index_is_seen_to_scan(directory: LargeDirectory) -> None:
    with sent_to_the_database() as statements:
        assert directory.tenant.scim.get("/Users", filter='title eq "Countess"').status_code == 200
    assert any(scans_of(directory.tenant, *statement) for statement in statements)
