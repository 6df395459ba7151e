"""The shape of each resource type, read from the schema files: which attribute a name or a path speaks of.

It serves the reading of bodies that are not models yet; what has become a model is asked through the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from scim2_models import Attribute as SchemaAttribute
from scim2_models import CaseExact, Mutability, Schema

_PATH: Final = re.compile(
    # What was taken is never given back (`*+`), or long white space would be tried again from each place.
    r"(?P<attribute>[A-Za-z$][\w$-]*+)\s*+(?P<filter>\[.*\])?\s*+(?:\.(?P<sub>[\w$-]++))?",
    re.DOTALL | re.ASCII,
)


@dataclass(frozen=True)
class Attribute:
    """An attribute or a sub-attribute, as its schema describes it."""

    name: str
    type: str
    multi_valued: bool = False
    read_only: bool = False
    identifies: bool = False
    """Whether it is the exact value of an entry: the id of a member, the name of a right."""
    sub_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """By their names in lower case."""

    def single(self) -> Attribute:
        """Return the same attribute as one of its values sees it."""
        return replace(self, multi_valued=False)


@dataclass(frozen=True)
class Target:
    """What a path or a member's name speaks of: an attribute, or all of an extension or of the resource."""

    attribute: Attribute | None
    """The attribute, or the sub-attribute; None for an extension or the resource itself."""

    scope: Mapping[str, Attribute]
    """The attributes beside it, or those of the extension or the resource, by their names in lower case."""

    prefix: str = ""
    """The URN of the extension, with the colon that follows it in a path."""

    filtered: bool = False
    """Whether the path selects some of the values."""

    parent: Attribute | None = None
    """The attribute that a sub-attribute belongs to."""


@dataclass(frozen=True)
class Shape:
    """A resource type's attributes, by names in lower case, and its extensions', by URN in lower case."""

    schema: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Mapping[str, Attribute]]
    schemas: Mapping[str, str]
    """Every schema it declares: from lower case to the way the schema itself writes it."""

    def target(self, path: str, scope: Mapping[str, Attribute] | None = None) -> Target | None:
        """Return what a path speaks of; None for what no schema declares or what is no path.

        :param scope: the attributes to look among, instead of all of the resource type.
        """
        prefix, rest = self._prefix(path) if scope is None else ("", path)
        scope = self.extensions.get(prefix.lower().rstrip(":"), self.attributes) if scope is None else scope
        if not rest:
            return Target(None, scope, prefix)
        match = _PATH.fullmatch(rest)
        attribute = scope.get(match["attribute"].lower()) if match else None
        if match is None or attribute is None:
            return None
        filtered = match["filter"] is not None
        if match["sub"] is None:
            found = attribute.single() if filtered else attribute
            return Target(found, scope, prefix, filtered)
        sub = attribute.sub_attributes.get(match["sub"].lower())
        return None if sub is None else Target(sub, scope, prefix, filtered, attribute)

    def _prefix(self, path: str) -> tuple[str, str]:
        """Take a path apart after the URN it begins with, if any. The resource's own URN says nothing."""
        lower = path.lower()
        for urn in self.schemas:
            if lower == urn or lower.startswith(f"{urn}:"):
                own = urn == self.schema.lower()
                return "" if own else f"{self.schemas[urn]}:", path[len(urn) + 1 :]
        return "", path


_COMMON: Final = (
    Attribute("schemas", "string", multi_valued=True),
    Attribute("id", "string", read_only=True),
    Attribute("externalId", "string"),
    Attribute("meta", "complex", read_only=True),
)
"""The attributes of every resource (RFC 7643 §3.1)."""


def shape_of(schemas: Sequence[Schema]) -> Shape:
    """Return the shape of a resource type from its schemas, its own first."""
    own, *extensions = schemas
    return Shape(
        schema=str(own.id),
        attributes=_named((*_COMMON, *_attributes(own))),
        extensions={str(each.id).lower(): _named(_attributes(each)) for each in extensions},
        schemas={str(each.id).lower(): str(each.id) for each in schemas},
    )


def _attributes(schema: Schema) -> Iterable[Attribute]:
    return (_attribute(each) for each in schema.attributes or [])


def _named(attributes: Iterable[Attribute]) -> dict[str, Attribute]:
    return {attribute.name.lower(): attribute for attribute in attributes}


def _attribute(described: SchemaAttribute, *, of_entry: bool = False) -> Attribute:
    name, many = str(described.name), bool(described.multi_valued)
    return Attribute(
        name=name,
        type=str(described.type),
        multi_valued=many,
        read_only=described.mutability == Mutability.read_only,
        identifies=of_entry and name == "value" and described.case_exact == CaseExact.true,
        sub_attributes=_named(_attribute(each, of_entry=many) for each in described.sub_attributes or []),
    )
