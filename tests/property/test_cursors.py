"""Whoever is there throughout, and stays as they are, is on exactly one page, whatever others write."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scim2_models import SearchRequest

from app.directory import resources
from app.directory.comparable import comparable, matchable
from app.directory.cursors import find_by_cursor
from app.directory.resources import Content
from app.directory.sorting import sort_terms
from app.store.tables import resource as resource_table
from app.store.unit_of_work import Store, Unit
from tests.property.generated_directories import USER_TIMES, sort_paths, users
from tests.property.test_filters import MODELS, date, insert, on_a_database, stored, undone

fewer = settings(on_a_database, max_examples=40)
EVERY_USER = resource_table.c.type == "User"

writes = st.lists(
    st.tuples(st.sampled_from(["create", "delete", "change"]), st.integers(0, 9), users), max_size=8
)


def content(body: dict[str, Any]) -> Content:
    made = MODELS["User"].model_validate(body)
    return Content(made.model_dump(mode="json"), comparable(made), matchable(made))


def write(unit: Unit, kind: str, place: int, bodies: list[dict[str, Any]], at_first: list[str]) -> str | None:
    """Write as another client would; return whom it was about, if he was there from the beginning."""
    if kind == "create":
        for number, body in enumerate(bodies):
            made = insert(unit, "User", {**body, "userName": f"new-{resources.new_id()}"})
            # Between the others, not only after them.
            date(unit, made, USER_TIMES[(place + number) % 3], unit.now)
        return None
    present = {each.id for each in stored(unit, "User")}
    chosen = at_first[place % len(at_first)]
    if chosen not in present:
        return chosen
    if kind == "delete" or not bodies:
        resources.delete(unit, "User", chosen, expected_revision=None)
    else:
        changed = content({**bodies[0], "userName": f"changed-{resources.new_id()}"})
        resources.update(unit, "User", chosen, changed, expected_revision=None)
    return chosen


@fewer
@given(
    bodies=users.filter(bool),
    sort_by=st.none() | sort_paths,
    sort_order=st.sampled_from(SearchRequest.SortOrder),
    count=st.integers(1, 3),
    meanwhile=writes,
)
def test_who_stays_is_on_exactly_one_page(
    shared_store: Store,
    new_tenant: str,
    bodies: list[dict[str, Any]],
    sort_by: str | None,
    sort_order: SearchRequest.SortOrder,
    count: int,
    meanwhile: list[tuple[str, int, list[dict[str, Any]]]],
) -> None:
    request = SearchRequest[MODELS["User"]](sort_by=sort_by, sort_order=sort_order)  # type: ignore[misc]
    with undone(shared_store, new_tenant) as unit:
        at_first = [insert(unit, "User", body) for body in bodies]
        for number, each in enumerate(at_first):
            date(unit, each, USER_TIMES[number % 3], USER_TIMES[(number + 1) % 3])
        in_order = [each.id for each in request.sort(stored(unit, "User"))]
        terms = sort_terms(unit, request, [("User", MODELS["User"])])
        moved: set[str | None] = set()
        found: list[str] = []
        position, is_first, waiting = None, True, list(meanwhile)
        while is_first or position is not None:
            page = find_by_cursor(unit, EVERY_USER, terms=terms, position=position, limit=count)
            assert len(page.resources) <= count
            assert page.total == len(stored(unit, "User"))
            assert (page.previous is None) or not is_first
            found += [each.id for each in page.resources]
            position, is_first = page.next, False
            if waiting:
                moved.add(write(unit, *waiting.pop(), at_first))
        stayed = [each for each in in_order if each not in moved]
        assert [each for each in found if each in stayed] == stayed


@fewer
@given(
    bodies=users,
    sort_by=sort_paths,
    sort_order=st.sampled_from(SearchRequest.SortOrder),
    count=st.integers(1, 3),
)
def test_the_way_back_is_the_way_there(
    shared_store: Store,
    new_tenant: str,
    bodies: list[dict[str, Any]],
    sort_by: str,
    sort_order: SearchRequest.SortOrder,
    count: int,
) -> None:
    request = SearchRequest[MODELS["User"]](sort_by=sort_by, sort_order=sort_order)  # type: ignore[misc]
    with undone(shared_store, new_tenant) as unit:
        for body in bodies:
            insert(unit, "User", body)
        terms = sort_terms(unit, request, [("User", MODELS["User"])])

        def page(position: Any) -> Any:
            return find_by_cursor(unit, EVERY_USER, terms=terms, position=position, limit=count)

        there = [page(None)]
        while there[-1].next is not None:
            there.append(page(there[-1].next))
        back = [there[-1]]
        while back[-1].previous is not None:
            back.append(page(back[-1].previous))
        assert [each.resources for each in back] == [each.resources for each in reversed(there)]
