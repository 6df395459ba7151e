"""P7: no PATCH, however it is written, changes what it does not name; one that is refused changes nothing."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.store import tables
from tests.http.conftest import BULK, CONSUMER, ENTITLEMENT, GROUP, PATCH, USER, Face, Tenant
from tests.property.generated_patches import ENTERPRISE, KINDS, Patch, PatchMaker
from tests.property.named_in_a_patch import kept_removed, named_in, touched_unnamed

DIALECTS: Final = ("field", "field", "entra", "okta", "rfc-strict")
ENDPOINTS: Final = {"User": "/Users", "Group": "/Groups", "Entitlement": "/Entitlements"}


_OF_A_FILTER: Final = ("invalidFilter", "mutability", None)
"""What may be told of a filter that can only be refused; first, that what it selects from is read-only."""


class PatchedDirectory:
    """A small directory with rights of every kind, and connections of several dialects that patch it."""

    def __init__(self, found: Callable[..., Tenant]) -> None:
        self.tenant = tenant = found()
        # How many lose something is not the question here.
        assert tenant.operator.post("/connections/idp/brake", {"percent": 0}).status_code == 200
        self.idps: dict[str, Face] = {name: tenant.connect(name) for name in sorted(set(DIALECTS))}
        ada, ben, cleo = (tenant.user(name) for name in ("ada", "ben", "cleo"))
        inner, group = tenant.group("inner", cleo), tenant.group("buyers")
        entitlement = tenant.entitlement("orders")
        tenant.entitlement("stock", roles=[{"value": "Seller"}])
        self.ids = {"User": ada, "Group": group, "Entitlement": entitlement}
        self.members, self.groups = [ada, ben, cleo, inner], [group, inner]
        self.bodies: dict[str, dict[str, Any]] = {
            "User": {
                "schemas": [USER, ENTERPRISE, CONSUMER],
                "userName": "ada",
                "displayName": "Ada",
                "title": "Countess",
                "externalId": "7",
                "active": True,
                "name": {"givenName": "Augusta", "familyName": "Lovelace"},
                "emails": [
                    {"value": "ada@work.example", "type": "work", "primary": True},
                    {"value": "ada@home.example", "type": "home", "display": "Ada"},
                ],
                "phoneNumbers": [{"value": "7", "type": "work"}],
                "addresses": [{"locality": "x", "type": "work"}, {"locality": "Ada", "type": "home"}],
                "entitlements": [{"value": "orders", "type": "License"}, {"value": "inert", "display": "x"}],
                "roles": [{"value": "Buyer", "primary": True}, {"value": "Seller", "display": "Sales"}],
                ENTERPRISE: {"department": "Sales", "employeeNumber": "7", "manager": {"value": ben}},
                CONSUMER: {"accessEndsAt": "2999-01-01T00:00:00Z"},
            },
            "Group": {
                "schemas": [GROUP],
                "displayName": "buyers",
                "externalId": "x",
                "members": [{"value": ada}, {"value": ben, "display": "Ada"}, {"value": inner}],
            },
            "Entitlement": {
                "schemas": [ENTITLEMENT],
                "value": "orders",
                "display": "Orders",
                "audience": "shop",
                "scopes": ["read", "write"],
                "conditions": {"methods": ["GET"], "paths": ["/orders"]},
                "keyPolicy": {"issuance": "manual", "lifetimeSeconds": 3600},
                "roles": [{"value": "Buyer"}, {"value": "Boss", "display": "x"}],
                "groups": [{"value": group}, {"value": inner}],
            },
        }
        # What was read last, as long as nothing was sent since.
        self.known: dict[str, TestResponse] = {}
        self.rows: Rows | None = None
        for kind in KINDS:
            self.restore(kind)

    def restore(self, kind: str) -> None:
        """Bring the patched resource of a kind back to what it was at first."""
        answer = self.tenant.scim.put(f"{ENDPOINTS[kind]}/{self.ids[kind]}", self.bodies[kind])
        assert answer.status_code == 200, answer.text
        self.known, self.rows = {}, None

    def read(self, kind: str) -> TestResponse:
        answer = self.tenant.scim.get(f"{ENDPOINTS[kind]}/{self.ids[kind]}")
        assert answer.status_code == 200, answer.text
        return answer

    def send(self, dialect: str, patch: Patch, *, in_bulk: bool) -> tuple[int, dict[str, Any]]:
        """Send a PATCH, by itself or in a bulk request; return its status, and the answer's body."""
        idp, path = self.idps[dialect], f"{ENDPOINTS[patch.kind.name]}/{self.ids[patch.kind.name]}"
        if not in_bulk:
            answer = idp.patch(path, *patch.operations)
            return answer.status_code, answer.get_json(silent=True) or {}
        data = {"schemas": [PATCH], "Operations": patch.operations}
        bulk = idp.post(
            "/Bulk", {"schemas": [BULK], "Operations": [{"method": "PATCH", "path": path, "data": data}]}
        )
        if bulk.status_code == 400:
            # What is no proper JSON is refused before it is known which operation it stands in.
            return 400, bulk.get_json()
        assert bulk.status_code == 200, bulk.text
        (only,) = bulk.get_json()["Operations"]
        return int(only["status"]), only.get("response") or {}

    def check(self, patch: Patch, dialect: str, *, in_bulk: bool, reads_refused: bool = True) -> int:
        """Send a PATCH and compare what it left behind with what it named; return its status.

        :param reads_refused: whether the resource is also read, and not only its rows, when the request is
            refused.
        :raises AssertionError: with the request, and the resource as it was.
        """
        kind = patch.kind.name
        before, rows = self.known.pop(kind, None) or self.read(kind), self.rows or self.read_rows()
        status, told = self.send(dialect, patch, in_bulk=in_bulk)
        self.rows = self.read_rows()
        after = self.read(kind) if status < 400 or reads_refused else before
        # Of the others, what the server derives may be different now.
        self.known = {kind: after}
        faults = [*self.faults(patch, dialect, before, status, told, after)]
        own = self.ids[kind]
        if self.rows.without(own) != rows.without(own):
            faults.append("something else changed")
        if status >= 400 and self.rows != rows:
            faults.append("it was refused, and rows changed")
        faults += self.rows.disagreements(kind, own, after.get_json())
        if faults:
            sent = json.dumps(patch.operations, ensure_ascii=False)
            raise AssertionError(
                f"{dialect} {sent}: {status} {told.get('detail')}\nwas {before.text}\n" + "\n".join(faults)
            )
        return status

    def faults(
        self,
        patch: Patch,
        dialect: str,
        before: TestResponse,
        status: int,
        told: dict[str, Any],
        after: TestResponse,
    ) -> Iterator[str]:
        """Yield what is wrong with an answer, or with a resource after it."""
        named = named_in(patch, before.get_json())
        # Okta's catalogue has ids of its own.
        absent = {404} if (dialect, patch.kind.name) == ("okta", "Entitlement") else set()
        if status not in {200, 204, 400, 409} | absent:
            yield "nothing is answered so"
        if named.must_fail and status not in {400} | absent:
            yield "its filter can only be refused"
        if named.must_fail and _only_selects(patch) and told.get("scimType") not in _OF_A_FILTER:
            yield "what is wrong is its filter"
        if status >= 400:
            if after.data != before.data or after.headers["ETag"] != before.headers["ETag"]:
                yield f"it was refused, and now there is {after.text}"
            return
        yield from touched_unnamed(named, after.get_json())
        if len(patch.operations) == 1:
            yield from kept_removed(named, after.get_json())
        # The version is another one exactly when something is.
        same = _without_meta(before) == _without_meta(after)
        if (after.headers["ETag"] == before.headers["ETag"]) is not same:
            yield f"the version was {before.headers['ETag']}, and is {after.headers['ETag']} of {after.text}"

    def read_rows(self) -> Rows:
        """Return the rows of all resources, and those that carry rights by the patched ones."""
        resources = sa.select(tables.resource).where(tables.resource.c.tenant_id == self.tenant.id)
        ids, now = list(self.ids.values()), time.time_ns() // 1000
        carriers = sa.union_all(
            *(
                sa.select(owner, what, value).where(owner.in_(ids), table.c.until > now)
                for table, owner, what, value in _CARRIERS
            )
        )
        return Rows(
            {each.id: tuple(each) for each in self.tenant.sql(resources)},
            sorted(tuple(each) for each in self.tenant.sql(carriers)),
        )


