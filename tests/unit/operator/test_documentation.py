"""docs/operator-api.md names what there is, and all of it."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from app.operator import problems
from app.operator.face import PATH
from app.operator.key_schema import SCHEMA_DOCUMENT
from app.operator.openapi.document import document

TEXT = (Path(__file__).parents[3] / "docs" / "operator-api.md").read_text(encoding="utf-8")


def test_every_path_is_named() -> None:
    first = {url.removeprefix(PATH).split("/")[1] for url in document()["paths"] if url.startswith(PATH)}
    named = {each.split("/")[1] for each in re.findall(r"`(/[a-z][^`]*)`", TEXT.replace(PATH, ""))}
    assert first == named
    listed = TEXT.rpartition("\n## ")[2]
    ends = {url.rpartition("/")[2] for url in document()["paths"] if url.startswith(f"{PATH}/keys/")}
    assert ends <= set(re.findall(r"[{}a-z_-]+", listed))


def test_every_type_of_problem_is_explained() -> None:
    of_code = {
        node.args[2].value
        for node in ast.walk(ast.parse(inspect.getsource(problems)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Problem"
        and len(node.args) > 2
        and isinstance(node.args[2], ast.Constant)
    }
    table = TEXT.partition("| status |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+-[a-z-]+)`", table)) - {"retry-after"} == of_code


def test_every_attribute_of_a_key_is_explained() -> None:
    table = TEXT.partition("| attribute |")[2].partition("\n\n")[0]
    named = {each.partition(".")[0] for each in re.findall(r"`([A-Za-z.]+)`", table)}
    assert named == {each["name"] for each in SCHEMA_DOCUMENT["attributes"]} | {"id"}
