"""JSON Schema in few words: the shapes that the documents of this face are made of."""

from __future__ import annotations

from typing import Any, Final

Shape = dict[str, Any]

TEXT: Final[Shape] = {"type": "string"}
NUMBER: Final[Shape] = {"type": "integer"}
YES_OR_NO: Final[Shape] = {"type": "boolean"}
TIME: Final[Shape] = {"type": "string", "format": "date-time"}
ANYTHING: Final[Shape] = {"type": "object"}


def record(**members: Shape) -> Shape:
    """Return the shape of an object that has all of these members and no other."""
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def partial(shape: Shape, *always: str) -> Shape:
    """Return the shape of an object of which only some members are always there."""
    return {**shape, "required": list(always)}


def nullable(shape: Shape) -> Shape:
    """Return a shape, or null."""
    kind = shape.get("type")
    if isinstance(kind, str) and "enum" not in shape:
        return {**shape, "type": [kind, "null"]}
    return {"anyOf": [shape, {"type": "null"}]}


def many(shape: Shape) -> Shape:
    """Return the shape of an array."""
    return {"type": "array", "items": shape}


def table(shape: Shape) -> Shape:
    """Return the shape of an object of any names."""
    return {"type": "object", "additionalProperties": shape}


def one_of(*values: str) -> Shape:
    """Return the shape of one of some texts."""
    return {"type": "string", "enum": list(values)}


def named(name: str) -> Shape:
    """Return a shape by its name among the components of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def page_of(name: str) -> Shape:
    """Return the shape of a list response (RFC 7644 §3.4.2)."""
    return record(
        schemas=many(TEXT),
        totalResults=NUMBER,
        startIndex=NUMBER,
        itemsPerPage=NUMBER,
        Resources=many(named(name)),
    )
