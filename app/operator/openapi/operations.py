"""What one operation of the face is, and how it becomes a part of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from app.operator.openapi.shapes import NUMBER, TEXT, Shape, named
from app.operator.problems import MEDIA_TYPE
from app.operator.requests import TEXT_SCHEMA, Body

JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"

PATH_PARAMETER: Final = re.compile("<([a-z_]+)>")
_ALWAYS: Final = (400, 401, 403, 503)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query, or a header; none of them must be there."""

    name: str
    description: str
    schema: Shape = field(default_factory=lambda: dict(TEXT_SCHEMA))
    place: str = "query"

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "in": self.place,
            "description": self.description,
            "required": False,
            "schema": self.schema,
        }


def header(name: str, description: str) -> Parameter:
    """Return a header of a request."""
    return Parameter(name, description, dict(TEXT), "header")


PAGING: Final = (
    Parameter("startIndex", "The first to return, from 1 (RFC 7644 §3.4.2.4).", dict(NUMBER)),
    Parameter("count", "How many to return at the most, up to 1000; 100 unless it is said.", dict(NUMBER)),
)
IF_MATCH: Final = header("If-Match", "The version (ETag) of the key as it was read; 412 when it is another.")
IDEMPOTENCY: Final = header(
    "Idempotency-Key", "Any text of one's own: the same request with the same key is carried out once."
)


@dataclass(frozen=True)
class Operation:
    """An operation: a method and a path as Flask routes it, who may, what is taken, what is answered.

    :ivar answers: what is answered by status; None is an answer without a body.
    :ivar scopes: which tokens may; none where an assertion alone may.
    :ivar assertion: whether the assertion of a client may, too.
    :ivar problems: the refusals that there are besides those of every operation.
    :ivar error: the shape of a refusal and its media type, where it is no problem of RFC 9457.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, Shape | None]
    scopes: tuple[str, ...] = ("operator",)
    body: Body | None = None
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    form: Shape | None = None
    others: bool = False
    error: tuple[str, str] = (MEDIA_TYPE, "Problem")
    media_type: str = JSON
    assertion: bool = False

    @property
    def url(self) -> str:
        """The path as OpenAPI writes it."""
        return PATH_PARAMETER.sub(r"{\1}", self.path)

    def document(self) -> dict[str, Any]:
        """Return the operation as OpenAPI describes it."""
        written: dict[str, Any] = {
            "summary": self.summary,
            "operationId": _identifier(self.method, self.path),
            "security": [
                *([{"bearer": list(self.scopes)}] if self.scopes else []),
                *([{"assertion": []}] if self.assertion else []),
            ],
            "responses": self._responses(),
        }
        in_path = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in PATH_PARAMETER.findall(self.path)
        ]
        if parameters := in_path + [each.document() for each in self.parameters]:
            written["parameters"] = parameters
        if self.body is not None or self.form is not None:
            written["requestBody"] = self._request()
        return written

    def _request(self) -> dict[str, Any]:
        if self.form is not None:
            return {"required": True, "content": {FORM: {"schema": self.form}}}
        assert self.body is not None
        required = [name for name, member in self.body.items() if member.required]
        schema: Shape = {
            "type": "object",
            "properties": {name: dict(member.schema) for name, member in self.body.items()},
            "additionalProperties": self.others,
        }
        if required:
            schema["required"] = required
        return {"required": bool(required), "content": {JSON: {"schema": schema}}}

    def _responses(self) -> dict[str, Any]:
        responses: dict[str, Any] = {}
        for status, shape in self.answers.items():
            responses[str(status)] = _response(status, self.media_type, shape)
            if self.answer_headers and status != 204:
                responses[str(status)]["headers"] = {
                    name: {"description": said, "schema": TEXT} for name, said in self.answer_headers.items()
                }
        refusals = {*_ALWAYS, *self.problems}
        if "<" in self.path:
            refusals.add(404)
        if self.body is not None or self.form is not None:
            refusals |= {413, 415} if self.form is None else {413}
        media_type, error = self.error
        for status in sorted(refusals):
            responses[str(status)] = _response(status, media_type, named(error))
        return responses


def _response(status: int, media_type: str, shape: Shape | None) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if shape is not None:
        described["content"] = {media_type: {"schema": shape}}
    return described


def _identifier(method: str, path: str) -> str:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", path) if word and word not in ("operator", "v1")]
    return method.lower() + "".join(word.capitalize() for word in words)


def paths_of(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the operations as the ``paths`` of the document."""
    paths: dict[str, Any] = {}
    for each in operations:
        paths.setdefault(each.url, {})[each.method.lower()] = each.document()
    return paths
