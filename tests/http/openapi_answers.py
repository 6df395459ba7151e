"""Whether an answer of the operator's face is one that its OpenAPI document announces."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from app.operator.openapi.document import document
from app.operator.openapi.operations import PATH_PARAMETER


def as_announced(flask: Flask, method: str, path: str, answer: TestResponse) -> TestResponse:
    """Return an answer, having found its status, its media type and its body in the document."""
    try:
        rule, _ = flask.url_map.bind("localhost").match(path, method, return_rule=True)
    except HTTPException:
        return answer
    url = PATH_PARAMETER.sub(r"{\1}", rule.rule)
    responses = document()["paths"][url][method.lower()]["responses"]
    announced = responses.get(str(answer.status_code))
    assert announced is not None, f"{method} {url} answers {answer.status_code}: {answer.text[:500]}"
    content = announced.get("content", {})
    assert (answer.mimetype in content) if content else not answer.data, (method, url, answer.mimetype)
    if content:
        body = answer.get_json() if answer.is_json else answer.text
        _validator(method.lower(), url, str(answer.status_code), answer.mimetype).validate(body)
    return answer


@cache
def _validator(method: str, url: str, status: str, media_type: str) -> Any:
    said = document()
    shape = said["paths"][url][method]["responses"][status]["content"][media_type]["schema"]
    return Draft202012Validator({**shape, "components": said["components"]})
