"""The form in which a resource is compared: by filters, by sorting, and for uniqueness.

It is kept beside the document, so that SQL compares what ``scim2-models`` would compare: strings as the
policy prepares them, times as microseconds, booleans as 0 and 1.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from inspect import isclass
from typing import Any, Final

from scim2_models import BaseModel, Extension, Mutability, Path, Resource, Returned, Uniqueness
from scim2_models.path import AttributeBinding

GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"

_MATCHED = frozenset({"externalid", "displayname", "emails.value"})
_LONGEST = 256
_COUNTING = frozenset({"urn:keysteward:scim:schemas:core:1.0:entitlement"})


@dataclass(frozen=True)
class MatchValue:
    """A value that a resource can be found by with an index."""

    attribute: str
    value: str
    is_unique: bool


def name_of(field: str) -> str:
    """Return the name that a field has in the comparable form."""
    return field.replace("_", "").lower()


def is_held_elsewhere(binding: AttributeBinding) -> bool:
    """Return whether a column or another table holds an attribute: the id, meta, the members of a group.

    What the server alone says, as it does of a user's groups, is held elsewhere too.
    """
    if binding.field_name in ("id", "meta"):
        return True
    return bool(binding.field_name == "members" and _schema_of(binding.model) == GROUP_SCHEMA.lower())


def place_of(binding: AttributeBinding) -> tuple[str, ...]:
    """Return the path of a bound attribute's head in the comparable form."""
    head = name_of(binding.field_name)
    return (_schema_of(binding.model), head) if _is_extension(binding.model) else (head,)


def is_numeric(binding: AttributeBinding) -> bool:
    """Return whether the comparable form holds a number for an attribute."""
    target = binding.target_type
    return isclass(target) and issubclass(target, bool | int | float | datetime)


def is_hidden(binding: AttributeBinding) -> bool:
    """Return whether no search may tell anything of an attribute: it is never returned, or only counted.

    A filter over what is never returned would give it away, character by character.
    """
    counted = binding.field_name == "total_assignments_used" and _schema_of(binding.model) in _COUNTING
    return counted or binding.get_annotation(Returned) == Returned.never


def compared(binding: AttributeBinding, value: Any) -> str | int | float | None:
    """Return a value of an attribute as it is compared.

    :raises ValueError: when the policy cannot prepare the string.
    """
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(binding.comparable(str(value)))


def comparable(resource: Resource[Any]) -> dict[str, Any]:
    """Return the comparable form of a resource, without what is held elsewhere and what is unassigned.

    Names are in lower case, and what an extension holds stands under the URN of its schema. A string that the
    policy cannot prepare is left out.
    """
    form: dict[str, Any] = {}
    for binding, host in _attributes(type(resource)):
        owner = getattr(resource, host, None) if host else resource
        value = getattr(owner, binding.field_name, None) if owner is not None else None
        *above, head = place_of(binding)
        if binding.sub_field_name is None:
            _write(form, above, head, _each(binding, value))
            continue
        sub = name_of(binding.sub_field_name)
        if not isinstance(value, list):
            _write(form, [*above, head], sub, _each(binding, getattr(value, binding.sub_field_name, None)))
        elif entries := [entry for entry in value if not _is_unassigned(entry)]:
            written = _within(form, above).setdefault(head, [{} for _ in entries])
            for entry, place in zip(entries, written, strict=True):
                _write(place, [], sub, _each(binding, getattr(entry, binding.sub_field_name, None)))
    model = type(resource)
    listed = Path[model]("schemas").resolve()  # type: ignore[valid-type]
    if listed is not None:
        form["schemas"] = _each(listed, _schemas(resource, form))
    return form


