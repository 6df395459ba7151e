"""PATCH requests as identity providers send them, as RFC 7644 §3.5.2 allows them, and as nobody should.

All of it comes from one source of chance, so that the same seed gives the same requests, and Hypothesis can
make a failing one smaller.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from tests.http.conftest import CONSUMER, ENTITLEMENT, GROUP, USER
from tests.property.naive_selection import Selection, both, compares, either, is_present, negated, refused

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ABSENT: Final = "0" * 32
"""An id that nothing has."""

Item = TypeVar("Item")
"""Anything that one may be taken of."""


@dataclass(frozen=True)
class Kind:
    """A resource type: the names of its attributes by their form."""

    name: str
    schema: str
    simple: tuple[str, ...]
    complex: dict[str, tuple[str, ...]]
    lists: dict[str, tuple[str, ...]]
    plain_lists: tuple[str, ...] = ()
    """Multi-valued attributes of strings."""
    extensions: tuple[str, ...] = ()
    exact: frozenset[str] = frozenset()
    """Lists whose values compare with their letter case."""


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind(
            "User",
            USER,
            simple=(
                *("displayName", "nickName", "title", "externalId", "locale", "active", "userType"),
                *("profileUrl", "userName", "password", "id"),
                *(f"{ENTERPRISE}:department", f"{ENTERPRISE}:employeeNumber"),
                *(f"{CONSUMER}:accessEndsAt", f"{CONSUMER}:accessStartsAt"),
            ),
            complex={
                "name": ("givenName", "familyName", "formatted"),
                f"{ENTERPRISE}:manager": ("value", "displayName", "$ref"),
                "meta": ("version", "resourceType"),
            },
            lists={
                "emails": ("value", "type", "display", "primary"),
                "phoneNumbers": ("value", "type", "primary"),
                "addresses": ("locality", "type", "primary", "country"),
                "entitlements": ("value", "type", "display", "primary"),
                "roles": ("value", "type", "display", "primary"),
                "groups": ("value", "display"),
            },
            extensions=(ENTERPRISE, CONSUMER),
            exact=frozenset({"entitlements", "roles"}),
        ),
        Kind(
            "Group",
            GROUP,
            simple=("displayName", "externalId", "id"),
            complex={"meta": ("version",)},
            lists={"members": ("value", "display", "type", "$ref")},
            exact=frozenset({"members"}),
        ),
        Kind(
            "Entitlement",
            ENTITLEMENT,
            simple=("display", "type", "description", "audience", "supported", "externalId", "value", "id"),
            complex={
                "keyPolicy": ("issuance", "lifetimeSeconds"),
                "conditions": ("methods", "paths", "notAfter"),
            },
            lists={"roles": ("value", "display"), "groups": ("value", "display", "$ref")},
            plain_lists=("scopes",),
            exact=frozenset({"roles", "groups", "scopes"}),
        ),
    )
}
"""The kinds of resources that are patched."""


@dataclass(frozen=True)
class Patch:
    """One generated request, and what each filter in its paths selects."""

    kind: Kind
    operations: list[dict[str, Any]]
    selections: dict[str, Selection] = field(default_factory=dict)
    """By the text between and with the brackets."""


class PatchMaker:
    """Makes requests about one directory.

    :param ids: what a group may have as its members.
    :param group_ids: those of them that are groups.
    """

    def __init__(self, chance: random.Random, ids: Sequence[str], group_ids: Sequence[str]) -> None:
        self.chance = chance
        self.ids = ids
        self.group_ids = group_ids

    def patch(self, kind: Kind) -> Patch:
        """Make a request about a resource of some kind."""
        made = Patch(kind, [])
        for _ in range(self._one([1, 1, 1, 1, 1, 1, 2, 2, 3, 5])):
            made.operations.append(self._operation(made))
        return made

    # -- Operations ------------------------------------------------------

    def _operation(self, made: Patch) -> dict[str, Any]:
        if self._seldom(60):
            return self._broken()
        op = self._one(["add", "replace", "remove", "Add", "Replace", "Remove", "REPLACE"])
        if op.lower() != "remove" and self._often(3):
            return self._without_path(made, op)
        path, name, sub = self._path(made)
        operation = {"op": op, "path": path}
        if op.lower() == "remove":
            if self._seldom(4) or (self._often(3) and name in made.kind.lists and "[" not in path):
                operation["value"] = self._removed(made.kind, name, sub)
        elif not self._seldom(25):
            operation["value"] = self._value(made.kind, name, sub, one="[" in path and sub is None)
        return operation

    def _broken(self) -> dict[str, Any]:
        return self._one(
            [
                {},
                {"op": "move", "path": "title", "value": "x"},
                {"op": "replace", "path": "title"},
                {"op": "remove"},
                {"op": "remove", "path": ""},
                {"op": "add", "path": 5, "value": "x"},
                {"op": None, "path": "members"},
                {"op": "replace", "value": None},
                {"op": "replace", "value": "members"},
                {"op": "replace", "value": []},
                {"op": "remove", "path": "members]"},
                {"op": "remove", "path": "roles[["},
                {"op": "remove", "path": "entitlements."},
                {"op": "remove", "path": ".value"},
                {"op": "remove", "path": "[value pr]"},
                {"path": "roles"},
            ]
        )

    def _without_path(self, made: Patch, op: str) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(self._one([0, 1, 1, 1, 2, 3])):
            if made.kind.extensions and self._seldom(5):
                urn = self._one(made.kind.extensions)
                value[self._cased(urn)] = self._extension(made.kind, urn)
                continue
            path, name, sub = self._path(made)
            if path.lower() not in map(str.lower, value):
                value[path] = self._value(made.kind, name, sub, one="[" in path and sub is None)
        operation = {"op": op, "value": value}
        if self._seldom(8):
            operation["path"] = None
        return operation

    def _extension(self, kind: Kind, urn: str) -> Any:
        if self._seldom(10):
            return self._one([None, "", [], "x", {}])
        within = [each.removeprefix(f"{urn}:") for each in (*kind.simple, *kind.complex) if urn in each]
        named = {self._one(within): None for _ in range(self._one([1, 1, 2]))}
        return {self._cased(name): self._value(kind, f"{urn}:{name}", None) for name in named}

    # -- Paths -----------------------------------------------------------

    def _path(self, made: Patch) -> tuple[str, str, str | None]:
        """Return a path, the attribute it is about, and the sub-attribute if it is about one."""
        kind = made.kind
        if self._seldom(50):
            unknown = self._one(
                ["nothing", "name.nothing", "urn:none:title", "members.", "a b", "roles.value.x"]
            )
            return unknown, "nothing", None
        if kind.extensions and self._seldom(20):
            urn = self._one(kind.extensions)
            return self._cased(urn), urn, None
        if self._seldom(40):
            return "schemas", "schemas", None
        form = self._one(["simple", "complex", "list", "list", "list"])
        if form == "simple":
            name = self._one((*kind.simple, *kind.plain_lists))
            return self._prefixed(kind, name), name, None
        if form == "complex":
            name = self._one(list(kind.complex))
            sub = self._one([None, *kind.complex[name]])
        else:
            # Those that carry rights come up more often than others.
            name = self._one([*kind.lists, *kind.exact])
            # What a member is cannot be changed, so it is seldom tried.
            usual = [None] * (16 if name == "members" else 4)
            sub = self._one([*usual, *kind.lists.get(name, ())])
        text = self._prefixed(kind, name)
        if (form == "list" and self._often(2)) or self._seldom(40):
            selection = self._selection(kind, name)
            made.selections[selection.text] = selection
            text += selection.text
        return text + (f".{self._cased(sub)}" if sub else ""), name, sub

    def _prefixed(self, kind: Kind, name: str) -> str:
        whole = name if name.startswith("urn:") or not self._seldom(8) else f"{kind.schema}:{name}"
        return self._cased(whole)

    def _cased(self, name: str) -> str:
        return self._one([name] * 6 + [name.lower(), name.upper(), name.swapcase()])

    # -- Filters ---------------------------------------------------------

    def _selection(self, kind: Kind, name: str) -> Selection:
        if self._seldom(25):
            return refused(
                self._one(
                    [
                        *("[value eq]", '[value zz "x"]', '[nothing eq "x"]', '[not (nothing eq "x")]'),
                        *(
                            '[nothing ne "x"]',
                            "[not (nothing pr)]",
                            "[value eq x]",
                            "[]",
                            "[ ]",
                            '[value eq "x"',
                        ),
                        *('[value eq "x" or]', "[value ne 5]", '[primary eq "banana"]', '[userName eq "x"]'),
                        *('[value eq "x"]]', '[(value eq "x"]', '[value.nothing eq "x"]', "[*]", "[true]"),
                    ]
                )
            )
        subs = kind.lists.get(name) or kind.complex.get(name) or ("value",)
        return self._term(kind, name, [each for each in subs if each != "$ref"], depth=2).in_brackets()

    def _term(self, kind: Kind, name: str, subs: Sequence[str], depth: int) -> Selection:
        if depth and self._seldom(5):
            terms = [self._term(kind, name, subs, depth - 1) for _ in range(2)]
            return either(terms) if self._often(2) else both(terms)
        if depth and self._seldom(6):
            return negated(self._term(kind, name, subs, depth - 1))
        sub = self._one(subs)
        if self._seldom(8):
            return is_present(self._cased(sub), sub)
        operator = self._one(["eq"] * 8 + ["ne", "co", "sw", "ew", "gt", "le"])
        if sub == "primary":
            return compares("primary", self._one(["eq", "ne"]), self._one([True, False]))
        operand = self._one(self._words(name, sub))
        exact = sub == "value" and name in kind.exact
        shown = operand if exact else self._cased(operand)
        return compares(
            self._cased(sub), self._one([operator, operator.upper()]), shown, sub=sub, exact=exact
        )

    # -- Values ----------------------------------------------------------

    def _words(self, name: str, sub: str | None) -> list[str]:
        """Return what a string of an attribute is likely to be."""
        match name.rpartition(":")[2], sub:
            case "members", "value" | None:
                return [*self.ids, ABSENT]
            case "members", "type":
                return ["User", "Group"]
            case "groups", "value":
                return [*self.group_ids, ABSENT]
            case "roles", "value":
                return ["Buyer", "Seller", "Boss", "buyer"]
            case "entitlements", "value":
                return ["orders", "inert", "stock", "Orders"]
            case "emails", "value":
                return ["ada@work.example", "ada@home.example", "new@work.example"]
            case "accessEndsAt" | "accessStartsAt", _:
                return ["2030-01-31T00:00:00Z", "2029-01-01T00:00:00", "tomorrow"]
            case _, "type":
                return ["work", "home", "other", "License"]
            case "scopes", _:
                return ["read", "write", "Read"]
            case "issuance" | "keyPolicy", _:
                return ["manual", "automatic", "never"]
            case "methods" | "paths" | "notAfter", _:
                return ["GET", "/orders", "2030-01-01T00:00:00Z"]
            case _:
                return ["x", "Ada", "Sales", "7", "é"]

    def _value(self, kind: Kind, name: str, sub: str | None, *, one: bool = False) -> Any:
        """Make the value of an add or a replace; ``one``: of the entries that a filter selects."""
        if self._seldom(30):
            return self._anything()
        if sub is None and name in kind.lists:
            entries = [self._entry(name, kind.lists[name]) for _ in range(self._one([1, 1, 2, 3]))]
            return entries[0] if one or self._seldom(5) else entries
        if sub is None and name in kind.complex:
            made = self._entry(name, kind.complex[name])
            return [made] if self._seldom(10) else made
        if sub is None and name in kind.plain_lists:
            return [self._one(self._words(name, None)) for _ in range(self._one([1, 2]))]
        if sub is None and name in kind.extensions:
            return self._extension(kind, name)
        if name == "schemas":
            return [kind.schema]
        return self._simple(name, sub)

    def _entry(self, name: str, subs: Sequence[str]) -> Any:
        if self._seldom(12):
            text = self._one(self._words(name, "value"))
            return self._one([text, {"value": json.dumps({"id": "1", "value": text, "displayName": "x"})}])
        named = dict.fromkeys([self._one(subs) for _ in range(self._one([1, 2, 3]))])
        if "value" in subs and not self._seldom(5):
            named.setdefault("value")
        return {self._cased(each): self._simple(name, each) for each in named}

    def _simple(self, name: str, sub: str | None) -> Any:
        last = sub or name.rpartition(":")[2]
        if self._seldom(30):
            return self._one([None, "", 5, True, "True", [], {}])
        if last in ("active", "supported", "primary"):
            return self._one([True, True, False, "True", "False", 1])
        if last == "lifetimeSeconds":
            return self._one([60, 3600, "60", 0])
        if last in ("methods", "paths"):
            return [self._one(self._words(last, None))]
        return self._one(self._words(name if sub else last, sub))

    def _removed(self, kind: Kind, name: str, sub: str | None) -> Any:
        if self._seldom(6):
            return self._one(["", [], {}, [None], [{}], [{"value": None}], "x", [""]])
        if name in kind.lists and sub is None:
            entries = [self._entry(name, kind.lists[name]) for _ in range(self._one([1, 1, 2]))]
            return entries[0] if self._seldom(5) else entries
        return self._value(kind, name, sub)

    def _anything(self) -> Any:
        return self._one(
            [
                *(None, "", "x", "members", 5, -1, 1.5, True, [], {}, [[]], [None], [""], {"value": []}),
                *(
                    {"value": {"value": "x"}},
                    {"nothing": "x"},
                    {"value": "x", "VALUES": ["x"]},
                    [{"nothing": 1}],
                ),
            ]
        )

    # -- Chance ----------------------------------------------------------

    def _one(self, among: Sequence[Item]) -> Item:
        return among[self.chance.randrange(len(among))]

    def _often(self, times: int) -> bool:
        """One time out of so many, as the usual thing: the smallest example has it."""
        return self.chance.randrange(times) == 0

    def _seldom(self, times: int) -> bool:
        """One time out of so many, as the odd thing: the smallest example has it not."""
        return self.chance.randrange(times) == times - 1
