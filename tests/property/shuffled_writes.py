"""Generated directories, and the many orders of writes that all lead to the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from hypothesis import strategies as st

from app.directory.entitlements import ENTITLEMENT_SCHEMA
from app.scim.dialects import DIALECTS
from app.scim.provider import DirectoryProvider, load_provider
from app.scim.views import ViewStorage
from app.store.unit_of_work import Unit

USERS: Final = ("u0", "u1", "u2")
GROUPS: Final = ("g0", "g1", "g2", "g3")
VALUES: Final = ("e0", "e1", "e2")
ROLES: Final = ("r0", "r1")
NOTHING: Final = "nothing"
"""A value that names no entitlement."""

SCHEMAS: Final = {
    "User": "urn:ietf:params:scim:schemas:core:2.0:User",
    "Group": "urn:ietf:params:scim:schemas:core:2.0:Group",
    "Entitlement": ENTITLEMENT_SCHEMA,
}
_NAMED_BY: Final = {"User": "userName", "Group": "displayName", "Entitlement": "value"}

PROVIDER: Final[DirectoryProvider] = load_provider(DIALECTS["field"].policy)

Document = dict[str, Any]
Edit = Callable[["Names", Document], None]


@dataclass(frozen=True)
class UserState:
    active: bool
    direct: frozenset[str]
    roles: frozenset[str]


@dataclass(frozen=True)
class EntitlementState:
    automatic: bool
    supported: bool
    roles: frozenset[str]
    groups: frozenset[str]


@dataclass(frozen=True)
class DirectoryState:
    """What a directory says in the end, by names. A group's members are users and later groups: no cycles."""

    users: dict[str, UserState]
    groups: dict[str, frozenset[str]]
    entitlements: dict[str, EntitlementState]

    def groups_above(self, member: str) -> set[str]:
        direct = {group for group, members in self.groups.items() if member in members}
        return direct.union(*(self.groups_above(group) for group in direct))

    def grants(self) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """The three ways to a grant, and no fourth, as a person would say them."""
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for name, user in self.users.items():
            above = self.groups_above(name)
            for value, entitlement in self.entitlements.items():
                if not user.active or not entitlement.supported:
                    continue
                reasons = {("role", role) for role in user.roles & entitlement.roles}
                reasons |= {("group", group) for group in above & entitlement.groups}
                if value in user.direct:
                    reasons.add(("direct", value))
                if reasons:
                    found[name, value] = reasons
        return found


