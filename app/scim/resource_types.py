"""Which resource types are served: ``resource-types.json`` and the schema files that it names.

The files of the package describe the types of Keysteward. A folder of an operator's own may have files of the
same form: a type in it is added, and one of a known name gets the extensions that it lists besides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from scim2_models import ResourceType, Schema
from scim2_server.routing import RESERVED_NAMES

from app.directory.views import View
from app.scim.schema_checks import fault_of

LIST: Final = "resource-types.json"

_MEMBERS: Final = ("name", "endpoint", "description", "schema", "extensions", "catalogue", "view")
_NAME: Final = re.compile("[A-Za-z][A-Za-z0-9]*", re.ASCII)
_ENDPOINT: Final = re.compile("/[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
# Events is where the results of asynchronous requests are.
_TAKEN: Final = frozenset({*(each.lower() for each in RESERVED_NAMES), "events"})


class SchemasInvalid(Exception):
    """A file of resource types or schemas is not what it must be. The message is one line."""


@dataclass(frozen=True)
class ServedType:
    """A resource type with its schemas, its own first.

    ``required``: the URNs of the extensions that every resource of the type must have.
    """

    name: str
    endpoint: str
    description: str
    schemas: tuple[Schema, ...]
    required: frozenset[str] = frozenset()
    catalogue: str | None = None
    """To which catalogue it belongs; it then takes the place of the type of the same name in no catalogue."""

    view: View | None = None

    def described(self) -> ResourceType:
        """Return the type as ``/ResourceTypes`` shows it (RFC 7643 §6)."""
        own, *extensions = self.schemas
        return ResourceType.model_validate(
            {
                "id": self.name,
                "name": self.name,
                "description": self.description,
                "endpoint": self.endpoint,
                "schema": own.id,
                "schemaExtensions": [
                    {"schema": each.id, "required": str(each.id) in self.required} for each in extensions
                ],
            }
        )


def load_resource_types(folder: Path | None = None, catalogue: str | None = None) -> tuple[ServedType, ...]:
    """Return the types that are served.

    :param folder: an operator's own, with a list and schema files besides those of the package.
    :param catalogue: whose way of listing roles and entitlements is served; without one, our own.
    :raises SchemasInvalid: when a file is missing or says what cannot be.
    """
    served: dict[str, ServedType] = {}
    for each in _listed(None):
        if each.catalogue in (None, catalogue):
            served[each.name] = each
    for each in _listed(folder) if folder is not None else ():
        if each.catalogue in (None, catalogue):
            known = served.get(each.name)
            served[each.name] = _new(each) if known is None else _extended(known, each)
    _refuse_contradictions(served.values())
    return tuple(served.values())


def catalogues(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of the catalogues: whose ways of listing roles and entitlements there are.

    :raises SchemasInvalid: as :func:`load_resource_types` does.
    """
    listed = [*_listed(None), *(_listed(folder) if folder is not None else ())]
    return tuple(dict.fromkeys(each.catalogue for each in listed if each.catalogue is not None))


def load_schema(file: str, folder: Path | None = None) -> Schema:
    """Return the schema in a file of a folder, or of the package.

    :raises SchemasInvalid: when there is no such file, or it is no schema.
    """
    document = _read(file, folder)
    try:
        schema = Schema.model_validate(document)
    except ValidationError as error:
        raise SchemasInvalid(f"{file} is no schema: {_first(error)}") from None
    if fault := fault_of(schema):
        raise SchemasInvalid(f"{file} is no schema that can be served: {fault}")
    return schema


def _listed(folder: Path | None) -> list[ServedType]:
    listed = _read(LIST, folder)
    if not isinstance(listed, list):
        raise SchemasInvalid(f"{LIST} is a list of resource types")
    return [_served(each, folder) for each in listed]


