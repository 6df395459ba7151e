"""How much one request may ask for, so that none takes long, whatever it holds.

The size of a body bounds much of what a request costs, but not all: a few megabytes can hold a hundred
thousand changes, or compare each of ten thousand values with each of ten thousand others. Each limit is far
above what a client needs, and is checked before the work is done. What is over one is refused with what to
change. How deep a body may be nested is :data:`app.scim.reading.MAXIMUM_DEPTH`, how many comparisons the
filter of a search may have :data:`app.directory.filters.MOST_COMPARISONS`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from scim2_models import (
    InvalidFilterException,
    InvalidPathException,
    InvalidValueException,
    PatchOp,
    PatchOperation,
    Path,
    PayloadTooLargeException,
    Resource,
    ResponseParameters,
    SCIMException,
    TooManyException,
)

from app.directory.filters import MOST_COMPARISONS, count_comparisons
from app.scim.members import member

MOST_CHANGES: Final = 1_000
"""How many changes one PATCH may make: its operations, and the attributes that values without a path name.
Each costs about a millisecond. It is as many as a bulk request may have operations."""

MOST_BULK_CHANGES: Final = 5_000
"""How many changes the PATCHes of one bulk request may make together."""

MOST_VALUES: Final = 12_000
"""How many values the lists of one resource may hold together, and those of one request: ten thousand of one
attribute, and room for the others. The members of a group do not count: they are rows."""

MOST_VALUE_COMPARISONS: Final = 50_000
"""How many times one request may look at a value of a resource to find those that its PATCHes are about. Each
look costs about a tenth of a millisecond."""

LONGEST_EXPRESSION: Final = 65_536
"""How many characters a filter, a path or the name of an attribute may have. Reading one takes microseconds
for each character."""

MOST_ATTRIBUTES_ASKED: Final = 200
"""How many attributes a request may ask to see, or not to see: twice as many as a user has."""

MOST_SHOWN: Final = 500_000
"""How many values one answer may be made of, objects and lists among them, each once more for every twenty
attributes that the request asks for: it is compared with each of them. A thousand usual users are a tenth."""

LONGEST_SEARCH: Final = 20
"""How many seconds the database may work on one search. One for the values that identity providers match on
takes a millisecond, whatever the directory's size; others may have to look at every resource."""

_ATTRIBUTES_PER_VALUE: Final = 20


def bound_resource(body: Any) -> None:
    """Refuse the body of a creation or a replacement that holds too much.

    :raises TooManyException: when its lists hold too many values.
    """
    _bound_values(_values_in(body))


def bound_patch(body: Any) -> None:
    """Refuse the body of a PATCH that asks for too much.

    :raises PayloadTooLargeException: when it makes too many changes.
    :raises TooManyException: when its lists hold too many values.
    :raises InvalidPathException: when a path, or a name that is read as one, is too long.
    """
    _bound_changes(_changes_in(body), MOST_CHANGES)
    _bound_values(_values_in_patch(body))


def bound_bulk(body: Any, *, most_operations: int | None) -> None:
    """Refuse the body of a bulk request that asks for too much.

    :raises PayloadTooLargeException: when it has too many operations, or they make too many changes.
    :raises TooManyException: when their lists hold too many values.
    :raises InvalidPathException: when a path, or a name that is read as one, is too long.
    """
    operations = member(body, "Operations")
    if not isinstance(operations, list):
        return
    if most_operations is not None and len(operations) > most_operations:
        raise PayloadTooLargeException(
            detail=f"A bulk request has at most {most_operations} operations (maxOperations). "
            "Send several requests."
        )
    changes = values = 0
    for operation in operations:
        data = member(operation, "data")
        if str(member(operation, "method")).upper() == "PATCH":
            changes += _changes_in(data)
            values += _values_in_patch(data)
        else:
            values += _values_in(data)
    _bound_changes(changes, MOST_BULK_CHANGES)
    _bound_values(values)


def bound_search(parameters: Any) -> None:
    """Refuse the parameters of a search that are too long to be read.

    :raises InvalidFilterException: when its filter is.
    :raises InvalidPathException: when what it sorts by is.
    :raises InvalidValueException: when it names too many attributes.
    """
    asked = member(parameters, "filter")
    if isinstance(asked, str) and len(asked) > LONGEST_EXPRESSION:
        raise InvalidFilterException(detail=f"A filter has at most {LONGEST_EXPRESSION} characters")
    bound_path(member(parameters, "sortBy"))
    bound_attributes(parameters)


def bound_attributes(parameters: Any) -> None:
    """Refuse a request that names too many attributes to see, or not to see.

    :raises InvalidValueException: when it does.
    """
    for name in ("attributes", "excludedAttributes"):
        asked = member(parameters, name)
        texts = asked if isinstance(asked, list) else [asked]
        named = len(texts) + sum(text.count(",") for text in texts if isinstance(text, str))
        if named > MOST_ATTRIBUTES_ASKED:
            raise InvalidValueException(detail=f"{name} names at most {MOST_ATTRIBUTES_ASKED} attributes")
        for text in texts:
            if isinstance(text, str) and max(map(len, text.split(","))) > LONGEST_EXPRESSION:
                raise _too_long()


def bound_comparisons(scim_filter: Any) -> None:
    """Refuse a filter of a search that has more comparisons than may be compiled.

    :raises InvalidFilterException: when it has.
    """
    if scim_filter is not None and count_comparisons(scim_filter.ast) > MOST_COMPARISONS:
        raise InvalidFilterException(
            detail=f"A filter has at most {MOST_COMPARISONS} comparisons. Search several times."
        )