class Names:
    """What has been made so far: the ids behind the names of this test."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}

    def member(self, name: str) -> Document:
        return {"value": self.ids[name]}


@dataclass(frozen=True)
class Write:
    """One write of an identity provider, and what must have been written before it."""

    label: str
    after: tuple[str, ...]
    do: Callable[[Unit, Names], None] = field(repr=False)


def create(
    kind: str, name: str, *, key: str | None = None, **attributes: Any
) -> Callable[[Unit, Names], None]:
    def do(unit: Unit, names: Names) -> None:
        filled = {attr: value(names) if callable(value) else value for attr, value in attributes.items()}
        document = {"schemas": [SCHEMAS[kind]], _NAMED_BY[kind]: name, **filled}
        with PROVIDER:
            storage, resource_type = _storage(unit), _type(kind)
            made = storage.create(resource_type, PROVIDER.model_for(kind).model_validate(document))
        names.ids[key or name] = str(made.id)

    return do


def change(kind: str, name: str, edit: Edit) -> Callable[[Unit, Names], None]:
    def do(unit: Unit, names: Names) -> None:
        with PROVIDER:
            storage, resource_type = _storage(unit), _type(kind)
            document = storage.get(resource_type, names.ids[name]).model_dump(mode="json")
            edit(names, document)
            storage.update(resource_type, PROVIDER.model_for(kind).model_validate(document))

    return do


def delete(kind: str, name: str) -> Callable[[Unit, Names], None]:
    def do(unit: Unit, names: Names) -> None:
        with PROVIDER:
            _storage(unit).delete(_type(kind), names.ids.pop(name))

    return do


def _storage(unit: Unit) -> ViewStorage:
    return ViewStorage(unit, PROVIDER, DIALECTS["field"])


def _type(kind: str) -> Any:
    return next(each for each in PROVIDER.resource_types if each.name == kind)


def assign(attribute: str, value: Any) -> Edit:
    return lambda _names, document: document.update({attribute: value})


def add(attribute: str, name: str, *, of_resource: bool = False) -> Edit:
    def edit(names: Names, document: Document) -> None:
        item = names.member(name) if of_resource else {"value": name}
        document[attribute] = [*(document.get(attribute) or []), item]

    return edit


def take(attribute: str, name: str, *, of_resource: bool = False) -> Edit:
    def edit(names: Names, document: Document) -> None:
        value = names.ids[name] if of_resource else name
        document[attribute] = [each for each in document.get(attribute) or [] if each["value"] != value]

    return edit


def whole(state: DirectoryState) -> list[Write]:
    """The writes that make each resource as it is in the end."""
    writes = []
    for name, user in state.users.items():
        do = create(
            "User", name, active=user.active, entitlements=_items(user.direct), roles=_items(user.roles)
        )
        writes.append(Write(name, (), do))
    for name, members in state.groups.items():
        writes.append(Write(name, tuple(members), create("Group", name, members=_those(members))))
    for value, entitlement in state.entitlements.items():
        do = create(
            "Entitlement",
            value,
            **_policy(entitlement),
            roles=_items(entitlement.roles),
            groups=_those(entitlement.groups),
        )
        writes.append(Write(value, tuple(entitlement.groups), do))
    return writes


def piecemeal(state: DirectoryState) -> list[Write]:
    """The writes that make each resource bare, and add what it holds one by one."""
    writes = []
    for name, user in state.users.items():
        writes.append(Write(name, (), create("User", name, active=user.active)))
        for attribute, values in (("entitlements", user.direct), ("roles", user.roles)):
            for value in sorted(values):
                do = change("User", name, add(attribute, value))
                writes.append(Write(f"{name} {attribute} {value}", (name,), do))
    for name, members in state.groups.items():
        writes.append(Write(name, (), create("Group", name)))
        for member in sorted(members):
            do = change("Group", name, add("members", member, of_resource=True))
            writes.append(Write(f"{name} has {member}", (name, member), do))
    for value, entitlement in state.entitlements.items():
        writes.append(Write(value, (), create("Entitlement", value, **_policy(entitlement))))
        for role in sorted(entitlement.roles):
            do = change("Entitlement", value, add("roles", role))
            writes.append(Write(f"{value} for {role}", (value,), do))
        for group in sorted(entitlement.groups):
            do = change("Entitlement", value, add("groups", group, of_resource=True))
            writes.append(Write(f"{value} for {group}", (value, group), do))
    return writes


def _policy(entitlement: EntitlementState) -> Document:
    issuance = "automatic" if entitlement.automatic else "manual"
    return {"supported": entitlement.supported, "keyPolicy": {"issuance": issuance}}


def _items(values: Iterable[str]) -> list[Document]:
    return [{"value": each} for each in sorted(values)]


def _those(members: Iterable[str]) -> Callable[[Names], list[Document]]:
    return lambda names: [names.member(each) for each in sorted(members)]


def detours(state: DirectoryState, kinds: Sequence[str], random: Random) -> list[Write]:
    """Writes that, each detour's made in their order, change nothing in the end."""
    writes: dict[str, list[Write]] = {}
    for number, kind in enumerate(kinds):
        made = _detour(state, number, kind, random)
        if made:
            # Of several earlier lives of one thing, one is lived: they would be at the same time.
            writes.setdefault(made[0].label.partition("<")[0], made)
    return [each for made in writes.values() for each in made]


