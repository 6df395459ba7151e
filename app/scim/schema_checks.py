"""What a schema file must be, beyond what ``scim2-models`` checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from scim2_models import Attribute, Mutability, Returned, Schema

from app.directory.comparable import name_of

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_COMMON: Final = frozenset({"id", "externalid", "meta", "schemas"})


def fault_of(schema: Schema) -> str | None:
    """Return the first thing in a schema that cannot be, in words; None when there is none."""
    if not str(schema.id or "").lower().startswith("urn:"):
        return "its id is no URN"
    if not _NAME.fullmatch(schema.name or ""):
        return "its name is not letters and digits"
    attributes = schema.attributes or []
    common = next((each.name for each in attributes if str(each.name).lower() in _COMMON), None)
    if common is not None:
        return f"every resource has an attribute {common} already"
    return _fault_among(attributes, within="")


def _fault_among(attributes: Sequence[Attribute], within: str) -> str | None:
    seen: dict[str, str] = {}
    for each in attributes:
        name = str(each.name)
        if not _NAME.fullmatch(name.removeprefix("$") if within else name):
            return f"{within}{name} is no name of an attribute"
        # Names are told apart without letter case (RFC 7643 §2.1), and here without underscores.
        other = seen.setdefault(name_of(name), name)
        if other is not name:
            return f"{within}{name} and {within}{other} are too much alike"
        if fault := _fault_of_attribute(each, within):
            return f"{within}{name} {fault}"
        if fault := _fault_among(each.sub_attributes or [], within=f"{name}."):
            return fault
    return None


def _fault_of_attribute(attribute: Attribute, within: str) -> str | None:
    is_complex = attribute.type == Attribute.Type.complex
    if is_complex and within:
        return "is complex inside a complex attribute (RFC 7643 §2.3.8)"
    if is_complex is not bool(attribute.sub_attributes):
        return "is complex without subAttributes" if is_complex else "has subAttributes and is not complex"
    if attribute.mutability == Mutability.write_only and attribute.returned != Returned.never:
        return 'is writeOnly, so its "returned" must be "never" (RFC 7643 §7)'
    if attribute.mutability == Mutability.read_only and attribute.required:
        return "is readOnly and required: no client could create the resource"
    return None
