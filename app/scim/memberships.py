"""What a PATCH says of a group's members, apart from all else it says.

Members are rows, and most changes of them are a few rows out of many: read this way, a change costs what it
names and not what the group holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scim2_models import Extension, PatchOp, PatchOperation, Path, ScimPolicy
from scim2_models.path import CompareOperator, Comparison, FilterNode, LogicalExpr, LogicalOperator

from app.directory.membership import Member, MemberMoves

_PLAIN = frozenset({"value", "$ref", "display", "type"})


class _NotPlain(Exception):
    """An operation on members that only the whole list of them can answer."""


def apart(patch: PatchOp[Any], policy: ScimPolicy) -> tuple[list[PatchOperation[Any]], MemberMoves] | None:
    """Return the operations of a group's PATCH that do not concern members, and what becomes of the members.

    Both parts may be applied one after the other: no operation of the one is about anything of the other.

    :return: None when an operation needs to see the members, because it selects them by more than their ids
        or changes them; the whole PATCH is then for the library.
    """
    others: list[PatchOperation[Any]] = []
    moves = MemberMoves()
    try:
        for operation in patch.operations or ():
            if operation.path is None:
                others += _without_path(operation, moves)
            elif not _concerns_members(operation.path):
                others.append(operation)
            else:
                _move(operation, operation.path, moves, policy)
    except _NotPlain:
        return None
    return others, moves


def _concerns_members(path: Path[Any]) -> bool:
    if path.model is not None:
        # All of the resource, or of an extension: which of its attributes, the value says by names.
        raise _NotPlain
    binding = path.resolve()
    return (
        binding is not None and binding.field_name == "members" and not issubclass(binding.model, Extension)
    )


def _without_path(operation: PatchOperation[Any], moves: MemberMoves) -> Iterator[PatchOperation[Any]]:
    """Take the members out of an operation whose value has them by name."""
    if not isinstance(operation.value, dict):
        raise _NotPlain
    rest = {}
    for name, value in operation.value.items():
        if name.lower() == "members":
            _assign(operation.op, value, moves)
        elif "members" in name.lower():
            raise _NotPlain
        else:
            rest[name] = value
    if rest or not operation.value:
        yield operation.model_copy(update={"value": rest})


def _move(operation: PatchOperation[Any], path: Path[Any], moves: MemberMoves, policy: ScimPolicy) -> None:
    binding = path.resolve()
    if binding is None or binding.sub_field_name is not None:
        raise _NotPlain
    if operation.op is not PatchOperation.Op.remove:
        if path.value_filter is not None:
            raise _NotPlain
        _assign(operation.op, operation.value, moves)
    elif operation.value is not None:
        if path.value_filter is not None or policy.remove_value_as_filter is not ScimPolicy.RemoveValue.apply:
            raise _NotPlain
        moves.remove([member.id for member in _members(operation.value)])
    elif path.value_filter is not None:
        moves.remove(list(_selected(path.value_filter)))
    else:
        moves.replace([])


def _assign(op: PatchOperation.Op, value: Any, moves: MemberMoves) -> None:
    if op is PatchOperation.Op.replace_:
        moves.replace([] if value is None else _members(value))
    else:
        moves.add(_members(value))


def _members(value: Any) -> list[Member]:
    """Return the members that a value lists, each by its id and what the client calls it."""
    members = []
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, dict):
            raise _NotPlain
        named = {name.lower(): item for name, item in entry.items()}
        identity, display = named.get("value"), named.get("display")
        texts = all(item is None or isinstance(item, str) for item in named.values())
        if not identity or not texts or not named.keys() <= _PLAIN:
            raise _NotPlain
        members.append(Member(str(identity), display=display))
    return members


def _selected(condition: FilterNode) -> Iterator[str]:
    """Yield the ids that a filter of the form ``value eq "…" or value eq "…"`` names."""
    if isinstance(condition, LogicalExpr) and condition.op is LogicalOperator.or_:
        for term in condition.terms:
            yield from _selected(term)
    elif (
        isinstance(condition, Comparison)
        and condition.op is CompareOperator.eq
        and condition.attr_path.uri is None
        and condition.attr_path.attr.lower() == "value"
        and condition.attr_path.sub_attr is None
        and isinstance(condition.value, str)
    ):
        yield condition.value
    else:
        raise _NotPlain