def _served(entry: Any, folder: Path | None) -> ServedType:
    """Read one line of the list. A type of the package is extended by its name and extensions alone."""
    _refuse_unknown(entry, _MEMBERS)
    try:
        for each in entry.get("extensions", []):
            _refuse_unknown(each, ("file", "required"))
        _refuse_unknown(entry.get("view", {}), ("of", "id", "shows", "says", "longest", "mappedRoles"))
        extensions = entry.get("extensions", [])
        own = [load_schema(entry["schema"], folder)] if "schema" in entry else []
        added = [load_schema(each["file"], folder) for each in extensions]
        required = {
            str(schema.id) for schema, each in zip(added, extensions, strict=True) if each.get("required")
        }
        endpoint = entry["endpoint"] if own else ""
        if own and (not _ENDPOINT.fullmatch(endpoint) or endpoint.strip("/").lower() in _TAKEN):
            raise SchemasInvalid(f"{LIST}: {endpoint[:80]!r} cannot be an endpoint; /Devices could be one")
        if not _NAME.fullmatch(entry["name"]):
            raise SchemasInvalid(f"{LIST}: {entry['name'][:80]!r} cannot be a name; Device could be one")
        return ServedType(
            name=entry["name"],
            endpoint=endpoint,
            description=entry.get("description", entry["name"]),
            schemas=(*own, *added),
            required=frozenset(required),
            catalogue=entry.get("catalogue"),
            view=_view(entry["view"]) if "view" in entry else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        shown = json.dumps(entry)[:80]
        raise SchemasInvalid(f"{LIST}: {shown} is no resource type ({error} is missing or wrong)") from None


def _refuse_unknown(entry: Any, known: Collection[str]) -> None:
    """Refuse what is misspelt, which would be left out without a word."""
    for member in entry if isinstance(entry, dict) else ():
        if member not in known:
            raise SchemasInvalid(f"{LIST}: {member[:80]!r} is none of: {', '.join(known)}")


def _refuse_contradictions(types: Iterable[ServedType]) -> None:
    """Refuse schemas that share an id and differ, and extensions of one type that share a name."""
    known: dict[str, Schema] = {}
    for served in types:
        for schema in served.schemas:
            if known.setdefault(str(schema.id).lower(), schema) != schema:
                raise SchemasInvalid(f"two schema files describe {schema.id}, and differ")
        names = [str(schema.name).lower() for schema in served.schemas[1:]]
        if len(names) != len(set(names)):
            raise SchemasInvalid(
                f"{LIST}: two extensions of {served.name} have the same name or are the same"
            )


def _new(added: ServedType) -> ServedType:
    """Return a type of an operator's own, which stands by itself.

    :raises SchemasInvalid: when it is none, or cannot be served where it wants to.
    """
    if not added.endpoint:
        raise SchemasInvalid(f"{LIST}: there is no {added.name} to extend, and it has no schema of its own")
    return added


def _view(entry: Mapping[str, Any]) -> View:
    shows = {name: tuple(stored) for name, stored in entry.get("shows", {}).items()}
    return View(
        of=entry["of"],
        id=entry.get("id", "id"),
        shows=shows,
        says=dict(entry.get("says", {})),
        longest=dict(entry.get("longest", {})),
        mapped_roles=bool(entry.get("mappedRoles", False)),
    )


def _extended(known: ServedType, more: ServedType) -> ServedType:
    if more.endpoint:
        raise SchemasInvalid(f"{LIST}: the resource type {more.name} is there already; list extensions only")
    return replace(known, schemas=(*known.schemas, *more.schemas), required=known.required | more.required)


def _read(file: str, folder: Path | None) -> Any:
    place = resources.files("schemas") if folder is None else folder
    try:
        return json.loads(place.joinpath(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise SchemasInvalid(f"{place}/{file} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SchemasInvalid(f"{place}/{file} is not JSON: {error}") from None


def _first(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(str(each) for each in fault['loc'])}: {fault['msg']}"
