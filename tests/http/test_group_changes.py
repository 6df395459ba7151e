"""Changes of a group's members: of any size, said in any way, at the cost of what is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.conftest import BULK, GROUP, PATCH, Tenant
from tests.http.crowd import crowd

STRANGER = "00000000-0000-4000-8000-000000000000"


def members_listed(*ids: str) -> list[dict[str, str]]:
    return [{"value": each, "display": f"called {each[:4]}"} for each in ids]


def selecting(*ids: str) -> str:
    named = " or ".join(f'value eq "{each}"' for each in ids)
    return f"members[{named}]"


def people(tenant: Tenant, number: int) -> list[str]:
    operations = [
        {
            "method": "POST",
            "path": "/Users",
            "bulkId": f"u{index}",
            "data": {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"person-{index}",
            },
        }
        for index in range(number)
    ]
    made: list[str] = []
    for start in range(0, number, 1000):
        body = {
            "schemas": [BULK],
            "Operations": operations[start : start + 1000],
        }
        answer = tenant.scim.post("/Bulk", body)
        assert answer.status_code == 200, answer.text
        made += [each["location"].rpartition("/")[2] for each in answer.get_json()["Operations"]]
    return made


@contextmanager
def counted(tenant: Tenant) -> Iterator[list[int]]:
    """Count the rows that statements fetch."""
    fetched = [0]

    def count(_connection: Any, cursor: Any, *_rest: Any) -> None:
        if cursor.description and cursor.rowcount > 0:
            fetched[0] += cursor.rowcount

    sa.event.listen(tenant.store.engine, "after_cursor_execute", count)
    yield fetched
    sa.event.remove(tenant.store.engine, "after_cursor_execute", count)


Step = tuple[str, tuple[int, ...]]

STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "add",
                "add path-less",
                "remove filtered",
                "remove listed",
                "replace",
                "replace path-less",
                "clear",
            ]
        ),
        st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=5,
)


def operation(step: Step, ids: list[str]) -> dict[str, Any]:
    kind, named = step
    chosen = [ids[each] for each in named]
    match kind:
        case "add":
            return {"op": "Add", "path": "members", "value": members_listed(*chosen)}
        case "add path-less":
            return {"op": "add", "value": {"Members": members_listed(*chosen)}}
        case "remove filtered":
            return {"op": "remove", "path": selecting(*chosen)}
        case "remove listed":
            return {"op": "Remove", "path": "members", "value": members_listed(*chosen)}
        case "replace":
            return {"op": "replace", "path": "members", "value": members_listed(*chosen)}
        case "replace path-less":
            return {"op": "replace", "value": {"id": "ignored", "members": members_listed(*chosen)}}
        case _:
            return {"op": "remove", "path": "members"}


def expected(present: set[str], steps: list[Step], ids: list[str]) -> set[str]:
    for kind, named in steps:
        chosen = {ids[each] for each in named}
        if kind.startswith("add"):
            present = present | chosen
        elif kind.startswith("remove"):
            present = present - chosen
        else:
            present = set() if kind == "clear" else chosen
    return present


def test_steps_on_members_come_to_what_they_say_one_after_the_other(tenant: Tenant) -> None:
    ids = [*people(tenant, 5), tenant.group("nested")]
    group = tenant.group("changing")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(steps=STEPS, renamed=st.booleans(), by_filter_too=st.booleans())
    def check(steps: list[Step], renamed: bool, by_filter_too: bool) -> None:
        before, version = tenant.members(group), tenant.read(f"/Groups/{group}")["meta"]["version"]
        operations = [operation(each, ids) for each in steps]
        if renamed:
            operations.append({"op": "replace", "value": {"displayName": "changing"}})
        wanted = expected(before, steps, ids)
        if by_filter_too:
            # Members that are selected by more than their ids have to be read: the result is the same.
            operations.append({"op": "remove", "path": f'members[value sw "{ids[5]}"]'})
            wanted.discard(ids[5])
        answer = tenant.scim.patch(f"/Groups/{group}", *operations)
        assert answer.status_code == 200, answer.text
        assert {each["value"] for each in answer.get_json().get("members", [])} == wanted
        assert tenant.members(group) == wanted
        same = answer.headers["ETag"] == version
        assert same == (before == wanted)

    check()


def test_a_change_costs_what_it_names_and_not_what_the_group_holds(tenant: Tenant) -> None:
    if tenant.store.engine.dialect.name == "sqlite":
        pytest.skip("SQLite's driver does not say how many rows a query fetched")
    everyone = people(tenant, 2)
    small, large = tenant.group("small", everyone[0]), tenant.group("large", everyone[0])
    right = tenant.entitlement("pay", groups=(small, large))
    crowd(tenant, large, right, 1000)
    costs = {}
    for group in (small, large):
        with counted(tenant) as fetched:
            answer = tenant.scim.patch(
                f"/Groups/{group}",
                {"op": "remove", "path": selecting(everyone[0])},
                {"op": "add", "path": "members", "value": members_listed(everyone[1])},
                {"op": "replace", "value": {"displayName": "another name"}},
            )
        assert answer.status_code == (200 if group == small else 204)
        assert answer.headers["ETag"]
        costs[group] = fetched[0]
    assert costs[large] <= costs[small] + 110, "the answer of 101 members is counted, and no more is read"


def test_256_members_in_one_patch_and_the_whole_list_in_one_put(tenant: Tenant) -> None:
    everyone = people(tenant, 360)
    group = tenant.group("pushed", *everyone[:100])
    push = {"op": "add", "path": "members", "value": members_listed(*everyone[50:306])}
    for _again in range(2):
        assert tenant.scim.patch(f"/Groups/{group}", push).status_code == 204
        assert tenant.members(group) == set(everyone[:306])
    separately = [{"op": "remove", "path": selecting(each)} for each in everyone[:256]]
    for _again in range(2):
        assert tenant.scim.patch(f"/Groups/{group}", *separately).status_code in (200, 204)
        assert tenant.members(group) == set(everyone[256:306])
    whole = {"schemas": [GROUP], "displayName": "pushed", "members": members_listed(*everyone)}
    versions = set()
    for _again in range(2):
        answer = tenant.scim.put(f"/Groups/{group}", whole)
        assert answer.status_code == 200
        versions.add(answer.headers["ETag"])
        assert tenant.members(group) == set(everyone)
    assert len(versions) == 1


@pytest.mark.parametrize("dialect", ["field", "okta", "entra"])
def test_an_unknown_member_is_reported_and_the_good_ones_are_applied(tenant: Tenant, dialect: str) -> None:
    idp = tenant.connect(dialect)
    one, two = people(tenant, 2)
    group = tenant.group("mixed", one)
    push = {"op": "add", "path": "members", "value": members_listed(STRANGER, two)}
    assert idp.patch(f"/Groups/{group}", push).status_code in (200, 204)
    assert tenant.members(group) == {one, two}
    events = tenant.operator.get("/events", subject=f"Group/{group}").get_json()["Resources"]
    assert [each["data"]["ids"] for each in events if each["type"] == "member.unknown"] == [[STRANGER]]


def test_an_unknown_member_refuses_the_whole_request_where_the_dialect_is_strict(tenant: Tenant) -> None:
    strict = tenant.connect("rfc-strict")
    one, two = people(tenant, 2)
    group = tenant.group("strict", one)
    push = {"op": "add", "path": "members", "value": members_listed(STRANGER, two)}
    answer = strict.patch(f"/Groups/{group}", {"op": "replace", "path": "displayName", "value": "new"}, push)
    assert (answer.status_code, answer.get_json()["scimType"]) == (400, "invalidValue")
    assert STRANGER in answer.get_json()["detail"]
    assert tenant.members(group) == {one}
    assert tenant.read(f"/Groups/{group}")["displayName"] == "strict"


def test_a_change_of_members_asks_for_the_version_it_was_told(tenant: Tenant) -> None:
    one, two = people(tenant, 2)
    group = tenant.group("versioned", one)
    body = {
        "schemas": [PATCH],
        "Operations": [{"op": "add", "path": "members", "value": members_listed(two)}],
    }

    def send(version: str) -> int:
        return tenant.scim.client.patch(
            f"{tenant.scim.root}/Groups/{group}",
            json=body,
            headers={**tenant.scim.headers, "If-Match": version},
        ).status_code

    current = tenant.read(f"/Groups/{group}")["meta"]["version"]
    assert send('W/"999"') == 412
    assert tenant.members(group) == {one}
    assert send(current) == 200
    assert tenant.members(group) == {one, two}
