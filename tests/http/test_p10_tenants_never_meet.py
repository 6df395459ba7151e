"""P10: no request with one tenant's credential reads, changes or counts another's data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app import FOLDING
from app.store import tables
from app.store.unit_of_work import new_id
from tests.http.conftest import BULK, ENTITLEMENT, GROUP, PATCH, USER, Key, Tenant

SEARCH = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"


@dataclass(frozen=True)
class Filled:
    """A tenant and the ids of what is in it."""

    tenant: Tenant
    user: str
    group: str
    entitlement: str
    key: Key
    connection: str
    batch: str
    brake: str

    @property
    def ids(self) -> set[str]:
        return {
            *(self.user, self.group, self.entitlement, self.key.id),
            *(self.connection, self.batch, self.brake),
        }

    @property
    def resources(self) -> dict[str, str]:
        return {"Users": self.user, "Groups": self.group, "Entitlements": self.entitlement}


@pytest.fixture
def twins(found: Callable[..., Tenant]) -> tuple[Filled, Filled]:
    """Return two tenants of the same content."""

    def fill(tenant: Tenant) -> Filled:
        user = tenant.user("ada", externalId="42", entitlements=[{"value": "orders"}, {"value": "inert"}])
        group = tenant.group("buyers", user)
        entitlement = tenant.entitlement("orders", groups=(group,), scopes=["read"])
        (connection,) = tenant.operator.get("/connections").get_json()["Resources"]
        brake = tenant.brake(connection["id"])
        key = tenant.key(user, "orders")
        assert tenant.verify(key) == "allow"
        tenant.flask.extensions[FOLDING].fold_all()
        (decision,) = tenant.operator.get("/decisions").get_json()["Resources"]
        return Filled(tenant, user, group, entitlement, key, connection["id"], decision["batch"], brake)

    return fill(found()), fill(found())


FILLED = (
    tables.tenant,
    tables.connection,
    tables.credential,
    tables.resource,
    tables.attribute_value,
    tables.consumer,
    tables.activity,
    tables.direct_value,
    tables.membership,
    tables.mapping,
    tables.entitlement,
    tables.key,
    tables.key_entitlement,
    tables.secret,
    tables.event,
    tables.key_usage,
    tables.key_usage_day,
    tables.decision_batch,
    tables.brake,
)
"""The tables of which both tenants have rows from the start."""


@pytest.fixture
def mine(twins: tuple[Filled, Filled]) -> Filled:
    return twins[0]


@pytest.fixture
def theirs(twins: tuple[Filled, Filled]) -> Filled:
    return twins[1]


def everything(filled: Filled) -> dict[str, list[str]]:
    """Return every row of a tenant, as text; but for the last use of its tokens."""
    tenant = filled.tenant
    found = {}
    for table in tables.metadata.sorted_tables:
        if table is tables.decision_count:
            # It counts all tenants together, and no tenant's token opens /metrics.
            continue
        columns = [column for column in table.c if column.name != "last_used_at"]
        if table is tables.key_entitlement:
            own = sa.select(tables.key.c.id).where(tables.key.c.tenant_id == tenant.id)
            mine = table.c.key_id.in_(own)
        else:
            mine = (table.c.id if table is tables.tenant else table.c.tenant_id) == tenant.id
        found[table.name] = sorted(map(repr, tenant.sql(sa.select(*columns).where(mine))))
    assert all(found[table.name] for table in FILLED)
    return found


@pytest.fixture(autouse=True)
def nothing_of_theirs_changes(theirs: Filled) -> Any:
    before = everything(theirs)
    yield
    assert everything(theirs) == before
    assert theirs.tenant.verify(theirs.key) == "allow"


def same(answer: TestResponse, other: TestResponse, one_id: str, other_id: str) -> None:
    """Two answers are the same, but for the ids that were asked for."""
    assert answer.status_code == other.status_code
    assert re.sub(re.escape(one_id), "", answer.text) == re.sub(re.escape(other_id), "", other.text)


def bodies(path: str) -> dict[str, Any]:
    """The bodies of the requests that write a resource, each fit to succeed."""
    whole = {
        "Users": {"schemas": [USER], "userName": "eve"},
        "Groups": {"schemas": [GROUP], "displayName": "eve"},
        "Entitlements": {"schemas": [ENTITLEMENT], "value": "eve"},
    }[path]
    operation = {"op": "replace", "path": "externalId", "value": "eve"}
    patch = {"schemas": [PATCH], "Operations": [operation]}
    return {"GET": None, "PUT": whole, "PATCH": patch, "DELETE": None}


def test_no_resource_of_theirs_can_be_told_from_one_that_is_not_there(mine: Filled, theirs: Filled) -> None:
    scim = mine.tenant.scim
    for endpoint, resource_id in theirs.resources.items():
        for method, body in bodies(endpoint).items():
            nobody = new_id()
            answer = scim.send(method, f"/{endpoint}/{resource_id}", body)
            assert answer.status_code == 404
            same(answer, scim.send(method, f"/{endpoint}/{nobody}", body), resource_id, nobody)


def test_no_search_finds_or_counts_theirs(mine: Filled, theirs: Filled) -> None:
    scim = mine.tenant.scim
    filters = [
        None,
        "id pr",
        'userName eq "ada"',
        'userName sw "a"',
        'externalId eq "42"',
        'displayName eq "buyers"',
        'value eq "orders"',
        'entitlements.value eq "orders"',
        'entitlements[value eq "inert"]',
        "meta.created pr",
        'not (id eq "nobody")',
        *(f'id eq "{each}"' for each in theirs.ids),
        f'members.value eq "{theirs.user}"',
        f'groups.value eq "{theirs.group}"',
    ]
    asked = 0
    for endpoint in ("/Users", "/Groups", "/Entitlements", ""):
        for text in filters:
            for sort in ({}, {"sortBy": "id", "sortOrder": "descending"}):
                query = {**sort, **({} if text is None else {"filter": text}), "count": 100}
                for answer in (
                    scim.get(endpoint or "/", **query),
                    scim.post(f"{endpoint}/.search", {"schemas": [SEARCH], **query}),
                ):
                    if answer.status_code == 400:
                        continue
                    asked += 1
                    listed = answer.get_json()
                    found = {each["id"] for each in listed.get("Resources", [])}
                    assert found <= set(mine.resources.values())
                    assert listed["totalResults"] == len(found)
                    assert not any(each in answer.text for each in theirs.ids)
    assert asked > 60


def test_bulk_reaches_nothing_of_theirs(mine: Filled, theirs: Filled) -> None:
    operations = [
        {"method": method, "path": f"/{endpoint}/{resource_id}", **({"data": body} if body else {})}
        for endpoint, resource_id in theirs.resources.items()
        for method, body in bodies(endpoint).items()
        if method != "GET"
    ]
    answer = mine.tenant.scim.post("/Bulk", {"schemas": [BULK], "Operations": operations})
    assert answer.status_code == 200
    assert [each["status"] for each in answer.get_json()["Operations"]] == ["404"] * 9


def test_theirs_are_nobody_to_my_groups_and_entitlements(mine: Filled, theirs: Filled) -> None:
    scim, nobody = mine.tenant.scim, new_id()

    def add(endpoint: str, attribute: str, value: str) -> TestResponse:
        operation = {"op": "add", "path": attribute, "value": [{"value": value}]}
        return scim.patch(endpoint, operation)

    for stranger in (theirs.user, theirs.group):
        same(
            add(f"/Groups/{mine.group}", "members", stranger),
            add(f"/Groups/{mine.group}", "members", nobody),
            stranger,
            nobody,
        )
    assert mine.tenant.members(mine.group) == {mine.user}
    made = mine.tenant.group("made", theirs.user, theirs.group)
    assert mine.tenant.members(made) == set()
    refused = add(f"/Entitlements/{mine.entitlement}", "groups", theirs.group)
    assert refused.status_code == 400
    same(refused, add(f"/Entitlements/{mine.entitlement}", "groups", nobody), theirs.group, nobody)
    body = {
        "schemas": [ENTITLEMENT],
        "value": "more",
        "groups": [{"value": theirs.group}],
        "supported": False,
    }
    inert = scim.post("/Entitlements", body)
    if inert.status_code == 201:
        assert not mine.tenant.read(f"/Entitlements/{inert.get_json()['id']}").get("groups")
    manager = {"op": "add", "value": {f"{_ENTERPRISE}:manager": {"value": theirs.user}}}
    assert scim.patch(f"/Users/{mine.user}", manager).status_code == 200
    assert "displayName" not in mine.tenant.read(f"/Users/{mine.user}")[_ENTERPRISE]["manager"]


_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_names_that_are_taken_there_are_free_here(mine: Filled, theirs: Filled) -> None:
    theirs.tenant.read(f"/Users/{theirs.user}")
    assert mine.tenant.scim.delete(f"/Users/{mine.user}").status_code == 204
    assert mine.tenant.scim.delete(f"/Entitlements/{mine.entitlement}").status_code == 204
    assert mine.tenant.user("ada", externalId="42") != theirs.user
    assert mine.tenant.entitlement("orders") != theirs.entitlement


BODIES = {
    ("POST", "/connections/{}/clients"): {"name": "x", "jwksUri": "https://keys.example"},
    ("POST", "/connections/{}/brake"): {"percent": 0},
}


def test_no_route_of_the_operator_knows_theirs(mine: Filled, theirs: Filled) -> None:
    operator = mine.tenant.operator
    ids = {
        "key_id": theirs.key.id,
        "consumer_id": theirs.user,
        "connection_id": theirs.connection,
        "batch_id": theirs.batch,
        "brake_id": theirs.brake,
    }
    named = 0
    for rule in mine.tenant.flask.url_map.iter_rules():
        # A schema is everybody's.
        if not rule.rule.startswith(operator.root) or not rule.arguments - {"urn"}:
            continue
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            (argument,) = rule.arguments & ids.keys()
            nobody = f"key_{new_id()}"
            path = rule.rule.removeprefix(operator.root).replace(f"<{argument}>", "{}")
            path = path.replace("<client_id>", nobody)
            body = BODIES.get((method, path))
            answer = operator.send(method, path.format(ids[argument]), body)
            assert answer.status_code == 404, (method, path)
            same(answer, operator.send(method, path.format(nobody), body), ids[argument], nobody)
            named += 1
    assert named >= 7


def test_no_list_of_the_operator_shows_theirs(mine: Filled, theirs: Filled) -> None:
    operator = mine.tenant.operator
    for path, query in (
        ("/keys", {"consumer": theirs.user}),
        ("/keys", {"entitlement": theirs.entitlement}),
        ("/events", {"consumer": theirs.user}),
        ("/events", {"subject": f"User/{theirs.user}"}),
        ("/events", {"subject": f"key/{theirs.key.id}"}),
        ("/unmatched-values", {"consumer": theirs.user}),
        ("/usage/networks", {"key": theirs.key.id}),
    ):
        answer = operator.get(path, **query)
        assert answer.get_json()["totalResults"] == 0, (path, query)
    for path, query, total in (
        ("/keys", {}, 1),
        ("/keys", {"consumer": "ada"}, 1),
        ("/keys", {"entitlement": "orders"}, 1),
        ("/keys", {"state": "active"}, 1),
        ("/consumers", {}, 1),
        ("/consumers", {"userName": "ada"}, 1),
        ("/connections", {}, 1),
        ("/brakes", {}, 1),
        ("/unmatched-values", {}, 1),
        ("/usage/unused", {"days": 1}, 0),
        ("/usage/dead-secrets", {}, 0),
    ):
        answer = operator.get(path, **query)
        assert answer.get_json()["totalResults"] == total, (path, query)
        assert not any(each in answer.text for each in theirs.ids)
    assert operator.get("/decisions", key=theirs.key.id).get_json()["Resources"] == []
    decisions = operator.get("/decisions")
    assert {each["key"] for each in decisions.get_json()["Resources"]} == {mine.key.id}
    assert not any(each in decisions.text for each in theirs.ids)
    (unmatched,) = operator.get("/unmatched-values").get_json()["Resources"]
    assert unmatched["consumers"] == 1
    told = operator.get("/events", limit=1000)
    assert told.get_json()["totalResults"] == len(told.get_json()["Resources"])
    assert not any(each in told.text for each in theirs.ids)


def test_no_key_is_issued_to_theirs_or_for_theirs(mine: Filled, theirs: Filled) -> None:
    operator = mine.tenant.operator
    to_them = operator.post("/keys", {"consumer": theirs.user, "entitlements": ["orders"]})
    assert to_them.status_code == 404
    for_theirs = operator.post("/keys", {"consumer": mine.user, "entitlements": [theirs.entitlement]})
    assert for_theirs.status_code == 409
    assert [each["id"] for each in mine.tenant.keys(state="active")] == [mine.key.id]


def test_the_gate_knows_no_key_of_theirs(mine: Filled, theirs: Filled) -> None:
    assert mine.tenant.verify(theirs.key) == "key_unknown"
    assert theirs.tenant.verify(mine.key) == "key_unknown"
    assert mine.tenant.verify(mine.key) == "allow"
    asked = {"Authorization": f"Bearer {theirs.key.secret}"}
    answer = mine.tenant.gate.client.get("/gate/verify", headers={**mine.tenant.gate.headers, **asked})
    assert not any(each in f"{answer.headers}{answer.text}" for each in (*theirs.ids, theirs.tenant.id))


def test_a_token_opens_its_own_face_alone(mine: Filled, theirs: Filled) -> None:
    tenant = mine.tenant
    for token in (tenant.scim.headers, {"Authorization": tenant.gate.headers["X-Gate-Authorization"]}):
        assert tenant.operator.client.get("/operator/v1/keys", headers=token).status_code in (401, 403)
    assert tenant.scim.client.get("/scim/v2/Users", headers=tenant.operator.headers).status_code in (401, 403)
    two = f"{tenant.scim.headers['Authorization']}, {theirs.tenant.scim.headers['Authorization']}"
    both = {"Authorization": two}
    assert tenant.scim.client.get("/scim/v2/Users", headers=both).status_code in (400, 401)