def matchable(resource: Resource[Any]) -> list[MatchValue]:
    """Return the values that a resource can be found by, each once."""
    found: dict[tuple[str, str], MatchValue] = {}
    for binding, host in _attributes(type(resource)):
        attribute = matched_attribute(binding)
        if attribute is None:
            continue
        owner = getattr(resource, host, None) if host else resource
        for each in _values(owner, binding):
            try:
                prepared = compared(binding, each)
            except ValueError:
                continue
            if prepared is not None:
                key = match_key(str(prepared))
                found[attribute, key] = MatchValue(attribute, key, is_unique(binding))
    return list(found.values())


def matched_attribute(binding: AttributeBinding) -> str | None:
    """Return the name under which an attribute's values are indexed, or None when they are not."""
    if is_held_elsewhere(binding):
        return None
    urn = binding.urn.lower()
    if is_unique(binding):
        return urn
    usual = binding.target_type is str and not _is_extension(binding.model)
    return urn if usual and urn.rpartition(":")[2] in _MATCHED else None


def is_unique(binding: AttributeBinding) -> bool:
    """Return whether no two resources of the tenant may share a value of the attribute."""
    return binding.get_annotation(Uniqueness) in (Uniqueness.server, Uniqueness.global_)


def match_key(prepared: str) -> str:
    """Return a prepared string as the index holds it: an index takes no key of any length."""
    encoded = prepared.encode()
    return prepared if len(encoded) <= _LONGEST else f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _values(owner: Any, binding: AttributeBinding) -> Iterator[Any]:
    """Yield the values of an attribute, whatever of it is multi-valued."""
    fields = [binding.field_name, *([binding.sub_field_name] if binding.sub_field_name else [])]
    found = [owner]
    for each in fields:
        values = [getattr(holder, each, None) for holder in found if holder is not None]
        found = [one for value in values for one in (value if isinstance(value, list) else [value])]
    yield from found


def _within(form: dict[str, Any], above: Sequence[str]) -> dict[str, Any]:
    for name in above:
        form = form.setdefault(name, {})
    return form


def _write(form: dict[str, Any], above: Sequence[str], name: str, prepared: Any) -> None:
    if prepared is not None:
        _within(form, above)[name] = prepared


def _each(binding: AttributeBinding, value: Any) -> Any:
    if isinstance(value, list):
        return [_prepared(binding, each) for each in value] or None
    return _prepared(binding, value)


def _is_unassigned(entry: Any) -> bool:
    """Whether an entry of a list says nothing: the document does not keep it (RFC 7643 §2.5)."""
    return entry is None or all(getattr(entry, field) in (None, []) for field in type(entry).model_fields)


def _schemas(resource: Resource[Any], form: dict[str, Any]) -> list[str]:
    """The schemas that the document lists: those of the extensions that say something, beside its own."""
    model = type(resource)
    extensions = list(model.get_extension_models())
    known = [str(model.__schema__), *extensions]
    return [
        known[0],
        *(urn for urn in extensions if urn.lower() in form),
        *(urn for urn in resource.schemas if urn not in known),
    ]


def _prepared(binding: AttributeBinding, value: Any) -> str | int | float | None:
    try:
        return compared(binding, value)
    except ValueError:
        return None


def _is_derived(binding: AttributeBinding) -> bool:
    """Whether the server says what the attribute holds, as it does of ``User.groups``."""
    return bool(binding.model.get_field_annotation(binding.field_name, Mutability) == Mutability.read_only)


def _schema_of(model: type) -> str:
    return str(getattr(model, "__schema__", None)).lower()


def _is_extension(model: type) -> bool:
    return isclass(model) and issubclass(model, Extension)


@lru_cache(maxsize=64)
def _attributes(model: type[Resource[Any]]) -> list[tuple[AttributeBinding, str | None]]:
    """The attributes of a model whose values can be compared, each with the extension that holds it."""
    found = []
    for path in Path[model].iter_paths():  # type: ignore[valid-type]
        binding = path.resolve()
        if binding is None or is_held_elsewhere(binding) or _is_derived(binding):
            continue
        target = binding.target_type
        if not (isclass(target) and issubclass(target, BaseModel)):
            host = binding.model.__name__ if _is_extension(binding.model) else None
            found.append((binding, host))
    return found
