"""A POST that is said twice is done once: its answer can be read again, its secret for ten minutes only."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app.access.credentials import issue_credential
from app.keys.erasing import Erasing
from app.keys.idempotency import sweep
from app.store.pepper_file import add_pepper
from app.store.tables import idempotent_request, key, secret
from tests.http.conftest import DAY, SECOND, Tenant

MINUTE = 60 * SECOND


@pytest.fixture
def user(tenant: Tenant) -> str:
    tenant.entitlement("orders")
    return tenant.user("ada", entitlements=[{"value": "orders"}])


@pytest.fixture
def asked(user: str) -> dict[str, Any]:
    return {"consumer": user, "entitlements": ["orders"]}


@pytest.fixture
def issued(tenant: Tenant, asked: dict[str, Any]) -> str:
    return str(tenant.operator.post("/keys", asked).get_json()["id"])


def post(tenant: Tenant, path: str, body: Any = None, *, key: str | None = None) -> TestResponse:
    named = {} if key is None else {"Idempotency-Key": key}
    headers = {**tenant.operator.headers, **named}
    return tenant.flask.test_client().post(f"/operator/v1{path}", json=body, headers=headers)


def new() -> str:
    return f'"{uuid.uuid4()}"'


def counted(tenant: Tenant, table: sa.Table) -> int:
    of_tenant = sa.select(sa.func.count()).select_from(table).where(table.c.tenant_id == tenant.id)
    return int(tenant.sql(of_tenant)[0][0])


def sealed(tenant: Tenant) -> list[bytes | None]:
    of_tenant = idempotent_request.c.tenant_id == tenant.id
    return [row[0] for row in tenant.sql(sa.select(idempotent_request.c.sealed).where(of_tenant))]


def problem(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["type"].rpartition(":")[2]


def test_an_issue_that_is_said_again_issues_nothing(tenant: Tenant, asked: dict[str, Any]) -> None:
    name = new()
    first, again = (post(tenant, "/keys", asked, key=name) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    assert first.headers["Location"] == again.headers["Location"]
    assert counted(tenant, key) == 1
    # It is the answer of then, whatever has become of the key since.
    tenant.operator.post(f"/keys/{first.get_json()['id']}/revoke")
    assert post(tenant, "/keys", asked, key=name).get_json() == first.get_json()
    assert post(tenant, "/keys", asked, key=new()).get_json()["id"] != first.get_json()["id"]
    assert post(tenant, "/keys", asked).get_json()["id"] != first.get_json()["id"]
    assert counted(tenant, key) == 3


def test_a_claim_whose_answer_was_lost_is_answered_again(tenant: Tenant, issued: str) -> None:
    name = new()
    first, again = (post(tenant, f"/keys/{issued}/claim", key=name) for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert counted(tenant, secret) == 1
    assert problem(post(tenant, f"/keys/{issued}/claim", key=new())) == (409, "key-not-claimable")
    assert problem(post(tenant, f"/keys/{issued}/claim")) == (409, "key-not-claimable")
    events = tenant.operator.get("/events", subject=f"key/{issued}").get_json()["Resources"]
    assert [each["type"] for each in events] == ["key.issued", "key.claimed", "key.secret_repeated"]


def test_a_rotation_that_is_said_again_makes_no_third_secret(tenant: Tenant, issued: str) -> None:
    tenant.claim(issued)
    name = new()
    body = {"overlapSeconds": 60}
    first, again = (post(tenant, f"/keys/{issued}/rotate", body, key=name) for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data)
    assert counted(tenant, secret) == 2


def test_the_secret_can_be_read_again_for_ten_minutes_only(tenant: Tenant, issued: str) -> None:
    name = new()
    first = post(tenant, f"/keys/{issued}/claim", key=name)
    tenant.let_pass(9 * MINUTE)
    assert post(tenant, f"/keys/{issued}/claim", key=name).get_json() == first.get_json()
    tenant.let_pass(MINUTE)
    for _ in range(2):
        gone = post(tenant, f"/keys/{issued}/claim", key=name)
        assert problem(gone) == (409, "secret-no-longer-readable")
        assert "rotate" in gone.get_json()["detail"]
    assert counted(tenant, secret) == 1


def test_what_is_over_is_erased_even_if_nobody_asks(tenant: Tenant, issued: str) -> None:
    post(tenant, f"/keys/{issued}/claim", key=new())
    assert [each is None for each in sealed(tenant)] == [False]
    tenant.let_pass(10 * MINUTE)
    erasing = Erasing(tenant.store, interval=0.01)
    erasing.start()
    for _ in range(1000):
        if sealed(tenant) == [None]:
            break
        threading.Event().wait(0.01)
    erasing.stop()
    assert sealed(tenant) == [None]
    tenant.let_pass(DAY)
    sweep(tenant.store.engine)
    assert sealed(tenant) == []


def test_a_day_later_the_key_is_new_again(tenant: Tenant, asked: dict[str, Any]) -> None:
    name = new()
    first = post(tenant, "/keys", asked, key=name).get_json()["id"]
    tenant.let_pass(DAY - MINUTE)
    assert post(tenant, "/keys", asked, key=name).get_json()["id"] == first
    tenant.let_pass(MINUTE)
    assert post(tenant, "/keys", asked, key=name).get_json()["id"] != first


def test_the_same_key_with_another_request_is_refused(
    tenant: Tenant, user: str, asked: dict[str, Any], issued: str
) -> None:
    name = new()
    assert post(tenant, "/keys", asked, key=name).status_code == 201
    tenant.entitlement("invoices")
    for path, body in (
        ("/keys", {**asked, "entitlements": ["invoices"]}),
        (f"/keys/{issued}/claim", None),
        (f"/keys/{issued}/rotate", {}),
    ):
        assert problem(post(tenant, path, body, key=name)) == (422, "idempotency-key-used")
    assert counted(tenant, key) == 2
    assert counted(tenant, secret) == 0
    # The same words in another order are the same request.
    assert post(tenant, "/keys", dict(reversed(asked.items())), key=name).status_code == 201


def test_what_was_refused_is_tried_again(tenant: Tenant, user: str, asked: dict[str, Any]) -> None:
    name = new()
    other = {**asked, "entitlements": ["invoices"]}
    assert problem(post(tenant, "/keys", other, key=name)) == (409, "grant-missing")
    tenant.entitlement("invoices")
    held = {"op": "add", "path": "entitlements", "value": [{"value": "invoices"}]}
    tenant.scim.patch(f"/Users/{user}", held)
    assert post(tenant, "/keys", other, key=name).status_code == 201


def test_of_many_at_once_one_is_done_and_all_get_its_answer(tenant: Tenant, issued: str) -> None:
    tenant.claim(issued)
    name, ready = new(), threading.Barrier(8)
    answers: list[TestResponse] = []

    def turn() -> None:
        ready.wait()
        answers.append(post(tenant, f"/keys/{issued}/rotate", {}, key=name))

    threads = [threading.Thread(target=turn) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert {each.status_code for each in answers} == {200}
    assert len({each.data for each in answers}) == 1
    assert counted(tenant, secret) == 2


def test_the_key_of_one_credential_is_nothing_to_another(
    tenant: Tenant, found: Callable[..., Tenant], asked: dict[str, Any], issued: str
) -> None:
    name = new()
    claimed = post(tenant, f"/keys/{issued}/claim", key=name)
    with tenant.store.writing(tenant.id, actor="test") as unit:
        _, token = issue_credential(unit, tenant.peppers, label="second", scopes=["operator"])
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": name}
    client = tenant.flask.test_client()
    other = client.post(f"/operator/v1/keys/{issued}/claim", headers=headers)
    assert problem(other) == (409, "key-not-claimable")
    assert claimed.get_json()["secret"] not in other.text
    assert post(found(), f"/keys/{issued}/claim", key=name).status_code == 404


def test_the_database_alone_tells_neither_the_key_nor_the_secret(tenant: Tenant, issued: str) -> None:
    name = new()
    claimed = post(tenant, f"/keys/{issued}/claim", key=name).get_json()["secret"]
    rows = str(tenant.sql(sa.select(idempotent_request)))
    assert name.strip('"') not in rows
    assert claimed.split("_")[3] not in rows
    # What is damaged, or was sealed for another, opens nothing.
    tenant.sql(
        sa.update(idempotent_request)
        .where(idempotent_request.c.tenant_id == tenant.id)
        .values(sealed=b"x" * 100)
    )
    assert problem(post(tenant, f"/keys/{issued}/claim", key=name)) == (409, "secret-no-longer-readable")


def test_a_new_pepper_makes_no_request_new(
    tenant: Tenant, settings: Any, asked: dict[str, Any], issued: str
) -> None:
    name, other = new(), new()
    first = post(tenant, "/keys", asked, key=name)
    claimed = post(tenant, f"/keys/{issued}/claim", key=other)
    add_pepper(settings.pepper_file)
    assert post(tenant, "/keys", asked, key=name).get_json() == first.get_json()
    assert post(tenant, f"/keys/{issued}/claim", key=other).get_json() == claimed.get_json()


def test_with_quotes_or_without_it_is_the_same_key(tenant: Tenant, asked: dict[str, Any]) -> None:
    name = str(uuid.uuid4())
    first, again = (post(tenant, "/keys", asked, key=each) for each in (f'"{name}"', name))
    assert first.get_json() == again.get_json()


@pytest.mark.parametrize("name", ["", '""', '"open', 'a"b', "ä", "a b", '"a", "b"', "a,b", "x" * 256])
def test_what_is_no_key_is_refused(tenant: Tenant, asked: dict[str, Any], name: str) -> None:
    assert problem(post(tenant, "/keys", asked, key=name)) == (400, "request-invalid")
    assert counted(tenant, key) == 0
