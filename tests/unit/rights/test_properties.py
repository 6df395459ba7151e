"""Conditions on what an application states: each form, and all of them against a plain retelling."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rights.conditions.properties import (
    ConditionInvalid,
    demanded,
    parse_property,
    properties_allowed,
)


@pytest.mark.parametrize(
    ("conditions", "stated", "expected"),
    [
        ([], {}, True),
        (["resource.status=active"], {"resource.status": "active"}, True),
        (["resource.status=active"], {"resource.status": "Active"}, False),
        (["resource.status=active"], {}, False),
        (["resource.status=active"], {"action.status": "active"}, False),
        (["resource.a=1", "resource.a=2"], {"resource.a": "2"}, True),
        (["resource.a=1", "resource.b=2"], {"resource.a": "1"}, False),
        (["resource.a=1", "action.b=2"], {"resource.a": 1, "action.b": 2}, True),
        (["action.soft=true"], {"action.soft": True}, True),
        (["action.soft=true"], {"action.soft": 1}, False),
        (["action.soft=1"], {"action.soft": True}, False),
        (["resource.tag=b"], {"resource.tag": ["a", "b"]}, True),
        (["resource.tag!=b"], {"resource.tag": ["a", "b"]}, False),
        (["resource.tag=b"], {"resource.tag": ["b", {"x": 1}]}, False),
        (["resource.tag=b"], {"resource.tag": ["b", ["b"]]}, False),
        (["resource.status!=archived"], {}, True),
        (["resource.status!=archived"], {"resource.status": "active"}, True),
        (["resource.status!=archived"], {"resource.status": "archived"}, False),
        (["resource.status!=archived"], {"resource.status": {}}, False),
        (["resource.status!=archived"], {"resource.status": None}, False),
        (["resource.status!=archived"], {"resource.status": []}, True),
        (["resource.status="], {"resource.status": ""}, True),
        (["resource.expr=a=b"], {"resource.expr": "a=b"}, True),
        (["status=active"], {"status": "active"}, False),
        (["subject.role=admin"], {"subject.role": "admin"}, False),
        (["resource.a=1", "nonsense"], {"resource.a": "1"}, False),
    ],
)
def test_conditions(conditions: list[str], stated: dict[str, Any], expected: bool) -> None:
    assert properties_allowed(conditions, stated) is expected
    assert not conditions or properties_allowed(conditions, None) is False, "nobody could state anything"


NAMES, VALUES = st.sampled_from(["resource.a", "action.b"]), st.sampled_from(["1", "2", "3"])
CONDITIONS = st.lists(st.tuples(NAMES, st.sampled_from(["=", "!="]), VALUES), min_size=1, max_size=5)
STATED = st.dictionaries(NAMES, st.one_of(VALUES, st.sets(VALUES, max_size=3).map(sorted)))


@given(conditions=CONDITIONS, stated=STATED)
def test_conditions_are_as_they_are_told(
    conditions: list[tuple[str, str, str]], stated: dict[str, Any]
) -> None:
    allowed = True
    for name in {each[0] for each in conditions}:
        has = stated.get(name, [])
        has = [has] if isinstance(has, str) else has
        alternatives = [value for of, sign, value in conditions if of == name and sign == "="]
        forbidden = [value for of, sign, value in conditions if of == name and sign == "!="]
        if alternatives and not any(value in has for value in alternatives):
            allowed = False
        if any(value in has for value in forbidden):
            allowed = False
    assert properties_allowed(["".join(each) for each in conditions], stated) is allowed


def test_what_conditions_demand_of_one_entity() -> None:
    conditions = ["resource.a=1", "resource.a=2", "resource.b!=3", "action.a=4", "nonsense"]
    assert demanded(conditions, "resource") == {"a": ["1", "2"]}
    assert demanded(conditions, "action") == {"a": ["4"]}


@pytest.mark.parametrize(
    "text", ["", "status=active", "resource=1", "resource.=1", "resource.a b=1", "resource.a", "!="]
)
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ConditionInvalid, match=r"resource\.<name>=<value>"):
        parse_property(text)