def bound_path(path: Any) -> None:
    """Refuse a path that is too long to be read.

    :raises InvalidPathException: when it is.
    """
    if isinstance(path, str) and len(path) > LONGEST_EXPRESSION:
        raise _too_long()


def bound_shown(documents: Sequence[Mapping[str, Any]], parameters: ResponseParameters[Any] | None) -> None:
    """Refuse an answer that would be made of too much.

    :param documents: what is stored of the resources that it shows.
    :raises TooManyException: when it would.
    """
    named = 0
    if parameters is not None:
        named = len(parameters.attributes or ()) + len(parameters.excluded_attributes or ())
    if sum(map(_size_of, documents)) * (1 + named // _ATTRIBUTES_PER_VALUE) > MOST_SHOWN:
        raise TooManyException(
            detail="The answer is made of too many values. Ask for fewer resources at a time (count), and "
            "name fewer attributes."
        )


class Effort:
    """What the PATCHes of one request have looked at so far."""

    def __init__(self) -> None:
        self.spent = 0

    def bound(self, current: Resource[Any], patch: PatchOp[Any]) -> None:
        """Refuse a PATCH that would look at too many values, once for each of its operations and comparisons.

        :raises TooManyException: when it would.
        """
        operations = patch.operations or []
        # A filter that selects nothing may describe one value more.
        written = sum(
            _values_in(operation.value) + (operation.path is not None and bool(operation.path.value_filter))
            for operation in operations
        )
        for operation in operations:
            held = _values_of(current) if operation.path is None else _values_at(current, operation.path)
            selection = None if operation.path is None else operation.path.value_filter
            looks = 1 if selection is None else 1 + count_comparisons(selection)
            if operation.op is PatchOperation.Op.remove and isinstance(operation.value, list):
                looks += len(operation.value)
            self.spent += looks * (held + written)
        if self.spent > MOST_VALUE_COMPARISONS:
            raise TooManyException(
                detail=f"The request looks at values {self.spent} times to find those it is about; "
                f"{MOST_VALUE_COMPARISONS} is the most. Send fewer operations at a time, and those on "
                "members by their ids alone and apart from others."
            )


def bound_kept(resource: Resource[Any]) -> None:
    """Refuse a resource that would hold too many values.

    :raises TooManyException: when it would.
    """
    _bound_values(_values_of(resource, but="members"))


def _bound_changes(changes: int, most: int) -> None:
    if changes > most:
        raise PayloadTooLargeException(
            detail=f"The request makes {changes} changes; {most} is the most. Send several requests."
        )


def _bound_values(values: int) -> None:
    if values > MOST_VALUES:
        raise TooManyException(
            detail=f"The lists of a resource hold at most {MOST_VALUES} values together, and so do those of "
            f"a request. Here are {values}: send fewer."
        )


def _too_long() -> SCIMException:
    return InvalidPathException(
        detail=f"A path has at most {LONGEST_EXPRESSION} characters. Send a shorter one, or several."
    )


def _changes_in(patch: Any) -> int:
    operations = member(patch, "Operations")
    if not isinstance(operations, list):
        return 0
    changes = len(operations)
    for operation in operations:
        bound_path(member(operation, "path"))
        for name in _names_in(member(operation, "value")):
            bound_path(name)
            changes += 1
    return changes


def _names_in(value: Any) -> Iterator[str]:
    """Yield the names in an object and the objects in it: each may be a path, and is read as one."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, dict):
            yield from current
            waiting.extend(current.values())


def _values_in_patch(patch: Any) -> int:
    operations = member(patch, "Operations")
    if not isinstance(operations, list):
        return 0
    return sum(
        _values_in(member(operation, "value"))
        for operation in operations
        if not _is_of_members(str(member(operation, "path") or ""))
    )


def _values_in(value: Any) -> int:
    """Count the entries of all lists in a value, but those of members."""
    count, waiting = 0, [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            count += len(current)
            waiting.extend(current)
        elif isinstance(current, dict):
            waiting.extend(item for name, item in current.items() if not _is_of_members(name))
    return count


def _size_of(document: Mapping[str, Any]) -> int:
    """Count all values in a document, objects and lists among them."""
    waiting: list[Collection[Any]] = [document.values()]
    count = 0
    while waiting:
        current = waiting.pop()
        count += len(current)
        for value in current:
            if isinstance(value, list):
                waiting.append(value)
            elif isinstance(value, dict):
                waiting.append(value.values())
    return count


def _is_of_members(name: str) -> bool:
    return name.lower().rpartition(":")[2] == "members"


def _values_of(resource: Any, but: str = "") -> int:
    """Count the entries of the lists of a resource and of its extensions."""
    count = 0
    for name in type(resource).model_fields:
        value = getattr(resource, name)
        if isinstance(value, list):
            count += len(value) if name != but else 0
        elif hasattr(type(value), "model_fields"):
            count += _values_of(value)
    return count


def _values_at(resource: Resource[Any], path: Path[Any]) -> int:
    """Count the entries of the list that a path leads to, or is about."""
    binding = None if path.model is not None else path.resolve()
    if binding is None:
        return _values_of(resource)
    host = (
        resource if isinstance(resource, binding.model) else getattr(resource, binding.model.__name__, None)
    )
    value = getattr(host, binding.field_name, None)
    return len(value) if isinstance(value, list) else 0
