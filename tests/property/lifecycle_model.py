"""A plain model of the design's rules for rights and keys: sets, and moments in microseconds.

It knows no table and no interval. After each step it looks at who holds what now, and remembers of each
(consumer, entitlement) since when it is held without too long a gap; a key counts for what it was issued for
as long as it was issued no earlier than that.

Of the brake it knows what docs/brake.md tells: who counts as withdrawn, when it is too many, and that a gap
that began with a withdrawal of it is not final before an operator decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import inf

BRAKE_SPAN = 3_600_000_000
"""Within how long withdrawals count together, in microseconds."""

DEAD = "dead"
"""What the gate says of a secret that never works again, in whichever words."""


@dataclass
class UserModel:
    id: str
    name: str
    active: bool
    direct: set[str]
    roles: set[str]
    starts: int | None = None
    ends: int | None = None
    # Who answers for it, if it is a service user; it may be nobody.
    sponsor: str | None = None


@dataclass
class EntitlementModel:
    id: str
    value: str
    supported: bool = True
    automatic: bool = False
    lifetime: int | None = None
    roles: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


@dataclass
class SecretModel:
    text: str
    ends: int | None = None


@dataclass
class KeyModel:
    id: str
    user: str
    entitlements: frozenset[str]
    issued: int
    expires: int | None
    claimed: bool = False
    # Why it is dead for good ("revoked" or "expired"), once it is.
    final: str | None = None
    # For what it can never count again, and since when.
    lapsed: dict[str, int] = field(default_factory=dict)
    secrets: list[SecretModel] = field(default_factory=list)


@dataclass
class Holding:
    """Since when a right is held; ``gone``: when it went, if it is not held now."""

    since: int
    gone: int | None = None


@dataclass
class BrakeModel:
    """``holds_until``: None until an operator decided."""

    decision: str | None = None
    holds_until: int | None = None


@dataclass
class Withdrawal:
    """A write of the connection: from whom it took the last, and the brake that holds what it took."""

    moment: int
    people: set[str] = field(default_factory=set)
    brake: BrakeModel | None = None


Right = tuple[str, str]


class Model:
    """A directory, its keys, and the time."""

    def __init__(self, window: int, *, brake_minimum: int | None = None) -> None:
        """:param brake_minimum: how many withdrawn people are too many; None: there is no brake."""
        self.window = window
        self.brake_minimum = brake_minimum
        self.now = 0
        self.suspends = True
        self.users: dict[str, UserModel] = {}
        self.groups: dict[str, set[str]] = {}
        self.entitlements: dict[str, EntitlementModel] = {}
        self.keys: dict[str, KeyModel] = {}
        self.holdings: dict[Right, Holding] = {}
        self.withdrawals: dict[int, Withdrawal] = {}
        self.brakes: list[BrakeModel] = []
        # Who was here, and who held anything, when it was last looked.
        self.were_here: set[str] = set()
        self.were_granted: set[str] = set()

    # -- What follows from the directory as it is ----------------------------------------

    def groups_above(self, member: str) -> set[str]:
        above: set[str] = set()
        found = {member}
        while found:
            found = {group for group, members in self.groups.items() if members & found} - above
            above |= found
        return above

    def is_here(self, user: UserModel) -> bool:
        return user.active and (user.ends is None or self.now < user.ends)

    def is_answered_for(self, user: UserModel) -> bool:
        """Whether a user needs no sponsor, or has one who is here."""
        sponsor = self.users.get(user.sponsor or "")
        return user.sponsor is None or not self.suspends or (sponsor is not None and self.is_here(sponsor))

    def reasons(self, user: UserModel, entitlement: EntitlementModel) -> set[tuple[str, str]]:
        """The three ways to a grant, and no fourth."""
        if not self.is_here(user) or not self.is_answered_for(user) or not entitlement.supported:
            return set()
        reasons = {("role", role) for role in user.roles & entitlement.roles}
        reasons |= {("group", group) for group in self.groups_above(user.id) & entitlement.groups}
        return reasons | {("direct", value) for value in user.direct & {entitlement.value}}

    def grants(self) -> dict[Right, set[tuple[str, str]]]:
        return {
            (user.id, entitlement.id): reasons
            for user in self.users.values()
            for entitlement in self.entitlements.values()
            if (reasons := self.reasons(user, entitlement))
        }

    def contains(self, group: str, other: str) -> bool:
        """Whether a group is the other one, or holds it, nested or not."""
        return group == other or group in self.groups_above(other)

    # -- Time ----------------------------------------

    def move_on(self, span: int) -> None:
        """Let time pass; whatever ends by itself on the way ends in its order."""
        end = self.now + span
        for moment in sorted({user.ends for user in self.users.values() if user.ends is not None}):
            if self.now < moment <= end:
                self.now = moment
                self.look()
        self.now = end
        self.look()

    def look(self, *, by_connection: bool = False, of: str | None = None) -> set[Right]:
        """Note what is held now, and what became of keys; return what is held and was not just before.

        :param by_connection: whether a write of the connection has just been made.
        :param of: the entitlement that it was about, if it was about one.
        """
        held = self.grants().keys()
        come = set()
        if by_connection and self.brake_minimum is not None:
            self._withdraw(self._lost(of), self.brake_minimum)
        self.were_here = {user.id for user in self.users.values() if self.is_here(user)}
        self.were_granted = {user for user, _ in held}
        for right, holding in self.holdings.items():
            if right not in held and holding.gone is None:
                holding.gone = self.now
        self._let_lapse()
        for right in held:
            if (known := self.holdings.get(right)) is None:
                self.holdings[right] = Holding(self.now)
                come.add(right)
            elif known.gone is not None:
                if self.now >= self._final_at(known.gone):
                    known.since = self.now
                known.gone = None
                come.add(right)
        self._let_end()
        return come

    def _let_lapse(self) -> None:
        for key in self.living():
            for entitlement in key.entitlements - key.lapsed.keys():
                gone = self.holdings[key.user, entitlement].gone
                if gone is not None and self.now >= self._final_at(gone):
                    key.lapsed[entitlement] = int(self._final_at(gone))

    def _let_end(self) -> None:
        for key in self.living():
            lapse = max(key.lapsed.values()) if key.lapsed.keys() == key.entitlements else None
            if key.expires is not None and key.expires <= self.now and (lapse is None or key.expires < lapse):
                key.final = "expired"
            elif lapse is not None:
                key.final = "revoked"

    # -- The brake ----------------------------------------

    def waiting(self) -> BrakeModel | None:
        return next((each for each in self.brakes if each.decision is None), None)

    def people_of(self, brake: BrakeModel) -> set[str]:
        return {one for each in self.withdrawals.values() if each.brake is brake for one in each.people}

    def decide(self, brake: BrakeModel, decision: str, within: int) -> None:
        brake.decision, brake.holds_until = decision, self.now + within

    def _final_at(self, gone: int) -> float:
        """When a gap becomes final that began at a moment: never, as long as a brake waits that holds it."""
        brake = self.withdrawals[gone].brake if gone in self.withdrawals else None
        if brake is None:
            return gone + self.window
        return inf if brake.holds_until is None else max(gone + self.window, brake.holds_until)

    def _lost(self, of: str | None) -> set[str]:
        """From whom the write took the last: who was here and is not, or held anything and holds nothing.

        Of a change to an entitlement only those count who hold a key for it.
        """
        here = {user.id for user in self.users.values() if self.is_here(user)}
        granted = {user for user, _ in self.grants()}
        lost = (self.were_here - here) | ((self.were_granted & here) - granted)
        if of is not None:
            lost &= {key.user for key in self.living() if of in key.entitlements}
        return lost

    def _withdraw(self, people: set[str], minimum: int) -> None:
        write = self.withdrawals.setdefault(self.now, Withdrawal(self.now, brake=self.waiting()))
        if not people - write.people:
            return
        write.people |= people
        if write.brake is not None:
            return
        within = [
            each
            for each in self.withdrawals.values()
            if each.moment > self.now - BRAKE_SPAN and each.brake is None
        ]
        if sum(len(each.people) for each in within) >= minimum:
            self.brakes.append(BrakeModel())
            for each in within:
                # What is final already stays so.
                if each is write or each.moment > self.now - self.window:
                    each.brake = self.brakes[-1]

    # -- Keys ----------------------------------------

    def living(self) -> Iterator[KeyModel]:
        return (key for key in self.keys.values() if key.final is None)

    def counts(self, key: KeyModel) -> set[str]:
        """The entitlements that a key counts for now."""
        if key.final is not None:
            return set()
        holdings = {each: self.holdings[key.user, each] for each in key.entitlements}
        return {each for each, held in holdings.items() if held.gone is None and held.since <= key.issued}

    def state(self, key: KeyModel) -> str:
        if key.final is not None:
            return key.final
        if not self.counts(key):
            return "dormant"
        return "active" if key.claimed else "issued"

    def verdict(self, key: KeyModel, secret: SecretModel) -> str:
        """What the gate says of one of the secrets of a key, where nothing special is asked for."""
        user = self.users.get(key.user)
        if key.final is not None or user is None or (secret.ends is not None and secret.ends <= self.now):
            return DEAD
        if not user.active:
            return "consumer_inactive"
        if user.starts is not None and self.now < user.starts:
            return "access_not_started"
        if user.ends is not None and user.ends <= self.now:
            return "access_ended"
        if not self.is_answered_for(user):
            return "sponsor_absent"
        return "allow" if self.counts(key) else "no_grant"

    def issue(self, key_id: str, user: str, entitlements: Iterable[str]) -> None:
        wanted = frozenset(entitlements)
        lifetimes = [each for name in wanted if (each := self.entitlements[name].lifetime) is not None]
        expires = self.now + min(lifetimes) if lifetimes else None
        self.keys[key_id] = KeyModel(key_id, user, wanted, self.now, expires)

    def claim(self, key: KeyModel, text: str) -> None:
        key.claimed = True
        key.secrets.append(SecretModel(text))

    def rotate(self, key: KeyModel, text: str, overlap: int) -> None:
        """The present secret ends after the overlap, one left of an earlier rotation at once."""
        *older, present = key.secrets
        for each in older:
            each.ends = min(each.ends or self.now, self.now)
        present.ends = self.now + overlap
        key.secrets.append(SecretModel(text))

    def revoke(self, key: KeyModel) -> None:
        key.final = "revoked"

    # -- What is deleted ----------------------------------------

    def delete_user(self, user: UserModel) -> None:
        del self.users[user.id]
        for members in self.groups.values():
            members.discard(user.id)
        for key in self.keys.values():
            if key.user == user.id:
                self.revoke(key)

    def delete_group(self, group: str) -> None:
        del self.groups[group]
        for members in self.groups.values():
            members.discard(group)
        for entitlement in self.entitlements.values():
            entitlement.groups.discard(group)

    def delete_entitlement(self, entitlement: EntitlementModel) -> None:
        """Its right is gone for good, so that a key that has no other right to come back for is dead."""
        del self.entitlements[entitlement.id]
        for key in self.keys.values():
            if not key.entitlements & self.entitlements.keys():
                self.revoke(key)
            elif key.final is None and entitlement.id in key.entitlements:
                key.lapsed.setdefault(entitlement.id, self.now)
