"""The form in which a resource is compared: by filters, by sorting, and for uniqueness.

It is kept beside the document, so that SQL compares what ``scim2-models`` would compare: strings as the
policy prepares them, times as microseconds, booleans as 0 and 1.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from inspect import isclass
from typing import Any

from scim2_models import BaseModel, Extension, Path, Resource, Uniqueness
from scim2_models.path import AttributeBinding

HELD_ELSEWHERE = frozenset({"id", "meta", "members", "groups"})
"""Attributes of a resource that columns and other tables hold."""

_MATCHED = frozenset({"externalid", "displayname", "emails.value"})
_LONGEST = 256


@dataclass(frozen=True)
class MatchValue:
    """A value that a resource can be found by with an index."""

    attribute: str
    value: str
    is_unique: bool


def name_of(field: str) -> str:
    """Return the name that a field has in the comparable form."""
    return field.replace("_", "").lower()


def place_of(binding: AttributeBinding) -> tuple[str, ...]:
    """Return the path of a bound attribute's head in the comparable form."""
    head = name_of(binding.field_name)
    return (name_of(binding.model.__name__), head) if _is_extension(binding.model) else (head,)


def is_numeric(binding: AttributeBinding) -> bool:
    """Return whether the comparable form holds a number for an attribute."""
    target = binding.target_type
    return isclass(target) and issubclass(target, bool | int | float | datetime)


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
    """Return the comparable form of a resource, without what is held elsewhere and what is unassigned."""
    form: dict[str, Any] = {}
    for binding, host in _attributes(type(resource)):
        owner = getattr(resource, host, None) if host else resource
        value = getattr(owner, binding.field_name, None) if owner is not None else None
        if value in (None, []):
            continue
        *above, head = place_of(binding)
        where = form
        for name in above:
            where = where.setdefault(name, {})
        if binding.sub_field_name is None:
            where[head] = _each(binding, value)
        elif isinstance(value, list):
            items = where.setdefault(head, [{} for _ in value])
            for item, written in zip(value, items, strict=True):
                _write(written, binding, getattr(item, binding.sub_field_name, None))
        else:
            _write(where.setdefault(head, {}), binding, getattr(value, binding.sub_field_name, None))
    return form


def matchable(resource: Resource[Any]) -> list[MatchValue]:
    """Return the values that a resource can be found by, each once."""
    found: dict[tuple[str, str], MatchValue] = {}
    for binding, host in _attributes(type(resource)):
        attribute = matched_attribute(binding)
        if attribute is None or host:
            continue
        value = getattr(resource, binding.field_name, None)
        values = value if isinstance(value, list) else [value]
        for each in values:
            if binding.sub_field_name is not None and each is not None:
                each = getattr(each, binding.sub_field_name, None)
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
    if binding.target_type is not str or _is_extension(binding.model):
        return None
    urn = binding.urn.lower()
    return urn if is_unique(binding) or urn.rpartition(":")[2] in _MATCHED else None


def is_unique(binding: AttributeBinding) -> bool:
    """Return whether no two resources of the tenant may share a value of the attribute."""
    single = binding.sub_field_name is None and not binding.is_multivalued
    return single and binding.get_annotation(Uniqueness) in (Uniqueness.server, Uniqueness.global_)


def match_key(prepared: str) -> str:
    """Return a prepared string as the index holds it: an index takes no key of any length."""
    encoded = prepared.encode()
    return prepared if len(encoded) <= _LONGEST else f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _write(written: dict[str, Any], binding: AttributeBinding, value: Any) -> None:
    if value not in (None, []):
        assert binding.sub_field_name is not None
        prepared = _each(binding, value)
        if prepared is not None:
            written[name_of(binding.sub_field_name)] = prepared


def _each(binding: AttributeBinding, value: Any) -> Any:
    if isinstance(value, list):
        return [_prepared(binding, each) for each in value]
    return _prepared(binding, value)


def _prepared(binding: AttributeBinding, value: Any) -> str | int | float | None:
    try:
        return compared(binding, value)
    except ValueError:
        return None


def _is_extension(model: type) -> bool:
    return isclass(model) and issubclass(model, Extension)


@lru_cache(maxsize=64)
def _attributes(model: type[Resource[Any]]) -> list[tuple[AttributeBinding, str | None]]:
    """The attributes of a model whose values can be compared, each with the extension that holds it."""
    found = []
    for path in Path[model].iter_paths():  # type: ignore[valid-type]
        binding = path.resolve()
        if binding is None or binding.field_name in HELD_ELSEWHERE:
            continue
        target = binding.target_type
        if not (isclass(target) and issubclass(target, BaseModel)):
            host = binding.model.__name__ if _is_extension(binding.model) else None
            found.append((binding, host))
    return found
