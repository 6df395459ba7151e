"""What the server under test says about itself, read leniently: its form is judged by trials, not here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from conformance.exchange import Target

USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class Attribute:
    """An attribute as ``/Schemas`` declares it, with the defaults of RFC 7643 §2.2."""

    name: str
    type: str
    schema: str
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: str = "readWrite"
    returned: str = "default"
    uniqueness: str = "none"
    canonical_values: tuple[str, ...] = ()
    subs: tuple[Attribute, ...] = ()

    def sub(self, name: str) -> Attribute | None:
        """Return a sub-attribute by its name."""
        return next((each for each in self.subs if each.name.lower() == name.lower()), None)

    @property
    def is_plain_text(self) -> bool:
        """Whether any text can be written to it and read back."""
        return (
            self.type == "string"
            and not self.multi_valued
            and self.mutability == "readWrite"
            and self.returned == "default"
            and self.uniqueness == "none"
            and not self.canonical_values
        )


@dataclass(frozen=True)
class ResourceType:
    """A resource type as ``/ResourceTypes`` declares it."""

    name: str
    endpoint: str
    """Without slashes at either end."""
    schema: str
    extensions: tuple[tuple[str, bool], ...] = ()
    """The URN of each, and whether it is required."""


@dataclass(frozen=True)
class Provider:
    """What the server announces."""

    configuration: Mapping[str, Any]
    resource_types: tuple[ResourceType, ...]
    schemas: Mapping[str, tuple[Attribute, ...]]
    """By URN in lower case."""

    def supports(self, feature: str) -> bool:
        """Whether ServiceProviderConfig says that a feature is supported."""
        described = self.configuration.get(feature)
        return isinstance(described, dict) and described.get("supported") is True

    def limit(self, feature: str, name: str) -> int | None:
        """Return a number of ServiceProviderConfig, such as ``maxResults`` of ``filter``."""
        described = self.configuration.get(feature)
        number = described.get(name) if isinstance(described, dict) else None
        return number if isinstance(number, int) and not isinstance(number, bool) else None

    def resource_type(self, schema: str) -> ResourceType | None:
        """Return the resource type with a base schema."""
        return next((each for each in self.resource_types if each.schema.lower() == schema.lower()), None)

    def attributes(self, schema: str) -> tuple[Attribute, ...]:
        """Return the attributes of a schema; none when it is not declared."""
        return self.schemas.get(schema.lower(), ())

    def attribute(self, schema: str, path: str) -> Attribute | None:
        """Return an attribute by its path in a schema, such as ``name.givenName``."""
        name, _, sub = path.partition(".")
        found = next((each for each in self.attributes(schema) if each.name.lower() == name.lower()), None)
        return found.sub(sub) if found is not None and sub else found

    def extension_attributes(self, schema: str) -> Iterator[Attribute]:
        """Return the attributes of all extensions of a resource type, by the type's base schema."""
        resource_type = self.resource_type(schema)
        for urn, _ in resource_type.extensions if resource_type else ():
            yield from self.attributes(urn)


def discover(target: Target) -> Provider:
    """Ask the server for its configuration, resource types and schemas.

    :raises ServerUnreachable: when there is no answer.
    """
    configuration = target.get("ServiceProviderConfig")
    schemas = target.get("Schemas")
    resource_types = target.get("ResourceTypes")
    return Provider(
        configuration.document if configuration.status == 200 else {},
        tuple(_resource_type(each) for each in resource_types.resources if resource_types.status == 200),
        {
            str(each.get("id")).lower(): tuple(_attributes(each.get("attributes"), str(each.get("id"))))
            for each in schemas.resources
            if schemas.status == 200
        },
    )


def _resource_type(document: Mapping[str, Any]) -> ResourceType:
    extensions = document.get("schemaExtensions")
    return ResourceType(
        str(document.get("name")),
        str(document.get("endpoint")).rstrip("/").rpartition("/")[2],
        str(document.get("schema")),
        tuple(
            (str(each.get("schema")), each.get("required") is True)
            for each in (extensions if isinstance(extensions, list) else ())
            if isinstance(each, dict)
        ),
    )


def _attributes(documents: Any, schema: str) -> Iterator[Attribute]:
    for each in documents if isinstance(documents, list) else ():
        if isinstance(each, dict) and isinstance(each.get("name"), str):
            canonical = each.get("canonicalValues")
            yield Attribute(
                each["name"],
                str(each.get("type") or "string"),
                schema,
                each.get("multiValued") is True,
                each.get("required") is True,
                each.get("caseExact") is True,
                str(each.get("mutability") or "readWrite"),
                str(each.get("returned") or "default"),
                str(each.get("uniqueness") or "none"),
                tuple(map(str, canonical)) if isinstance(canonical, list) else (),
                tuple(_attributes(each.get("subAttributes"), schema)),
            )
