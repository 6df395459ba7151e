"""Drives directories and keys in random order, through the faces, and compares them with the plain model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, TypeVar

import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from werkzeug.test import TestResponse

from app import AFTERWARDS
from app.operator.tenants import change_settings
from app.rights.grants import grants
from app.store import tables
from app.store.moments import rfc3339
from app.store.unit_of_work import wall_clock
from tests.http.conftest import BULK, CONSUMER, DAY, ENTITLEMENT, GROUP, HOUR, PATCH, USER, Key, Tenant
from tests.property.lifecycle_model import DEAD, EntitlementModel, KeyModel, Model, UserModel

USERS: Final = ("ada", "bo", "cy")
SPONSOR, SERVICE, NOBODY = "ada", "cy", "0" * 32
GROUPS: Final = ("g0", "g1", "g2", "g3")
VALUES: Final = ("e0", "e1", "e2")
ROLES: Final = ("r0", "r1")
MINIMUM: Final = 2
"""How many people withdrawn within an hour engage the brake, where there is one."""

_DEAD_WORDS: Final = {
    "key_revoked",
    "key_expired",
    "secret_rotated",
    "consumer_deleted",
    "right_lapsed",
}
_MOST_DEAD: Final = 4
"""How many dead secrets are tried after each step, besides all that live."""

users = st.sampled_from(USERS)
groups = st.sampled_from(GROUPS)
values = st.sampled_from(VALUES)
roles = st.sampled_from(ROLES)
some_values = st.sets(values, max_size=2)
some_roles = st.sets(roles, max_size=2)
some_groups = st.sets(groups, max_size=2)
some_members = st.sets(st.one_of(users, users, groups), max_size=4)
starts_in = st.sampled_from([None, None, None, None, -HOUR, HOUR, 5 * HOUR])
ends_in = st.sampled_from([None, None, None, -HOUR, HOUR, 5 * HOUR, 30 * HOUR])
lifetimes = st.sampled_from([None, None, None, 3 * HOUR, 40 * HOUR])
often = st.sampled_from([True, True, True, False])
numbers = st.integers(0, 2**16)


Item = TypeVar("Item")


def one(number: int, among: Iterable[Item]) -> Item:
    """Return one of some things, always the same of the same."""
    known = list(among)
    return known[number % len(known)]


class LifecycleMachine(RuleBasedStateMachine):
    """The steps. A subclass says what founds a tenant; :meth:`send` is where each SCIM request passes."""

    found: ClassVar[Callable[..., Tenant]]
    steps: ClassVar[list[int]]

    @initialize(window=st.sampled_from([DAY, DAY, 0]), braked=st.booleans())
    def begin(self, window: int, braked: bool) -> None:
        self.tenant = type(self).found(recovery_window=window)
        self.model = Model(window, brake_minimum=MINIMUM if braked else None)
        # Of so few people one per cent is one, so that the minimum is what decides.
        brake = {"percent": 1 if braked else 0, "minimum": MINIMUM}
        self.done(self.tenant.operator.post("/connections/idp/brake", brake), 200)
        # The ids behind the names, and the access dates that were sent, by the clock of this machine.
        self.ids: dict[str, str] = {}
        self.sent: dict[str, dict[str, int]] = {}
        # Something to begin with, so that most steps find what they are about.
        self.write_user("ada", True, {"e0"}, set(), None, None, False)
        self.write_user("bo", True, set(), {"r0"}, None, None, False)
        self.write_group("g0", {"ada", "bo"})
        self.write_group("g1", {"g0"})
        self.write_entitlement("e0", True, True, None, set(), {"g1"})
        self.write_entitlement("e1", True, False, None, {"r0"}, {"g0"})

    # -- What all steps share ----------------------------------------

    def send(self, method: str, path: str, body: Any = None) -> TestResponse:
        return self.tenant.scim.send(method, path, body)

    def patch(self, path: str, *operations: dict[str, Any]) -> TestResponse:
        return self.send("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})

    def done(self, answer: TestResponse, *statuses: int) -> None:
        assert answer.status_code in statuses, answer.text

    def tick(self) -> None:
        self.last_listed: dict[str, dict[str, Any]] | None = None
        self.model.now += 1
        self.model.look()
        type(self).steps[0] += 1

    def follow(self, *, by_connection: bool = True, of: str | None = None) -> None:
        """Let the model see what a step did, and learn of the keys that were issued by themselves.

        :param by_connection: whether it was the connection that did it.
        :param of: the entitlement that the step was about, if it was about one.
        """
        come = self.model.look(by_connection=by_connection, of=of)
        listed = self.listed()
        new = [each for each in listed.values() if each["id"] not in self.model.keys]
        # In an order that is the same whatever ids the things were given.
        for shown in sorted(
            new, key=lambda each: (each["consumer"]["userName"], each["entitlements"][0]["display"])
        ):
            (entitlement,) = (each["value"] for each in shown["entitlements"])
            right = shown["consumer"]["value"], entitlement
            assert self.model.entitlements[entitlement].automatic, shown
            assert right in self.model.grants(), shown
            assert not self.served(right), f"a second key for {right}"
            self.model.issue(shown["id"], right[0], [entitlement])
        for right in come:
            if self.model.entitlements[right[1]].automatic:
                assert self.served(right), f"no key for {right}"

    def served(self, right: tuple[str, str]) -> bool:
        return any(right[1] in self.model.counts(key) for key in self.model.living() if key.user == right[0])

    def listed(self) -> dict[str, dict[str, Any]]:
        """The keys as they are after this step: asked for once, as nothing is written after it."""
        if self.last_listed is None:
            listed = self.tenant.keys()
            self.last_listed = {each["id"]: each for each in listed}
        return self.last_listed

    def user(self, name: str) -> UserModel | None:
        return self.model.users.get(self.ids.get(name, ""))

    def entitlement(self, value: str) -> EntitlementModel | None:
        return self.model.entitlements.get(self.ids.get(value, ""))

    def known(self, names: Iterable[str]) -> set[str]:
        """The ids of those users and groups that are there."""
        ids = {self.ids[name] for name in names if name in self.ids}
        return ids & (self.model.users.keys() | self.model.groups.keys())

    # -- Users ----------------------------------------

    @rule(
        name=users,
        active=often,
        direct=some_values,
        given=some_roles,
        starts=starts_in,
        ends=ends_in,
        by_put=st.booleans(),
        service=st.booleans(),
    )
    def write_user(
        self,
        name: str,
        active: bool,
        direct: set[str],
        given: set[str],
        starts: int | None,
        ends: int | None,
        by_put: bool,
        service: bool = False,
    ) -> None:
        """Write a user; one of them may be a service user, for which another one answers."""
        self.tick()
        sponsor = self.ids.get(SPONSOR, NOBODY) if service and name == SERVICE else None
        clock, spans = wall_clock(), {"accessStartsAt": starts, "accessEndsAt": ends}
        sent = {each: clock + span for each, span in spans.items() if span is not None}
        said = {
            "active": active,
            "entitlements": [{"value": each} for each in sorted(direct)],
            "roles": [{"value": each} for each in sorted(given)],
            "userType": "Service" if sponsor is not None else "Employee",
            CONSUMER: {each: rfc3339(moment) for each, moment in sent.items()},
        }
        if sponsor is not None:
            said[CONSUMER]["sponsor"] = {"value": sponsor}
        there = self.user(name)
        if there is None:
            answer = self.send("POST", "/Users", {"schemas": [USER], "userName": name, **said})
            self.done(answer, 201)
            self.ids[name] = answer.get_json()["id"]
        elif by_put:
            self.done(
                self.send("PUT", f"/Users/{there.id}", {"schemas": [USER], "userName": name, **said}), 200
            )
        else:
            gone = [
                {"op": "remove", "path": f"{CONSUMER}:{each}"} for each, span in spans.items() if span is None
            ]
            self.done(self.patch(f"/Users/{there.id}", *gone, {"op": "replace", "value": said}), 200)
        user_id = self.ids[name]
        now = self.model.now
        self.model.users[user_id] = UserModel(
            user_id,
            name,
            active,
            set(direct),
            set(given),
            *(None if span is None else now + span for span in (starts, ends)),
            sponsor=sponsor,
        )
        self.sent[user_id] = sent
        self.follow()

    @precondition(lambda self: self.model.users)
    @rule(number=numbers, active=st.booleans())
    def set_active(self, number: int, active: bool) -> None:
        self.tick()
        user = one(number, self.model.users.values())
        self.done(self.patch(f"/Users/{user.id}", {"op": "replace", "value": {"active": active}}), 200)
        user.active = active
        self.follow()

    @rule(suspends=st.booleans())
    def set_sponsor_policy(self, suspends: bool) -> None:
        self.tick()
        with self.tenant.store.writing(self.tenant.id, actor="test") as unit:
            change_settings(unit, sponsor_policy="suspend" if suspends else "keep")
        self.model.suspends = suspends
        self.follow(by_connection=False)

    @precondition(lambda self: self.model.users)
    @rule(number=numbers, value=values, gives=st.booleans())
    def give_or_take_value(self, number: int, value: str, gives: bool) -> None:
        self.tick()
        user = one(number, self.model.users.values())
        add = {"op": "add", "path": "entitlements", "value": [{"value": value}]}
        take = {"op": "remove", "path": f'entitlements[value eq "{value}"]'}
        if gives or value in user.direct:
            self.done(self.patch(f"/Users/{user.id}", add if gives else take), 200)
            (user.direct.add if gives else user.direct.discard)(value)
        self.follow()

    @precondition(lambda self: self.model.users)
    @rule(number=numbers)
    def delete_user(self, number: int) -> None:
        self.tick()
        user = one(number, self.model.users.values())
        self.done(self.send("DELETE", f"/Users/{user.id}"), 204)
        self.model.delete_user(user)
        self.follow()

    # -- Groups ----------------------------------------

    @rule(name=groups, members=some_members)
    def write_group(self, name: str, members: set[str]) -> None:
        self.tick()
        ids = self.known(members)
        body = {
            "schemas": [GROUP],
            "displayName": name,
            "members": [{"value": each} for each in sorted(ids)],
        }
        group = self.ids.get(name)
        if group not in self.model.groups:
            answer = self.send("POST", "/Groups", body)
            self.done(answer, 201)
            self.ids[name] = group = answer.get_json()["id"]
            self.model.groups[group] = ids
        elif self.would_cycle(group, ids):
            self.done(self.send("PUT", f"/Groups/{group}", body), 400)
        else:
            self.done(self.send("PUT", f"/Groups/{group}", body), 200)
            self.model.groups[group] = ids
        self.follow()

    @precondition(lambda self: self.model.groups)
    @rule(number=numbers, members=st.sets(st.one_of(users, users, groups), min_size=1, max_size=2))
    def join(self, number: int, members: set[str]) -> None:
        self.tick()
        group, ids = one(number, self.model.groups), self.known(members)
        if ids:
            add = {"op": "add", "path": "members", "value": [{"value": each} for each in sorted(ids)]}
            if self.would_cycle(group, ids - self.model.groups[group]):
                self.done(self.patch(f"/Groups/{group}", add), 400)
            else:
                self.done(self.patch(f"/Groups/{group}", add), 200)
                self.model.groups[group] |= ids
        self.follow()

    @precondition(lambda self: any(self.model.groups.values()))
    @rule(number=numbers)
    def leave(self, number: int) -> None:
        self.tick()
        group, gone = one(number, self.memberships())
        self.done(
            self.patch(f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{gone}"]'}), 200
        )
        self.model.groups[group].discard(gone)
        self.follow()

    @precondition(lambda self: len(self.model.groups) > 1 and any(self.model.groups.values()))
    @rule(number=numbers, to=numbers, add_first=st.booleans())
    def move(self, number: int, to: int, add_first: bool) -> None:
        """Somebody, or a group with all below it, moves to another group, in one Bulk request."""
        self.tick()
        here, moved = one(number, self.memberships())
        there = one(to, [each for each in self.model.groups if each != here])
        if self.would_cycle(there, {moved}):
            return
        add = there, {"op": "add", "path": "members", "value": [{"value": moved}]}
        take = here, {"op": "remove", "path": f'members[value eq "{moved}"]'}
        operations = [
            {
                "method": "PATCH",
                "path": f"/Groups/{group}",
                "data": {"schemas": [PATCH], "Operations": [operation]},
            }
            for group, operation in ((add, take) if add_first else (take, add))
        ]
        answer = self.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
        self.done(answer, 200)
        assert [each["status"] for each in answer.get_json()["Operations"]] == ["200", "200"], answer.text
        # The operations of a Bulk request are judged one after the other, as if each came by itself.
        for group, _ in (add, take) if add_first else (take, add):
            if group == there:
                self.model.groups[there].add(moved)
            else:
                self.model.groups[here].discard(moved)
            self.model.look(by_connection=True)
        self.follow()

    @precondition(lambda self: self.model.groups)
    @rule(number=numbers)
    def delete_group(self, number: int) -> None:
        self.tick()
        group = one(number, self.model.groups)
        self.done(self.send("DELETE", f"/Groups/{group}"), 204)
        self.model.delete_group(group)
        self.follow()

    def memberships(self) -> list[tuple[str, str]]:
        """Which group has whom, in an order that is the same whatever ids the things were given."""
        named = [self.ids[each] for each in (*USERS, *GROUPS) if each in self.ids]
        return [
            (group, each) for group, members in self.model.groups.items() for each in named if each in members
        ]

    def would_cycle(self, group: str, members: Iterable[str]) -> bool:
        return any(self.model.contains(member, group) for member in members if member in self.model.groups)

    # -- Entitlements ----------------------------------------

    @rule(
        value=values,
        supported=often,
        automatic=st.booleans(),
        lifetime=lifetimes,
        mapped_roles=some_roles,
        mapped_groups=some_groups,
    )
    def write_entitlement(
        self,
        value: str,
        supported: bool,
        automatic: bool,
        lifetime: int | None,
        mapped_roles: set[str],
        mapped_groups: set[str],
    ) -> None:
        self.tick()
        ids = self.known(mapped_groups) & self.model.groups.keys()
        policy: dict[str, Any] = {"issuance": "automatic" if automatic else "manual"}
        if lifetime is not None:
            policy["lifetimeSeconds"] = lifetime // 1_000_000
        body = {
            "schemas": [ENTITLEMENT],
            "value": value,
            "supported": supported,
            "keyPolicy": policy,
            "roles": [{"value": each} for each in sorted(mapped_roles)],
            "groups": [{"value": each} for each in sorted(ids)],
        }
        there = self.entitlement(value)
        if there is None:
            answer = self.send("POST", "/Entitlements", body)
            self.done(answer, 201)
            self.ids[value] = answer.get_json()["id"]
        else:
            self.done(self.send("PUT", f"/Entitlements/{there.id}", body), 200)
        said = EntitlementModel(
            self.ids[value], value, supported, automatic, lifetime, set(mapped_roles), set(ids)
        )
        self.model.entitlements[said.id] = said
        self.follow(of=said.id)

    @precondition(lambda self: self.model.entitlements and self.model.groups)
    @rule(number=numbers, to=numbers, adds=st.booleans())
    def map_or_unmap(self, number: int, to: int, adds: bool) -> None:
        self.tick()
        entitlement, group = one(number, self.model.entitlements.values()), one(to, self.model.groups)
        add = {"op": "add", "path": "groups", "value": [{"value": group}]}
        take = {"op": "remove", "path": f'groups[value eq "{group}"]'}
        if adds or group in entitlement.groups:
            self.done(self.patch(f"/Entitlements/{entitlement.id}", add if adds else take), 200)
            (entitlement.groups.add if adds else entitlement.groups.discard)(group)
        self.follow(of=entitlement.id)

    @precondition(lambda self: self.model.entitlements)
    @rule(number=numbers, supported=st.booleans())
    def support(self, number: int, supported: bool) -> None:
        self.tick()
        entitlement = one(number, self.model.entitlements.values())
        said = {"op": "replace", "path": "supported", "value": supported}
        self.done(self.patch(f"/Entitlements/{entitlement.id}", said), 200)
        entitlement.supported = supported
        self.follow(of=entitlement.id)

    @precondition(lambda self: self.model.entitlements)
    @rule(number=numbers)
    def delete_entitlement(self, number: int) -> None:
        self.tick()
        entitlement = one(number, self.model.entitlements.values())
        self.done(self.send("DELETE", f"/Entitlements/{entitlement.id}"), 204)
        # First what it carried ends, then it is gone.
        entitlement.supported = False
        self.model.look(by_connection=True, of=entitlement.id)
        self.model.delete_entitlement(entitlement)
        self.follow(of=entitlement.id)

    # -- Keys ----------------------------------------

    @precondition(lambda self: self.model.users)
    @rule(number=numbers, wanted=st.sets(values, min_size=1, max_size=2))
    def ask_for_key(self, number: int, wanted: set[str]) -> None:
        """A key for whatever: it is issued to who holds that."""
        self.tick()
        user = one(number, self.model.users.values())
        ids = {self.ids.get(each, each) for each in wanted}
        asked = {"consumer": user.id, "entitlements": sorted(wanted)}
        answer = self.tenant.operator.post("/keys", asked)
        if ids <= self.held(user.id):
            self.done(answer, 201)
            self.model.issue(answer.get_json()["id"], user.id, ids)
        else:
            self.done(answer, 409)

    @precondition(lambda self: self.model.grants())
    @rule(number=numbers, all_of_it=st.booleans())
    def issue_and_claim(self, number: int, all_of_it: bool) -> None:
        self.tick()
        user_id, entitlement = one(number, self.model.grants())
        ids = self.held(user_id) if all_of_it else {entitlement}
        named = sorted(self.model.entitlements[each].value for each in ids)
        made = self.tenant.key(user_id, *named)
        self.model.issue(made.id, user_id, ids)
        self.model.claim(self.model.keys[made.id], made.secret)

    @precondition(lambda self: self.unclaimed())
    @rule(number=numbers)
    def claim(self, number: int) -> None:
        self.tick()
        key = one(number, self.unclaimed())
        answer = self.tenant.operator.post(f"/keys/{key.id}/claim")
        if self.model.state(key) == "issued":
            self.done(answer, 200)
            self.model.claim(key, answer.get_json()["secret"])
        else:
            self.done(answer, 409)

    @precondition(lambda self: self.claimed())
    @rule(number=numbers, overlap=st.sampled_from([0, HOUR, 30 * HOUR]))
    def rotate(self, number: int, overlap: int) -> None:
        self.tick()
        key = one(number, self.claimed())
        asked = {"overlapSeconds": overlap // 1_000_000}
        answer = self.tenant.operator.post(f"/keys/{key.id}/rotate", asked)
        if self.model.state(key) == "active":
            self.done(answer, 200)
            self.model.rotate(key, answer.get_json()["secret"], overlap)
        else:
            self.done(answer, 409)

    @precondition(lambda self: any(self.model.living()))
    @rule(number=numbers)
    def revoke(self, number: int) -> None:
        self.tick()
        key = one(number, self.model.living())
        self.done(self.tenant.operator.post(f"/keys/{key.id}/revoke"), 200)
        self.model.revoke(key)

    def held(self, user_id: str) -> set[str]:
        return {entitlement for holder, entitlement in self.model.grants() if holder == user_id}

    def unclaimed(self) -> list[KeyModel]:
        """The keys that are not claimed, of the dead ones the last."""
        found = [each for each in self.model.keys.values() if not each.claimed]
        return [each for each in found if each.final is None] + [each for each in found if each.final][-1:]

    def claimed(self) -> list[KeyModel]:
        found = [each for each in self.model.keys.values() if each.claimed]
        return [each for each in found if each.final is None] + [each for each in found if each.final][-1:]

    # -- The brake ----------------------------------------

    @precondition(lambda self: self.model.waiting() is not None)
    @rule(confirms=st.booleans(), hours=st.sampled_from([None, 1, 30]))
    def decide_brake(self, confirms: bool, hours: int | None) -> None:
        self.tick()
        brake = self.model.waiting()
        assert brake is not None
        (waits,) = [each for each in self.listed_brakes() if each["decision"] is None]
        path = f"/brakes/{waits['id']}"
        if confirms:
            self.done(self.tenant.operator.post(f"{path}/confirm"), 200)
            self.model.decide(brake, "confirmed", 0)
        else:
            body = None if hours is None else {"withinSeconds": hours * 3600}
            self.done(self.tenant.operator.post(f"{path}/release", body), 200)
            within = max(self.model.window, DAY) if hours is None else hours * HOUR
            self.model.decide(brake, "released", within)
        self.follow(by_connection=False)

    def listed_brakes(self) -> list[dict[str, Any]]:
        answer = self.tenant.operator.get("/brakes")
        assert answer.status_code == 200, answer.text
        listed: list[dict[str, Any]] = answer.get_json()["Resources"]
        return listed

    # -- Time ----------------------------------------

    @rule(hours=st.sampled_from([1, 1, 1, 2, 5, 12, 23, 24, 25, 24 * 30]))
    def let_pass(self, hours: int) -> None:
        self.tick()
        self.tenant.let_pass(hours * HOUR)
        for user_id, sent in self.sent.items():
            self.sent[user_id] = {each: moment - hours * HOUR for each, moment in sent.items()}
            if sent and user_id in self.model.users:
                self._date(user_id)
        self.model.move_on(hours * HOUR)

    def _date(self, user_id: str) -> None:
        """Make the dates in a user's document what they would be, had the request come that long ago."""
        document = tables.resource.c.document
        ((said,),) = self.tenant.sql(sa.select(document).where(tables.resource.c.id == user_id))
        dates = {each: rfc3339(moment) for each, moment in self.sent[user_id].items()}
        said = {**said, CONSUMER: {**said[CONSUMER], **dates}}
        self.tenant.sql(
            sa.update(tables.resource).where(tables.resource.c.id == user_id).values(document=said)
        )

    # -- What must be so after every step ----------------------------------------

    @invariant()
    def the_model_is_right(self) -> None:
        with self.tenant.store.reading(self.tenant.id) as unit:
            granted = {
                (each.consumer_id, each.entitlement_id): {(why.reason, why.via) for why in each.reasons}
                for each in grants(unit)
            }
        assert granted == self.model.grants()
        assert {key_id: each["state"] for key_id, each in self.listed().items()} == {
            key.id: self.model.state(key) for key in self.model.keys.values()
        }
        if self.model.brake_minimum is not None:
            said = [(f"{each['decision']}", each["consumers"]) for each in self.listed_brakes()]
            right = [(f"{each.decision}", len(self.model.people_of(each))) for each in self.model.brakes]
            assert sorted(said) == sorted(right)
        alive, dead = [], []
        for key in self.model.keys.values():
            for secret in key.secrets:
                says = self.model.verdict(key, secret)
                (dead if says == DEAD else alive).append((key, secret, says))
        for key, secret, says in [*alive, *dead[-_MOST_DEAD:]]:
            said = self.tenant.verify(Key(key.id, secret.text))
            assert (DEAD if said in _DEAD_WORDS else said) == says, (said, key)
        # What the gate writes down of dead secrets is written before the next step.
        self.tenant.flask.extensions[AFTERWARDS].settle()
