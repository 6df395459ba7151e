"""What clients send that SCIM does not say, and how it is put right before the library reads it.

Each deviation is a class of behaviour, recognised by what the schemas say of an attribute. None of them
widens what was asked for: what cannot be understood stays as it is, for the library to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

from scim2_models import InvalidValueException, SCIMException

from app.scim.members import has_member, member, with_member
from app.scim.reading import read_json
from app.scim.shapes import Attribute, Shape, Target
from app.store.batches import batches


class Deviation(StrEnum):
    """A class of deviation from RFC 7643 and 7644, by the name it is counted under."""

    PASSWORD_DISCARDED = "password_discarded"  # noqa: S105, the name of a deviation
    """A password was sent. None is kept here, so it is dropped, wherever it stands."""

    SCHEMA_LETTER_CASE = "schema_letter_case"
    """A known schema URN is written in other letter case (compared without it, RFC 7644 §3.10)."""

    UNDECLARED_SCHEMA = "undeclared_schema"
    """``schemas`` lists one that the resource type does not declare, beside its own."""

    READ_ONLY_MEMBER = "read_only_member"
    """The value of a PATCH has a read-only member, such as ``id``, that no path asked to change."""

    FILTERED_MEMBER = "filtered_member"
    """The value of a PATCH without a path has a member whose name is a path with a filter."""

    EMPTY_STRING = "empty_string"
    """A string is cleared by ``""``."""

    ADDED_NULL = "added_null"
    """A PATCH adds null, or writes it to selected values, to clear."""

    REMOVE_WITH_VALUE = "remove_with_value"
    """A PATCH removes by its value, not by a filter: only what the value lists is removed."""

    VALUE_AS_TEXT = "value_as_text"
    """A complex value is sent as the text of its ``value`` alone."""

    WRAPPED_VALUE = "wrapped_value"
    """A single value is sent as a list of one, or as the ``value`` of an object in such a list."""

    JSON_AS_TEXT = "json_as_text"
    """The value of a role or an entitlement is the text of a JSON object that holds it."""

    BOOLEAN_AS_TEXT = "boolean_as_text"
    """A boolean is sent as text or as 0 or 1."""

    NUMBER_AS_TEXT = "number_for_text"
    """A string is sent as a whole number."""

    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    """An attribute is sent that no schema declares. It is ignored."""

    UNMATCHED_FILTER = "unmatched_filter"
    """A PATCH writes to values that a filter selects where there are none. The one described is made."""


_PATCH: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_BOOLEANS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_TEXTUAL: Final = frozenset({"string", "reference", "dateTime", "binary"})
_REMOVED_AT_ONCE: Final = 100
_HEEDED: Final = "conditions"
"""The attribute of which no member is ever ignored: without a condition, more would be allowed."""

_BESIDE_A_VALUE: Final = frozenset({"value", "$ref", "display", "type", "primary"})
_JSON_MEMBERS: Final = {"displayname": "display", "display": "display", "type": "type"}


class Reading:
    """The reading of one resource or one PATCH of a resource type, as far as deviations go.

    :param tolerated: what is put right; everything else is left as it is.
    :param found: where what was put right is noted, in the order of its first appearance.
    :param refuses: whether a boolean or an integer that is none is refused here; if not, the library
        gets a value in its place that it refuses itself.
    """

    def __init__(
        self,
        shape: Shape,
        tolerated: Iterable[Deviation],
        found: dict[Deviation, None],
        *,
        refuses: bool = True,
    ) -> None:
        self.shape = shape
        self.refuses = refuses
        self.tolerated = frozenset(tolerated)
        self.found = found

    # -- Messages --------------------------------------------------------

    def resource(self, body: Any) -> Any:
        """Return the body of a creation or a replacement as the library is to read it.

        :raises InvalidValueException: when a boolean or an integer is none.
        """
        if not isinstance(body, dict):
            return body
        read = {}
        for name, value in body.items():
            if name.lower() == "schemas":
                read[name] = self._schemas(value, self.shape.schemas, self.tolerated)
            elif not self._is_password(name):
                target = self.shape.target(name)
                if target is None:
                    self._tolerate(Deviation.UNKNOWN_ATTRIBUTE)
                    read[name] = value
                elif target.attribute is None or not target.attribute.read_only:
                    read[name] = self._assigned(name, target, value)
                # A read-only attribute is ignored, whatever it holds (RFC 7644 §3.3, §3.5.1).
        return read

    def patch(self, body: Any) -> Any:
        """Return the body of a PATCH as the library is to read it.

        :raises InvalidValueException: when a boolean or an integer is none.
        """
        operations = member(body, "Operations")
        if not isinstance(operations, list):
            return body
        read = [each for given in operations for each in self._operation(given)]
        schemas = self._schemas(member(body, "schemas"), {_PATCH.lower(): _PATCH}, ())
        return with_member(with_member(body, "Operations", read), "schemas", schemas)

    # -- Operations of a PATCH -------------------------------------------

    def _operation(self, operation: Any) -> Iterator[Any]:
        """Yield what one operation is read as: itself, mended, or more than one."""
        kind, path = member(operation, "op"), member(operation, "path")
        if not isinstance(kind, str) or not (path is None or isinstance(path, str)):
            yield operation
            return
        if path and self._is_password(path):
            # It stays as an operation that changes nothing: a PATCH without any would be refused.
            yield {"op": "replace", "value": {}}
            return
        target = self.shape.target(path or "")
        if target is None:
            if kind.lower() != "remove":
                self._refuse_unheeded(str(path))
            self._tolerate(Deviation.UNKNOWN_ATTRIBUTE)
            yield operation
        elif kind.lower() == "remove":
            yield from self._removal(operation, target)
        elif target.attribute is None:
            yield from self._without_path(operation, target)
        elif kind.lower() not in ("add", "replace"):
            yield operation
        else:
            yield self._assignment(operation, kind.lower(), str(path), target)

    def _without_path(self, operation: dict[str, Any], target: Target) -> Iterator[Any]:
        """Read an operation on the resource or on an extension: its value has members by name or by path."""
        value = member(operation, "value")
        if not isinstance(value, dict):
            yield operation
            return
        members: dict[str, Any] = {}
        apart = []
        for name, item in value.items():
            path = f"{target.prefix}{name}"
            spoken_of = self.shape.target(path)
            attribute = None if spoken_of is None else spoken_of.attribute
            if self._is_password(name):
                continue
            if spoken_of is None:
                self._refuse_unheeded(path)
                self._tolerate(Deviation.UNKNOWN_ATTRIBUTE)
                members[name] = item
            elif spoken_of.filtered and self._tolerate(Deviation.FILTERED_MEMBER):
                apart.append({"op": member(operation, "op"), "path": path, "value": item})
            elif attribute is None or not attribute.read_only or not self._drops_read_only():
                members[name] = self._assigned(name, spoken_of, item, in_patch=True)
        yield with_member(operation, "value", members)
        for each in apart:
            yield from self._operation(each)

    def _assignment(self, operation: dict[str, Any], kind: str, path: str, target: Target) -> dict[str, Any]:
        """Read an add or a replace with a path. To clear becomes to remove, which works where nothing is."""
        if not has_member(operation, "value"):
            return operation
        given = member(operation, "value")
        value = self._assigned(path, target, given, in_patch=True)
        if given is None:
            clears = (kind == "add" or target.filtered) and self._tolerate(Deviation.ADDED_NULL)
        elif given == "" and target.filtered:
            clears = self._tolerate(Deviation.EMPTY_STRING)
        else:
            clears = value is None
        if clears:
            return {"op": "remove", "path": path}
        return operation if value is given else with_member(operation, "value", value)

    def _removal(self, operation: dict[str, Any], target: Target) -> Iterator[dict[str, Any]]:
        """Read a remove. One whose value lists what to remove never removes anything else (P7)."""
        value, attribute = member(operation, "value"), target.attribute
        if value is None or attribute is None:
            yield operation
        elif not attribute.multi_valued:
            if value == "" and self._tolerate(Deviation.REMOVE_WITH_VALUE):
                operation = {name: item for name, item in operation.items() if name.lower() != "value"}
            yield operation
        elif not attribute.sub_attributes or value == "" or Deviation.REMOVE_WITH_VALUE not in self.tolerated:
            yield operation
        else:
            self._tolerate(Deviation.REMOVE_WITH_VALUE)
            entries = self._values(attribute, value if isinstance(value, list) else [value], in_patch=True)
            selecting = [_selecting(attribute, entry) for entry in entries]
            # The library makes one filter of a list, in a time that grows with the square of its length.
            for part in batches(selecting, _REMOVED_AT_ONCE) if selecting else [selecting]:
                yield with_member(operation, "value", list(part))

    # -- Values ----------------------------------------------------------

    def _assigned(self, place: str, target: Target, value: Any, *, in_patch: bool = False) -> Any:
        """Return a value as it is to be assigned to a target; None to clear it."""
        if target.attribute is not None:
            return self._value(place, target.attribute, value, in_patch=in_patch)
        if not isinstance(value, dict):
            return value
        return self._members(place, target.scope, value, in_patch=in_patch)

    def _value(self, place: str, attribute: Attribute, value: Any, *, in_patch: bool) -> Any:
        if value is None:
            return None
        if attribute.multi_valued:
            if isinstance(value, list):
                return self._values(attribute, value, in_patch=in_patch)
            # One value on its own is read by the library, as a list of one.
            return self._value(place, attribute.single(), value, in_patch=in_patch) if value != "" else value
        if isinstance(value, list):
            value = self._unwrapped(attribute, value)
        if attribute.type != "complex":
            return self._simple(place, attribute, value)
        if isinstance(value, str) and "value" in attribute.sub_attributes:
            value = self._from_text(attribute, value)
        if not isinstance(value, dict):
            return value
        value = self._members(place, attribute.sub_attributes, value, in_patch=in_patch)
        return self._from_json(attribute, value)

    def _values(self, attribute: Attribute, values: list[Any], *, in_patch: bool) -> list[Any]:
        single = attribute.single()
        place = attribute.name
        return [
            self._value(f"{place}[{index}]", single, value, in_patch=in_patch)
            for index, value in enumerate(values)
        ]

    def _members(
        self, place: str, scope: Mapping[str, Attribute], value: dict[str, Any], *, in_patch: bool
    ) -> dict[str, Any]:
        """Return an object with each member read by its attribute; undeclared members are left alone."""
        read = {}
        for name, item in value.items():
            attribute = scope.get(name.lower())
            if attribute is None:
                self._refuse_unheeded(f"{place}.{name}")
                self._tolerate(Deviation.UNKNOWN_ATTRIBUTE)
                read[name] = item
            elif not attribute.read_only or (in_patch and not self._drops_read_only()):
                read[name] = self._value(f"{place}.{name}", attribute, item, in_patch=in_patch)
        return read

    def _refuse_unheeded(self, path: str) -> None:
        """Refuse a member that no schema declares where to ignore it would allow more than was meant."""
        attribute, dot, name = path.rpartition(":")[2].partition(".")
        heeded = self.shape.target(_HEEDED)
        if dot and attribute.lower() == _HEEDED and heeded is not None and heeded.attribute is not None:
            known = ", ".join(each.name for each in heeded.attribute.sub_attributes.values())
            raise InvalidValueException(detail=f"{_HEEDED}: {name[:60]} is no condition: there are {known}")

    def _simple(self, place: str, attribute: Attribute, value: Any) -> Any:
        """Return a value that is no object, in its attribute's type."""
        if attribute.type == "boolean":
            return self._boolean(place, value)
        if attribute.type == "integer" and (not isinstance(value, int) or isinstance(value, bool)):
            return self._refused(f"{place} is a whole number. Send it as a JSON number.")
        if value == "" and attribute.type in _TEXTUAL and not attribute.identifies:
            return None if self._tolerate(Deviation.EMPTY_STRING) else value
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if attribute.type == "string" and is_number and self._tolerate(Deviation.NUMBER_AS_TEXT):
            return str(value)
        return value

    def _boolean(self, place: str, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        meant = _BOOLEANS.get(str(value).lower()) if isinstance(value, str | int) else None
        if meant is not None and self._tolerate(Deviation.BOOLEAN_AS_TEXT):
            return meant
        return self._refused(f"{place} is true or false. Send it as a JSON boolean.")

    def _unwrapped(self, attribute: Attribute, value: list[Any]) -> Any:
        """Return the one value in a list that should have been no list."""
        if len(value) != 1 or isinstance(value[0], list):
            return value
        (item,) = value
        if isinstance(item, dict) and attribute.type != "complex":
            if not {name.lower() for name in item} <= _BESIDE_A_VALUE or not has_member(item, "value"):
                return value
            item = member(item, "value")
        return item if self._tolerate(Deviation.WRAPPED_VALUE) else value

    def _from_text(self, attribute: Attribute, value: str) -> Any:
        """Return the object that a text stands for as its ``value``; nothing for the empty one."""
        if not self._tolerate(Deviation.VALUE_AS_TEXT):
            return value
        return {"value": value} if value else None

    def _from_json(self, attribute: Attribute, value: dict[str, Any]) -> dict[str, Any]:
        """Return a value whose ``value`` is a JSON object with that object's members instead.

        Entra writes an app role that way, and removes it by its plain value.
        """
        text = member(value, "value")
        if not (isinstance(text, str) and text.lstrip().startswith("{")) or attribute.name not in _RIGHTS:
            return value
        try:
            inner = read_json(text.encode("utf-8", "surrogatepass"))
        except SCIMException:
            return value
        exact = member(inner, "value")
        if not isinstance(exact, str) or not exact or not self._tolerate(Deviation.JSON_AS_TEXT):
            return value
        described = {
            _JSON_MEMBERS[name.lower()]: item
            for name, item in inner.items()
            if name.lower() in _JSON_MEMBERS and isinstance(item, str)
        }
        outer = {name: item for name, item in value.items() if name.lower() != "value"}
        return {**described, **outer, "value": exact}

    # -- What stands in every message ------------------------------------

    def _schemas(self, schemas: Any, known: Mapping[str, str], tolerated: Iterable[Deviation]) -> Any:
        """Return the schemas of a message as they are declared, and those that are not if they must stay."""
        if not isinstance(schemas, list):
            return schemas
        read = []
        for schema in schemas:
            declared = known.get(schema.lower(), schema) if isinstance(schema, str) else schema
            if declared != schema and not self._tolerate(Deviation.SCHEMA_LETTER_CASE):
                declared = schema
            if declared in known.values() or Deviation.UNDECLARED_SCHEMA not in tolerated:
                read.append(declared)
            else:
                self._tolerate(Deviation.UNDECLARED_SCHEMA)
        return read or schemas

    def _is_password(self, name: str) -> bool:
        if name.lower().removeprefix(f"{self.shape.schema.lower()}:") != "password":
            return False
        return self.shape.target("password") is None and self._tolerate(Deviation.PASSWORD_DISCARDED)

    def _refused(self, detail: str) -> dict[str, Any]:
        """Refuse a value, or return one that is of no simple type: the library reads 5 as a time."""
        if self.refuses:
            raise InvalidValueException(detail=detail)
        return {}

    def _drops_read_only(self) -> bool:
        return self._tolerate(Deviation.READ_ONLY_MEMBER)

    def _tolerate(self, deviation: Deviation) -> bool:
        """Tell whether a deviation that was met is put right, and note it if it is."""
        if deviation not in self.tolerated:
            return False
        self.found[deviation] = None
        return True


_RIGHTS: Final = frozenset({"roles", "entitlements"})
"""The attributes of a user whose values grant."""


def _selecting(attribute: Attribute, entry: Any) -> Any:
    """Return what of an entry says which value to remove.

    Where the value is compared exactly, as an id or a right is, it says all; elsewhere it does together with
    its type (RFC 7643 §2.4). A label that differs from the kept one must not save a right from removal.
    """
    value, declared = member(entry, "value"), attribute.sub_attributes.get("value")
    if declared is None or not isinstance(value, str) or not value:
        return entry
    kind = member(entry, "type")
    if declared.identifies or not isinstance(kind, str):
        return {"value": value}
    return {"value": value, "type": kind}