_CARRIERS: Final = tuple(
    (table, table.c[owner], what.label("what"), value.label("value"))
    for table, owner, what, value in (
        (tables.membership, "group_id", sa.literal("member"), tables.membership.c.member_id),
        (tables.direct_value, "consumer_id", tables.direct_value.c.kind, tables.direct_value.c.value),
        (tables.mapping, "entitlement_id", "mapped " + tables.mapping.c.kind, tables.mapping.c.value),
        (
            tables.activity,
            "consumer_id",
            sa.literal("active until"),
            sa.cast(tables.activity.c.until, sa.Text),
        ),
    )
)
"""Where a right is carried: the table, who it belongs to, what it is, its value."""


@dataclass(frozen=True)
class Rows:
    """What is stored of a directory."""

    resources: dict[str, tuple[Any, ...]]
    carriers: list[tuple[str, str, str]]

    def without(self, resource_id: str) -> Rows:
        """Return all rows but those of one resource."""
        return Rows(
            {name: row for name, row in self.resources.items() if name != resource_id},
            [each for each in self.carriers if each[0] != resource_id],
        )

    def disagreements(self, kind: str, resource_id: str, document: dict[str, Any]) -> Iterator[str]:
        """Yield what the rows that carry rights say otherwise than the document of a resource."""
        match kind:
            case "User":
                said = {"direct": _values(document, "entitlements"), "role": _values(document, "roles")}
            case "Group":
                said = {"member": _values(document, "members")}
            case _ if document.get("supported") is False:
                said = {}
            case _:
                said = {
                    "mapped direct": [document["value"]],
                    "mapped role": _values(document, "roles"),
                    "mapped group": _values(document, "groups"),
                }
        expected = sorted((resource_id, what, value) for what, values in said.items() for value in values)
        found = [each for each in self.carriers if each[0] == resource_id and each[1] != "active until"]
        if found != expected:
            yield f"the rows say {found}"