def _detour(state: DirectoryState, number: int, kind: str, random: Random) -> list[Write]:
    user, group, value = random.choice(USERS), random.choice(GROUPS), random.choice(VALUES)
    steps: list[Callable[[Unit, Names], None]] = []
    after: tuple[str, ...] = ()
    key = f"detour{number}"
    match kind:
        case "value":
            attribute = random.choice(("entitlements", "roles"))
            of_user = state.users[user]
            held, there_are = (
                (of_user.direct, (*VALUES, NOTHING))
                if attribute == "entitlements"
                else (of_user.roles, ROLES)
            )
            given = random.choice(there_are)
            if given not in held:
                after = (user,)
                steps = [change("User", user, edit(attribute, given)) for edit in (add, take)]
        case "member":
            member = random.choice((*USERS, *GROUPS[GROUPS.index(group) + 1 :]))
            if member not in state.groups[group]:
                after = (group, member)
                steps = [
                    change("Group", group, edit("members", member, of_resource=True)) for edit in (add, take)
                ]
        case "mapping":
            if group not in state.entitlements[value].groups:
                after = (value, group)
                steps = [
                    change("Entitlement", value, edit("groups", group, of_resource=True))
                    for edit in (add, take)
                ]
        case "activity":
            after = (user,)
            active = state.users[user].active
            steps = [change("User", user, assign("active", each)) for each in (not active, active)]
        case "support":
            after = (value,)
            supported = state.entitlements[value].supported
            steps = [
                change("Entitlement", value, assign("supported", each)) for each in (not supported, supported)
            ]
        case "rename":
            what, name = random.choice((("User", user), ("Group", group), ("Entitlement", value)))
            after = (name,)
            steps = [change(what, name, assign(_NAMED_BY[what], each)) for each in (f"{name}-{number}", name)]
        case "passing group":
            after = (*USERS, value)
            steps = [
                create("Group", key, members=_those(USERS)),
                change("Entitlement", value, add("groups", key, of_resource=True)),
                delete("Group", key),
            ]
        case "passing entitlement":
            after = (group,)
            policy = _policy(EntitlementState(True, True, frozenset(), frozenset()))
            mapped = {"roles": _items(ROLES), "groups": _those([group])}
            # It comes to name what users hold; two of them must not hold one value at the same time.
            named = NOTHING if number == 0 else f"{NOTHING}-too-{number}"
            steps = [
                create("Entitlement", f"{NOTHING}-{number}", key=key, **policy, **mapped),
                change("Entitlement", key, assign("value", named)),
                delete("Entitlement", key),
            ]
        case "earlier life":
            what, name = random.choice((("User", user), ("Group", group), ("Entitlement", value)))
            attributes: Document = {
                "User": {"active": True, "entitlements": _items((*VALUES, NOTHING))},
                "Group": {},
                "Entitlement": {"keyPolicy": {"issuance": "automatic"}, "roles": _items(ROLES)},
            }[what]
            steps = [create(what, name, key=key, **attributes), delete(what, key)]
            return _chained(key, after, steps, before=name)
    return _chained(key, after, steps)


def _chained(
    key: str, after: tuple[str, ...], steps: Sequence[Callable[[Unit, Names], None]], before: str = ""
) -> list[Write]:
    writes = []
    for number, step in enumerate(steps):
        label = f"{before}<{key}.{number}" if before else f"{key}.{number}"
        writes.append(Write(label, after, step))
        after = (label,)
    return writes


DETOURS: Final = (
    "value",
    "member",
    "mapping",
    "activity",
    "support",
    "rename",
    "passing group",
    "passing entitlement",
    "earlier life",
)


def shuffled(writes: Iterable[Write], random: Random) -> list[Write]:
    """Return the writes in one of the orders in which they can be made."""
    waiting = list(writes)
    labels = {each.label for each in waiting}
    done: set[str] = set()
    ordered = []
    while waiting:
        ready = [
            each
            for each in waiting
            # Who had an earlier life is made again only after its end.
            if done.issuperset(each.after)
            and done.issuperset(label for label in labels if label.partition("<")[0] == each.label != label)
        ]
        chosen = random.choice(ready)
        waiting.remove(chosen)
        done.add(chosen.label)
        ordered.append(chosen)
    return ordered


def _some(names: Sequence[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(names), max_size=3) if names else st.just(frozenset())


DIRECTORIES: Final = st.builds(
    DirectoryState,
    st.fixed_dictionaries(
        {
            name: st.builds(
                UserState, st.sampled_from([True, True, False]), _some((*VALUES, NOTHING)), _some(ROLES)
            )
            for name in USERS
        }
    ),
    st.fixed_dictionaries(
        {name: _some((*GROUPS[number + 1 :], *USERS)) for number, name in enumerate(GROUPS)}
    ),
    st.fixed_dictionaries(
        {
            value: st.builds(
                EntitlementState,
                st.booleans(),
                st.sampled_from([True, True, False]),
                _some(ROLES),
                _some(GROUPS),
            )
            for value in VALUES
        }
    ),
)
