"""What a search may ask, and that what identity providers look up by is found with an index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from scim2_models import InvalidFilterException, InvalidPathException, ScimFilter, SearchRequest

from app.directory import resources
from app.directory.comparable import comparable, matchable
from app.directory.filters import MOST_COMPARISONS, compile_filter
from app.directory.sorting import order_of
from app.scim.provider import load_provider
from app.store.tables import resource
from app.store.unit_of_work import Store, Unit

MODELS: dict[str, Any] = {name: load_provider().model_for(name) for name in ("User", "Group", "Entitlement")}


@pytest.fixture
def unit(shared_store: Store, new_tenant: str) -> Iterator[Unit]:
    with shared_store.writing(new_tenant, actor="test") as unit:
        yield unit


def insert(unit: Unit, type_name: str, **attributes: Any) -> str:
    made = MODELS[type_name].model_validate(attributes)
    content = resources.Content(made.model_dump(mode="json"), comparable(made), matchable(made))
    return resources.insert(unit, type_name, content).id


def statement(unit: Unit, type_name: str, scim_filter: str) -> sa.Select[tuple[str]]:
    model = MODELS[type_name]
    condition = compile_filter(ScimFilter(scim_filter), unit=unit, model=model, type_name=type_name)
    return sa.select(resource.c.id).where(resource.c.tenant_id == unit.tenant_id, condition)


def found(unit: Unit, type_name: str, scim_filter: str) -> list[str]:
    return list(unit.execute(statement(unit, type_name, scim_filter)).scalars())


@pytest.mark.parametrize(
    "scim_filter",
    [
        'userName eq "ANN"',
        'externalId eq "X-1"',
        'displayName eq "Ann"',
        'emails eq "ANN@example.com"',
        'emails.value eq "ann@example.com"',
        'emails[type eq "work" and value eq "ann@example.com"]',
        'emails[type eq "work"].value eq "ann@example.com"',
    ],
)
def test_a_look_up_by_a_match_value_uses_the_index(unit: Unit, scim_filter: str) -> None:
    ann = insert(
        unit,
        "User",
        userName="ann",
        externalId="X-1",
        displayName="ann",
        emails=[{"value": "ann@example.com", "type": "work"}],
    )
    insert(unit, "User", userName="bob", emails=[{"value": "bob@example.com", "type": "work"}])
    assert found(unit, "User", scim_filter) == [ann]
    if unit.connection.dialect.name == "sqlite":
        plan = _plan_of_sqlite(unit, statement(unit, "User", scim_filter))
        assert "ix_attribute_value_match" in plan
        assert "SCAN resource" not in plan
    else:
        # PostgreSQL reads a table of two rows whole; what it could use is in the statement.
        assert "attribute_value" in str(statement(unit, "User", scim_filter))


def _plan_of_sqlite(unit: Unit, query: sa.Select[tuple[str]]) -> str:
    compiled = query.compile(unit.connection, compile_kwargs={"render_postcompile": True})
    bound = [compiled.params[name] for name in compiled.positiontup or ()]
    rows = unit.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple(bound))
    return "\n".join(str(row.detail) for row in rows)


def test_a_value_too_long_for_the_index_is_found(unit: Unit) -> None:
    name = "n" * 5_000
    ann = insert(unit, "User", userName="ann", externalId=name)
    insert(unit, "User", userName="bob", externalId=name[1:])
    assert found(unit, "User", f'externalId eq "{name}"') == [ann]


def test_an_id_is_found(unit: Unit) -> None:
    ann = insert(unit, "User", userName="ann")
    assert found(unit, "User", f'id eq "{ann}"') == [ann]


def test_another_tenants_values_are_not_found(shared_store: Store, unit: Unit) -> None:
    insert(unit, "User", userName="ann")
    condition = compile_filter(
        ScimFilter('userName eq "ann"'),
        unit=Unit(unit.connection, "another", unit.now, 0, "keep", "test", "txn"),
        model=MODELS["User"],
        type_name="User",
    )
    assert not unit.execute(sa.select(resource.c.id).where(condition)).all()


def test_a_filter_has_a_bounded_number_of_comparisons(unit: Unit) -> None:
    ann = insert(unit, "User", userName="ann")
    most = " or ".join(
        ['emails[type eq "x" and not (title pr)]', 'userName co "nn"'] * (MOST_COMPARISONS // 3)
    )
    assert found(unit, "User", most) == [ann]
    with pytest.raises(InvalidFilterException, match=str(MOST_COMPARISONS)):
        compile_filter(
            ScimFilter(" or ".join(["title pr"] * (MOST_COMPARISONS + 1))),
            unit=unit,
            model=MODELS["User"],
            type_name="User",
        )


@pytest.mark.parametrize(
    ("type_name", "scim_filter"),
    [
        ("User", r'userName eq "a\u0000"'),
        ("User", r'title co "\u0000"'),
        ("User", r'emails[value sw "\ud800"]'),
        ("User", r'externalId ne "\udfff"'),
        ("User", 'groups.$ref co "Groups"'),
        ("Group", 'members[display eq "Ann"]'),
        ("Group", 'members.$ref eq "https://example.com/Users/1"'),
    ],
)
def test_what_sql_cannot_answer_is_refused_and_not_guessed(
    unit: Unit, type_name: str, scim_filter: str
) -> None:
    with pytest.raises(InvalidFilterException):
        compile_filter(ScimFilter(scim_filter), unit=unit, model=MODELS[type_name], type_name=type_name)


def test_times_are_compared_as_moments(unit: Unit) -> None:
    ann = insert(unit, "User", userName="ann")
    unit.execute(sa.update(resource).where(resource.c.id == ann).values(created_at=1_767_225_600_000_000))
    for scim_filter in (
        'meta.created eq "2026-01-01T02:00:00+02:00"',
        'meta.created gt "2026-01-01T00:59:59.999999+01:00"',
        'meta.created gt "0001-01-01T00:00:00Z" and meta.created lt "9999-12-31T23:59:59Z"',
        # A time without a zone is no moment.
        'meta.created ne "2026-01-01T00:00:00"',
    ):
        assert found(unit, "User", scim_filter) == [ann], scim_filter
    for operator, year in (("eq", 2026), ("gt", 2025), ("ge", 2026), ("lt", 2027), ("le", 2026)):
        assert found(unit, "User", f'meta.created {operator} "{year}-01-01T00:00:00"') == []


@pytest.mark.parametrize(
    ("operand", "greater"),
    [
        ("59", True),
        ("60", False),
        ("9" * 30, False),
        ("-" + "9" * 30, True),
        ("9" * 400, False),
        ("-" + "9" * 400, True),
    ],
)
def test_numbers_of_any_size_are_compared(unit: Unit, operand: str, greater: bool) -> None:
    entitlement = insert(unit, "Entitlement", value="read", keyPolicy={"lifetimeSeconds": 60})
    assert found(unit, "Entitlement", f"keyPolicy.lifetimeSeconds ne {operand}") == (
        [] if operand == "60" else [entitlement]
    )
    assert found(unit, "Entitlement", f"keyPolicy.lifetimeSeconds gt {operand}") == (
        [entitlement] if greater else []
    )


def test_a_list_in_a_single_attribute_is_compared_by_its_entries(unit: Unit) -> None:
    read = insert(unit, "Entitlement", value="read", conditions={"methods": ["GET", "HEAD"]})
    write = insert(unit, "Entitlement", value="write")
    assert found(unit, "Entitlement", 'conditions.methods eq "get"') == [read]
    assert found(unit, "Entitlement", 'conditions.methods ne "GET"') == [write]
    assert found(unit, "Entitlement", "conditions.methods pr") == [read]
    assert found(unit, "Entitlement", "conditions pr") == [read]
    assert found(unit, "Entitlement", "conditions eq null") == [write]


def test_what_is_several_at_once_is_not_sorted_by(unit: Unit) -> None:
    request = SearchRequest(sort_by="members")
    with pytest.raises(InvalidPathException):
        order_of(unit, request, [("Group", MODELS["Group"])])


def test_resources_of_several_types_are_one_order(unit: Unit) -> None:
    ids = [
        insert(unit, "Group", displayName="b"),
        insert(unit, "User", userName="ann", displayName="a"),
        insert(unit, "User", userName="zoe"),
        insert(unit, "Group", displayName="C"),
    ]
    request = SearchRequest(sort_by="displayName", sort_order="descending")
    models = [(name, MODELS[name]) for name in ("User", "Group")]
    in_order = sa.select(resource.c.id).where(resource.c.tenant_id == unit.tenant_id)
    ordered = unit.execute(in_order.order_by(*order_of(unit, request, models))).scalars()
    assert list(ordered) == [ids[2], ids[3], ids[0], ids[1]]
