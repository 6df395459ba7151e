"""SQL finds and orders what ``scim2-models`` finds and orders in memory, on both databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scim2_models import Resource, ScimFilter, SearchRequest
from scim2_server.utils import load_default_provider

from app.directory import membership, resources
from app.directory.comparable import comparable, matchable
from app.directory.filters import compile_filter
from app.directory.look_ups import looked_up
from app.directory.membership import Member, MemberMoves
from app.directory.sorting import order_of
from app.scim.provider import load_provider
from app.store.tables import resource as resource_table
from app.store.unit_of_work import Store, Unit
from tests.property.generated_directories import (
    USER_TIMES,
    entitlement_filters,
    entitlements,
    filters,
    simple_filters,
    sort_paths,
    users,
)

PROVIDER = load_default_provider()
MODELS: dict[str, Any] = {
    "User": PROVIDER.model_for("User"),
    "Group": PROVIDER.model_for("Group"),
    "Entitlement": load_provider().model_for("Entitlement"),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A test's examples share its tenant: each is undone at its end.
on_a_database = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
times = st.sampled_from(USER_TIMES)


@contextmanager
def undone(store: Store, tenant_id: str) -> Iterator[Unit]:
    with store.writing(tenant_id, actor="test") as unit:
        savepoint = unit.connection.begin_nested()
        try:
            yield unit
        finally:
            savepoint.rollback()


def insert(unit: Unit, type_name: str, body: dict[str, Any]) -> str:
    made = MODELS[type_name].model_validate(body)
    content = resources.Content(made.model_dump(mode="json"), comparable(made), matchable(made))
    return resources.insert(unit, type_name, content).id


def date(unit: Unit, resource_id: str, created_at: int, modified_at: int) -> None:
    moved = sa.update(resource_table).where(resource_table.c.id == resource_id)
    unit.execute(moved.values(created_at=created_at, modified_at=modified_at))


def stored(unit: Unit, type_name: str, **more: dict[str, list[dict[str, Any]]]) -> list[Resource[Any]]:
    """Return all resources of a type, each with more attributes by its id, in the order of their creation."""
    rows = unit.execute(
        sa.select(resource_table)
        .where(resource_table.c.tenant_id == unit.tenant_id, resource_table.c.type == type_name)
        .order_by(resource_table.c.created_at, resource_table.c.id)
    )
    return [
        MODELS[type_name].model_validate(
            {
                **row.document,
                **{attribute: by_id.get(row.id) for attribute, by_id in more.items()},
                "id": row.id,
                "meta": {
                    "resourceType": row.type,
                    "created": EPOCH + timedelta(microseconds=row.created_at),
                    "lastModified": EPOCH + timedelta(microseconds=row.modified_at),
                    "version": f'W/"{row.revision}"',
                },
            }
        )
        for row in rows
    ]


def found(unit: Unit, type_name: str, scim_filter: str) -> list[str]:
    condition = compile_filter(
        ScimFilter(scim_filter), unit=unit, model=MODELS[type_name], type_name=type_name
    )
    # Among all rows, and among those that an index knows to be all that can match.
    among_all, among_few = (
        resources.find(
            unit,
            sa.and_(resource_table.c.type == type_name, condition),
            order=[resource_table.c.created_at, resource_table.c.id],
            offset=0,
            limit=None,
            rows=rows,
        )
        for rows in (
            resource_table,
            looked_up(ScimFilter(scim_filter), unit, [(type_name, MODELS[type_name])]),
        )
    )
    assert among_all == among_few
    assert among_all.total == len(among_all.resources)
    return [each.id for each in among_all.resources]


def matching(type_name: str, scim_filter: str, candidates: Sequence[Resource[Any]]) -> list[str | None]:
    bound = ScimFilter[MODELS[type_name]](scim_filter)
    return [each.id for each in candidates if bound.match(each)]


@on_a_database
@given(bodies=users, scim_filters=st.lists(filters, min_size=1, max_size=6))
def test_a_filter_finds_the_users_that_match_in_memory(
    shared_store: Store, new_tenant: str, bodies: list[dict[str, Any]], scim_filters: list[str]
) -> None:
    with undone(shared_store, new_tenant) as unit:
        for number, body in enumerate(bodies):
            moments = USER_TIMES[number % 3], USER_TIMES[(number + 1) % 3]
            date(unit, insert(unit, "User", body), *moments)
        everyone = stored(unit, "User")
        for scim_filter in scim_filters:
            assert found(unit, "User", scim_filter) == matching("User", scim_filter, everyone), scim_filter


@settings(on_a_database, max_examples=120)
@given(bodies=entitlements, scim_filters=st.lists(entitlement_filters, min_size=1, max_size=6))
def test_a_filter_finds_the_entitlements_that_match_in_memory(
    shared_store: Store, new_tenant: str, bodies: list[dict[str, Any]], scim_filters: list[str]
) -> None:
    with undone(shared_store, new_tenant) as unit:
        for body in bodies:
            insert(unit, "Entitlement", body)
        all_of_them = stored(unit, "Entitlement")
        for scim_filter in scim_filters:
            assert found(unit, "Entitlement", scim_filter) == matching(
                "Entitlement", scim_filter, all_of_them
            ), scim_filter


@settings(on_a_database, max_examples=40)
@given(bodies=users, terms=st.tuples(*[simple_filters] * 4))
def test_not_binds_before_and_and_that_before_or(
    shared_store: Store, new_tenant: str, bodies: list[dict[str, Any]], terms: tuple[str, ...]
) -> None:
    # The evaluator in memory reads a filter as SQL does, so what binds first is asked of sets.
    with undone(shared_store, new_tenant) as unit:
        everyone = {insert(unit, "User", body) for body in bodies}
        a, b, c, d = (set(found(unit, "User", term)) for term in terms)
        for written, expected in (
            ("{0} or {1} and {2}", a | (b & c)),
            ("{0} and {1} or {2}", (a & b) | c),
            ("{0} and {1} or {2} and {3}", (a & b) | (c & d)),
            ("{0} or {1} and {2} or {3}", a | (b & c) | d),
            ("({0} or {1}) and ({2} or {3})", (a | b) & (c | d)),
            ("not ({0}) and {1}", (everyone - a) & b),
            ("not ({0}) or {1} and {2}", (everyone - a) | (b & c)),
            ("{0} and not ({1} or {2})", a & (everyone - (b | c))),
            ("not (not ({0}) and {1})", everyone - ((everyone - a) & b)),
        ):
            scim_filter = written.format(*terms)
            assert set(found(unit, "User", scim_filter)) == expected, scim_filter


@on_a_database
@given(
    dated=st.lists(st.tuples(times, times), min_size=5, max_size=5),
    bodies=users,
    sort_by=sort_paths,
    sort_order=st.sampled_from(SearchRequest.SortOrder),
)
def test_users_are_ordered_as_in_memory(
    shared_store: Store,
    new_tenant: str,
    dated: list[tuple[int, int]],
    bodies: list[dict[str, Any]],
    sort_by: str,
    sort_order: SearchRequest.SortOrder,
) -> None:
    request = SearchRequest[MODELS["User"]](sort_by=sort_by, sort_order=sort_order)  # type: ignore[misc]
    with undone(shared_store, new_tenant) as unit:
        for body, moments in zip(bodies, dated, strict=False):
            date(unit, insert(unit, "User", body), *moments)
        order = order_of(unit, request, [("User", MODELS["User"])])
        page = resources.find(unit, resource_table.c.type == "User", order=order, offset=0, limit=None)
        assert [each.id for each in page.resources] == [
            each.id for each in request.sort(stored(unit, "User"))
        ]


# Each group may contain the users and the groups before it, so that none contains itself.
GROUP_NAMES = ("Alpha", "beta", "Éta")
PEOPLE = ("ann", "bob")
member_lists = st.tuples(
    *(
        st.sets(st.sampled_from([*PEOPLE, *GROUP_NAMES[:place]]), max_size=3)
        for place in range(len(GROUP_NAMES))
    )
)
named = st.sampled_from([*PEOPLE, *GROUP_NAMES, "nobody"])
member_terms = st.one_of(
    st.builds("value {} <{}>".format, st.sampled_from(["eq", "ne", "co", "sw", "gt"]), named),
    st.builds(
        "type {} {}".format,
        st.sampled_from(["eq", "ne", "sw"]),
        st.sampled_from(['"user"', '"GROUP"', "null"]),
    ),
    st.sampled_from(["value pr", "type pr", "value eq null", "value ne null", 'not (type eq "Group")']),
)
group_terms = st.one_of(
    st.builds("value {} <{}>".format, st.sampled_from(["eq", "ne", "co", "sw", "gt"]), named),
    st.builds(
        "type {} {}".format, st.sampled_from(["eq", "ne", "co"]), st.sampled_from(['"Direct"', '"indirect"'])
    ),
    st.builds(
        "display {} {}".format,
        st.sampled_from(["eq", "ne", "co", "sw", "ew", "lt"]),
        st.sampled_from(['"ALPHA"', '"bet"', '"E\u0301"', '"a"', "null"]),
    ),
    st.sampled_from(["value pr", "display pr", 'not (type eq "direct")', "type eq null"]),
)


def about(head: str, terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    flat = terms.filter(lambda term: not term.startswith("not")).map(f"{head}.{{}}".format)
    joined = st.builds("({} and {}) or {}".format, terms, terms, terms)
    inside = (terms | st.builds("{} and {}".format, terms, terms) | joined).map(f"{head}[{{}}]".format)
    either = st.one_of(flat, inside, st.just(f"{head} pr"))
    return either | either.map("not ({})".format)


@on_a_database
@given(
    members=member_lists,
    of_groups=about("members", member_terms),
    of_users=about("groups", group_terms),
)
def test_memberships_are_found_as_in_memory(
    shared_store: Store, new_tenant: str, members: tuple[set[str], ...], of_groups: str, of_users: str
) -> None:
    with undone(shared_store, new_tenant) as unit:
        ids = {"nobody": "0" * 32}
        for name in PEOPLE:
            ids[name] = insert(unit, "User", {"userName": name})
        for name, inside in zip(GROUP_NAMES, members, strict=True):
            ids[name] = insert(unit, "Group", {"displayName": name})
            wanted = MemberMoves.all_of(Member(ids[each]) for each in inside)
            membership.assert_members(unit, ids[name], wanted, refuse_unknown=True)
        for name, resource_id in ids.items():
            of_groups = of_groups.replace(f"<{name}>", f'"{resource_id}"')
            of_users = of_users.replace(f"<{name}>", f'"{resource_id}"')
        below = membership.members_of(unit, list(ids.values()))
        groups = stored(
            unit,
            "Group",
            members={
                group_id: [{"value": each.id, "type": each.type} for each in inside]
                for group_id, inside in below.items()
            },
        )
        above = membership.groups_of(unit, list(ids.values()))
        people = stored(
            unit,
            "User",
            groups={
                user_id: [{"value": each.id, "type": each.type, "display": each.display} for each in outside]
                for user_id, outside in above.items()
            },
        )
        assert found(unit, "Group", of_groups) == matching("Group", of_groups, groups)
        assert found(unit, "User", of_users) == matching("User", of_users, people)


@pytest.mark.parametrize("scim_filter", ["nickName pr", 'members.value eq "x"', 'userName eq "x"'])
def test_an_attribute_that_a_type_lacks_matches_none_of_its_resources(
    shared_store: Store, new_tenant: str, scim_filter: str
) -> None:
    with undone(shared_store, new_tenant) as unit:
        insert(unit, "User", {"userName": "ann"})
        insert(unit, "Group", {"displayName": "Alpha"})
        assert found(unit, "User", scim_filter) == []
        assert found(unit, "Group", scim_filter) == []
