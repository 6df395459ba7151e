"""What a PATCH names, read without the application: everything else must stay as it is (P7).

Where a request can be read in more than one way, it names what any of the readings names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.property.generated_patches import Kind, Patch
from tests.property.naive_selection import Selection

_PATH: Final = re.compile(r"([A-Za-z$][\w$-]*)(\[.*\])?(?:\.([\w$-]+))?", re.DOTALL)
_READ_ONLY: Final = {"User": {"id", "meta", "groups"}, "Group": {"id", "meta"}, "Entitlement": {"id", "meta"}}
_FOLLOWS: Final = frozenset({"meta", "schemas"})
"""What the server says by itself, of any change."""

Address = tuple[str, str]
"""An attribute: the URN of its extension, or nothing, and its name; both in lower case."""


@dataclass
class Naming:
    """What of one attribute is named."""

    whole: bool = False
    subs: set[str] = field(default_factory=set)
    """Of a single complex value, or of each element of a list."""
    elements: dict[int, set[str] | None] = field(default_factory=dict)
    """Of the elements there were, by their place: the sub-attributes that are named, or None for all."""
    removed: set[int] = field(default_factory=set)
    """The elements that are to go."""


@dataclass
class Named:
    """What a request names of one resource, as it was before."""

    kind: Kind
    before: dict[str, Any]
    attributes: dict[Address, Naming] = field(default_factory=dict)
    extensions: set[str] = field(default_factory=set)
    """Those named as a whole."""
    texts: set[str] = field(default_factory=set)
    """Every string that the request holds: nobody is given what stands nowhere in it."""
    must_fail: bool = False
    """Whether a filter of it can only be refused."""

    def of(self, address: Address) -> Naming:
        return self.attributes.setdefault(address, Naming())


def named_in(patch: Patch, before: dict[str, Any]) -> Named:
    """Return what a request names of a resource that is as it was read before."""
    named = Named(patch.kind, before, texts=set(_strings(patch.operations)))
    for operation in patch.operations:
        op, path, value = operation.get("op"), operation.get("path"), operation.get("value")
        if not isinstance(op, str) or not isinstance(path, str | None):
            continue
        if path and (match := _target(named.kind, path)) is not None:
            _, text, _ = match
            selection = patch.selections.get(text or "")
            if selection is not None and selection.chooses is None and _is_declared(named.kind, match[0]):
                named.must_fail = True
        _name(named, patch.selections, op.lower(), path or "", value, has_value="value" in operation)
    return named


def _name(
    named: Named,
    selections: Mapping[str, Selection],
    op: str,
    path: str,
    value: Any,
    *,
    has_value: bool,
) -> None:
    extension = path.lower()
    if extension in ("", named.kind.schema.lower()) or extension in _lower(named.kind.extensions):
        _name_members(named, selections, op, path, value)
        return
    match = _target(named.kind, path)
    if match is None:
        return
    address, text, sub = match
    if address == ("", "schemas"):
        named.extensions |= _lower(named.kind.extensions)
    if address[0] == "" and address[1] in _READ_ONLY[named.kind.name]:
        return
    naming, held = named.of(address), _held(named.before, address)
    if not isinstance(held, list):
        _name_single(naming, op, sub, value, has_value=has_value)
        return
    set_before = bool(naming.subs)
    if _says_primary(path, value):
        naming.subs.add("primary")
    if text is None:
        _name_list(naming, named.kind, address, held, op, sub, value, has_value=has_value)
        return
    selection = selections.get(text)
    if selection is None or selection.chooses is None:
        return
    for place, element in enumerate(held):
        # What an operation before has touched, or what it set of all, may be selected now, whatever it was.
        entry = element if isinstance(element, dict) else {"value": element}
        if place in naming.elements or set_before or selection.chooses(entry):
            _touch(naming, place, _subs_of(op, sub, value))
            if op == "remove" and sub is None and not has_value:
                naming.removed.add(place)


def _name_members(named: Named, selections: Mapping[str, Selection], op: str, path: str, value: Any) -> None:
    """Name what the value of an operation on the resource, or on an extension, has members for."""
    extension = path.lower() if path.lower() in _lower(named.kind.extensions) else ""
    if op != "remove" and isinstance(value, dict):
        for name, item in value.items():
            below = f"{path}:{name}" if extension else name
            _name(named, selections, op, below, item, has_value=True)
    elif extension and (op == "remove" or value in (None, "", [])):
        named.extensions.add(extension)


def _name_single(naming: Naming, op: str, sub: str | None, value: Any, *, has_value: bool) -> None:
    if op == "remove" or value in (None, "", []):
        subs = None if sub is None else {sub}
    else:
        subs = _subs_of(op, sub, value)
    if subs is None:
        naming.whole = True
    else:
        naming.subs |= subs


def _name_list(
    naming: Naming,
    kind: Kind,
    address: Address,
    held: list[Any],
    op: str,
    sub: str | None,
    value: Any,
    *,
    has_value: bool,
) -> None:
    if sub is not None:
        naming.subs.add(sub)
    elif op == "replace" or (op == "remove" and (not has_value or value is None)):
        naming.whole = True
    elif op == "remove":
        for entry in value if isinstance(value, list) else [value]:
            for place, element in enumerate(held):
                if _is_meant(element, entry, exact=address[1] in kind.exact):
                    _touch(naming, place, None)
                    if not _is_wrapped(entry):
                        naming.removed.add(place)
    elif value in (None, "", []):
        # To add nothing may be to clear.
        naming.whole = True


def _is_meant(element: Any, entry: Any, *, exact: bool) -> bool:
    """Whether what is to be removed is described by an entry of the value of a remove."""
    if not isinstance(element, dict) or not isinstance(entry, dict):
        text = element.get("value") if isinstance(element, dict) else element
        return isinstance(entry, str) and entry != "" and _equal(text, entry, exact=exact)
    said = {name.lower(): item for name, item in entry.items() if item not in (None, "")}
    has = {name.lower(): item for name, item in element.items()}
    value = said.get("value")
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value).get("value")
    if isinstance(value, str):
        same = _equal(has.get("value"), value, exact=exact)
        return same and (exact or "type" not in said or _equal(has.get("type"), said["type"], exact=False))
    known = {
        name: item
        for name, item in said.items()
        if name in ("type", "display", "primary", "locality", "country", "$ref")
    }
    return bool(known) and all(_equal(has.get(name), item, exact=False) for name, item in known.items())


def _is_wrapped(entry: Any) -> bool:
    """Whether an entry holds its value as JSON in a string, which is read for some attributes only."""
    return "{" in json.dumps(entry)[1:]


def _equal(left: Any, right: Any, *, exact: bool) -> bool:
    if isinstance(left, bool):
        return str(left).lower() == {"1": "true", "0": "false"}.get(str(right).lower(), str(right).lower())
    if not isinstance(left, str):
        return False
    return left == str(right) if exact else left.casefold() == str(right).casefold()


def _touch(naming: Naming, place: int, subs: set[str] | None) -> None:
    kept = naming.elements.get(place, set())
    naming.elements[place] = None if subs is None or kept is None else kept | subs


def _subs_of(op: str, sub: str | None, value: Any) -> set[str] | None:
    """Return the sub-attributes that a value is for; None for all of them."""
    if sub is not None:
        return {sub}
    if op == "remove" or value in (None, "", []):
        return None
    entries = value if isinstance(value, list) else [value]
    if any(entry in (None, "", []) for entry in entries):
        return None
    found: set[str] = set()
    for entry in entries:
        if isinstance(entry, dict):
            found |= {name.lower() for name in entry}
            text = next((item for name, item in entry.items() if name.lower() == "value"), None)
            if isinstance(text, str) and text.lstrip().startswith("{"):
                found |= {"display", "type"}
        else:
            found.add("value")
    return found


# -- What must have stayed ----------------------------------------


def touched_unnamed(named: Named, after: dict[str, Any]) -> Iterator[str]:
    """Yield, in words, everything that a request did not name and that is not as it was."""
    for address in _addresses(named.before) | _addresses(after):
        if address[0] in named.extensions or address in {("", each) for each in _FOLLOWS}:
            continue
        naming, place = named.attributes.get(address), ":".join(filter(None, address))
        was, now = _held(named.before, address), _held(after, address)
        if naming is None:
            if _bytes(was) != _bytes(now):
                yield f"{place} is not named and was {_bytes(was)}, now it is {_bytes(now)}"
        elif naming.whole:
            continue
        elif isinstance(was, list):
            labelled = (
                named.texts if (named.kind.name, address[1]) == ("Entitlement", "groups") else frozenset()
            )
            yield from _lost_elements(place, naming, was, now if isinstance(now, list) else [], labelled)
        elif isinstance(was, dict):
            yield from _changed_subs(place, naming, was, now if isinstance(now, dict) else {})
    for name in named.kind.exact & {address[1] for address in _addresses(after)}:
        yield from _unsaid(named, name, after)


def kept_removed(named: Named, after: dict[str, Any]) -> Iterator[str]:
    """Yield what one remove named and what is there still."""
    for address, naming in named.attributes.items():
        was, now = _held(named.before, address) or [], _held(after, address) or []
        for place in naming.removed:
            if any(_bytes(was[place]) == _bytes(each) for each in now):
                yield f"{address[1]} still has {was[place]}"


def _lost_elements(
    place: str, naming: Naming, was: list[Any], now: list[Any], labelled: Collection[str]
) -> Iterator[str]:
    """Yield the elements of which something unnamed is gone or changed; their order counts.

    :param labelled: the values that the request may name with a label of their own, where each is kept once.
    """
    left = list(now)
    for number, element in enumerate(was):
        subs = naming.elements.get(number, set())
        if subs is None or (number in naming.elements and not isinstance(element, dict)):
            continue
        loose = subs | naming.subs | ({"display"} if _value(element) in labelled else set())
        kept = _without(element, loose)
        if kept == {}:
            continue
        found = next(
            (at for at, each in enumerate(left) if _bytes(_without(each, loose)) == _bytes(kept)), None
        )
        if found is None:
            yield f"{place}: {_bytes(element)} is not named but for {sorted(loose)}; now it is {_bytes(now)}"
            return
        del left[: found + 1]


def _changed_subs(place: str, naming: Naming, was: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in was.keys() | now.keys():
        if name.lower() not in naming.subs and _bytes(was.get(name)) != _bytes(now.get(name)):
            yield f"{place}.{name} is not named and was {_bytes(was.get(name))}, now {_bytes(now.get(name))}"


def _unsaid(named: Named, name: str, after: dict[str, Any]) -> Iterator[str]:
    """Yield the values of an attribute that grants which were neither there nor in the request."""
    was = {_value(each) for each in _held(named.before, ("", name)) or []}
    for element in _held(after, ("", name)) or []:
        value = _value(element)
        if value is not None and value not in was | named.texts:
            yield f"{name} has {_bytes(element)}, which nobody named"


def _value(element: Any) -> Any:
    return element.get("value") if isinstance(element, dict) else element


def _without(element: Any, loose: set[str]) -> Any:
    if not isinstance(element, dict):
        return element
    # The server says what is beside an id by what the id is.
    loose = loose | {"$ref", "display"} if "value" in loose else loose
    return {name: item for name, item in element.items() if name.lower() not in loose}


# -- Reading ----------------------------------------


def _target(kind: Kind, path: str) -> tuple[Address, str | None, str | None] | None:
    """Take a path apart: the attribute, the filter with its brackets, the sub-attribute."""
    urn = ""
    for schema in (kind.schema, *kind.extensions):
        if path.lower().startswith(f"{schema.lower()}:"):
            urn = "" if schema == kind.schema else schema.lower()
            path = path[len(schema) + 1 :]
            break
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    name, text, sub = match.groups()
    return (urn, name.lower()), text, sub.lower() if sub else None


def _is_declared(kind: Kind, address: Address) -> bool:
    names = (*kind.simple, *kind.complex, *kind.lists, *kind.plain_lists)
    return address in {
        (urn.lower(), name.lower()) for urn, _, name in (each.rpartition(":") for each in names)
    }


def _held(document: dict[str, Any], address: Address) -> Any:
    urn, name = address
    within = document
    if urn:
        within = next((item for key, item in document.items() if key.lower() == urn), {})
    return next((item for key, item in within.items() if key.lower() == name), None)


def _addresses(document: dict[str, Any]) -> set[Address]:
    found: set[Address] = set()
    for name, item in document.items():
        if name.startswith("urn:") and isinstance(item, dict):
            found |= {(name.lower(), each.lower()) for each in item}
        else:
            found.add(("", name.lower()))
    return found


def _says_primary(path: str, value: Any) -> bool:
    return "primary" in f"{path} {json.dumps(value)}".lower()


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
            # Of a filter, and of JSON within a string.
            yield from re.findall(r'"([^"]*)"', value)
        case dict():
            for name, item in value.items():
                yield from _strings(name)
                yield from _strings(item)
        case list():
            for item in value:
                yield from _strings(item)
        case int():
            yield str(value)


def _lower(names: tuple[str, ...]) -> set[str]:
    return {each.lower() for each in names}


def _bytes(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