def _values(document: dict[str, Any], attribute: str) -> set[str]:
    """Return the values that carry something: an empty one is none (RFC 7644 §3.4.2.2)."""
    return {each["value"] for each in document.get(attribute, ()) if each.get("value")}


def _without_meta(answer: TestResponse) -> str:
    return json.dumps({name: item for name, item in answer.get_json().items() if name != "meta"})


def _only_selects(patch: Patch) -> bool:
    """Whether a request can have no other fault than in its filter."""
    (first, *others) = patch.operations
    return not others and str(first["op"]).lower() == "remove" and "value" not in first


@pytest.fixture
def directory(found: Callable[..., Tenant]) -> PatchedDirectory:
    return PatchedDirectory(found)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
@given(
    chance=st.randoms(use_true_random=False),
    kind=st.sampled_from(["Group", "User", "Group", "User", "Entitlement"]),
    dialect=st.sampled_from(DIALECTS),
    in_bulk=st.sampled_from([False, False, False, True]),
)
def test_a_generated_patch_changes_what_it_names_alone(
    directory: PatchedDirectory, chance: random.Random, kind: str, dialect: str, in_bulk: bool
) -> None:
    patch = PatchMaker(chance, directory.members, directory.groups).patch(KINDS[kind])
    if directory.check(patch, dialect, in_bulk=in_bulk) < 400:
        directory.restore(kind)


PARTS: Final = 100
"""Each has a directory of its own on each database, so that its history stays short."""

FAULTS_TOLD: Final = 20
"""After how many faults it gives up."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_hundred_thousand_generated_patches(found: Callable[..., Tenant], part: int) -> None:
    # All parts on both databases together.
    seen: Counter[int] = Counter()
    faults: list[str] = []
    chance, directory = random.Random(part), PatchedDirectory(found)
    for _ in range(100_000 // 2 // PARTS):
        kind = chance.choice(["Group", "User", "Group", "User", "Entitlement"])
        patch = PatchMaker(chance, directory.members, directory.groups).patch(KINDS[kind])
        dialect, in_bulk, reads = chance.choice(DIALECTS), chance.random() < 0.2, chance.random() < 0.1
        try:
            status = directory.check(patch, dialect, in_bulk=in_bulk, reads_refused=reads)
        except AssertionError as fault:
            faults.append(str(fault))
            status = 0
        seen[status] += 1
        # What is left of a resource is patched further, but not until little is left of it.
        if status < 400 and chance.random() < 0.4:
            directory.restore(kind)
        if len(faults) == FAULTS_TOLD:
            break
    print(f"{seen.total()} PATCHes: {dict(seen)}")
    assert not faults, "\n\n".join(faults)
    assert seen[200] > seen.total() / 4
    assert seen[400] > seen.total() / 10
