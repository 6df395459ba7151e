"""What a path in a filter is about: an attribute of a resource, or of one element of a list."""

from __future__ import annotations

from inspect import isclass
from typing import Any

from scim2_models import BaseModel, InvalidFilterException, ScimFilter
from scim2_models.path import AttributeBinding, AttrPath

from app.directory.comparable import is_hidden


class Element:
    """What a path inside the brackets of a value path is about: each is about one and the same element.

    :param head: the path before the brackets, and what it is about.
    """

    def __init__(self, bound: ScimFilter[Any], head: AttrPath, head_binding: AttributeBinding) -> None:
        self.bound = bound
        self.head = head
        self.head_binding = head_binding
        self.is_complex = complex_model(head_binding.field_type) is not None

    def binding_of(self, attr_path: AttrPath) -> AttributeBinding | None:
        """Return the attribute of a path; None when an element has no such attribute.

        :raises InvalidFilterException: when it cannot be searched by.
        """
        if not self.is_complex:
            return self.head_binding if is_plain_value(attr_path) else None
        if attr_path.sub_attr is not None or attr_path.uri is not None:
            return None
        inner = self.bound.resolve(AttrPath(self.head.attr, attr_path.attr, self.head.uri), strict=False)
        if inner is not None and is_nested_list(inner):
            raise list_in_a_list(inner)
        return None if inner is None else searchable(inner)


def is_plain_value(attr_path: AttrPath) -> bool:
    """Return whether a path in the brackets of a list of plain values stands for the value itself."""
    return attr_path.attr.lower() == "value" and attr_path.sub_attr is None and attr_path.uri is None


def searchable(binding: AttributeBinding) -> AttributeBinding:
    """Return an attribute that a search may tell of.

    :raises InvalidFilterException: when none may.
    """
    if is_hidden(binding):
        raise InvalidFilterException(detail=f"{binding.urn} cannot be filtered by")
    return binding


def complex_model(target: Any) -> type[BaseModel] | None:
    """Return the model of the values of a complex attribute; None for a simple one."""
    return target if isclass(target) and issubclass(target, BaseModel) else None


def is_nested_list(binding: AttributeBinding) -> bool:
    """Return whether each element of a list has a list of its own here."""
    return bool(binding.is_multivalued and binding.sub_field_name and binding.target_is_multivalued)


def list_in_a_list(binding: AttributeBinding) -> InvalidFilterException:
    """Return the error of a comparison with a list in each of a list."""
    return InvalidFilterException(detail=f"{binding.urn} cannot be compared: it is a list in each of a list")
