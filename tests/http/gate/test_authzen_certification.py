"""The published certification scenario of AuthZEN 1.0: its fixture, made by SCIM, and its four levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app import create_app
from app.settings import Settings
from tests.http.conftest import Tenant

ALICE = {"type": "user", "id": "alice"}
BOB = {"type": "user", "id": "bob"}
ADMIN = {**BOB, "properties": {"role": "admin"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
RECORD_1, RECORD_2 = ({"type": "record", "id": f"record-{number}"} for number in (1, 2))
ACTIVE = {**RECORD_1, "properties": {"status": "active"}}
ARCHIVED = {**RECORD_2, "properties": {"status": "archived"}}


def deleting(*, soft: bool) -> dict[str, Any]:
    return {"name": "delete", "properties": {"soft": soft}}


@pytest.fixture
def scenario(tenant: Tenant) -> Tenant:
    """Return a tenant in which an identity provider set up what the scenario asks for."""
    records = ["resource.id=record-1", "resource.id=record-2"]
    for value, scope, properties in (
        ("records-read", "read", records),
        ("records-write", "write", [*records, "resource.status!=archived"]),
        ("records-delete", "delete", [*records, "action.soft=true"]),
    ):
        tenant.entitlement(value, audience="record", scopes=[scope], conditions={"properties": properties})
    tenant.entitlement(
        "archive-write",
        audience="record",
        scopes=["write"],
        conditions={"properties": [*records, "resource.status=archived"]},
        roles=[{"value": "admin"}],
    )
    held = ["records-read", "records-write", "records-delete"]
    tenant.user("alice", entitlements=[{"value": each} for each in held])
    tenant.user("bob", roles=[{"value": "admin"}], entitlements=[{"value": "records-read"}])
    tenant.user("carol")
    return tenant


Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(scenario: Tenant) -> Ask:
    token = scenario.gate.headers["X-Gate-Authorization"]

    def asking(path: str, body: Any = None, **sent: Any) -> TestResponse:
        headers = {"Authorization": token, **sent.pop("headers", {})}
        if body is not None:
            sent["json"] = body
        return scenario.gate.client.post(f"/access/v1/{path}", headers=headers, **sent)

    return asking


def decided(answer: TestResponse) -> Any:
    """Return the decision of an answer, or those of a batch."""
    assert answer.status_code == 200, answer.text
    assert answer.content_type == "application/json"
    body = answer.get_json()
    told = body.get("evaluations", [body])
    for each in told:
        assert each["decision"] is True or each["decision"] is False
        assert isinstance(each.get("context", {}), dict)
    decisions = [each["decision"] for each in told]
    return decisions if "evaluations" in body else decisions[0]


def question(subject: Any, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"subject": subject, "action": action, "resource": resource, **more}


BASIC_CORE = [
    (ALICE, READ, RECORD_1, True),
    (ALICE, WRITE, RECORD_1, True),
    (BOB, READ, RECORD_1, True),
    (BOB, WRITE, RECORD_1, False),
]
BASIC_PROPERTIES = [
    (ALICE, WRITE, ARCHIVED, False),
    (ALICE, WRITE, {**RECORD_1, "properties": {"status": "archived"}}, False),
    (ADMIN, WRITE, ARCHIVED, True),
    (ALICE, deleting(soft=True), RECORD_1, True),
    (ALICE, deleting(soft=False), RECORD_1, False),
    (
        {**ALICE, "properties": {"department": "Sales", "role": "manager"}},
        {**READ, "properties": {"method": "GET"}},
        {**RECORD_1, "properties": {"status": "active", "owner": "bob"}},
        True,
    ),
]


def test_basic(ask: Ask) -> None:
    context = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}
    for subject, action, resource, expected in BASIC_CORE + BASIC_PROPERTIES:
        asked = question(subject, action, resource)
        for more in ({}, {}, {"context": context}, {"foo": "bar", "futureField": {"nested": True}}):
            assert decided(ask("evaluation", {**asked, **more})) is expected, (asked, more)


WHOLE = question(ALICE, READ, RECORD_1)
UNREADABLE: list[Any] = [
    *({name: value for name, value in WHOLE.items() if name != missing} for missing in WHOLE),
    question({"id": "alice"}, READ, RECORD_1),
    question({"type": "user"}, READ, RECORD_1),
    question({"type": "user", "id": ""}, READ, RECORD_1),
    question(ALICE, {}, RECORD_1),
    question(ALICE, READ, {"id": "record-1"}),
    question(ALICE, READ, {"type": "record"}),
    question("alice", READ, RECORD_1),
    question(None, READ, RECORD_1),
    question(ALICE, {"name": 123}, RECORD_1),
    question(ALICE, READ, [RECORD_1]),
    question({**ALICE, "properties": []}, READ, RECORD_1),
    question(ALICE, READ, RECORD_1, context="now"),
    [],
    "alice",
    7,
]


def test_what_is_no_question_is_400(ask: Ask) -> None:
    for body, path in product(UNREADABLE, ("evaluation", "evaluations")):
        answer = ask(path, body)
        assert answer.status_code == 400, body
        assert answer.text
        assert answer.mimetype == "text/plain"


def test_what_is_no_json_is_400(ask: Ask) -> None:
    bodies = [b"", b"{", b"nonsense", b'{"subject": NaN}', b'{"a":1,"a":2}', b"[" * 100_000, b"\xff"]
    for body, path in product(bodies, ("evaluation", "evaluations", "search/subject")):
        assert ask(path, data=body, content_type="application/json").status_code == 400


def test_another_content_type_is_400(ask: Ask) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "", "application/scim+json"):
        assert ask("evaluation", data=b"{}", content_type=content_type).status_code == 400
    text = json.dumps(WHOLE)
    assert decided(ask("evaluation", data=text, content_type="application/json; charset=utf-8")) is True


def test_the_request_id_comes_back(ask: Ask, scenario: Tenant) -> None:
    for body in (WHOLE, {}):
        answer = ask("evaluation", body, headers={"X-Request-ID": "bfe9eb29-ab87"})
        assert answer.headers["X-Request-ID"] == "bfe9eb29-ab87"
    assert "X-Request-ID" not in ask("evaluation", WHOLE).headers
    unknown = scenario.gate.client.post("/access/v1/evaluation", json=WHOLE, headers={"X-Request-ID": "7"})
    assert (unknown.status_code, unknown.headers["X-Request-ID"]) == (401, "7")


BATCHES: list[tuple[dict[str, Any], list[bool]]] = [
    (
        {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD_1}, {"resource": RECORD_2}]},
        [True] * 2,
    ),
    (
        {"subject": BOB, "resource": RECORD_1, "evaluations": [{"action": READ}, {"action": WRITE}]},
        [True, False],
    ),
    (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
        [False, True],
    ),
    ({"evaluations": [question(ALICE, READ, RECORD_1), question(BOB, WRITE, RECORD_1)]}, [True, False]),
    (
        {
            "subject": ALICE,
            "action": READ,
            "context": {"time": "2025-06-27T18:03-07:00"},
            "evaluations": [
                {"resource": RECORD_1},
                {
                    "resource": RECORD_2,
                    "context": {"time": "2025-06-27T19:00-07:00", "source": "batch-override"},
                },
            ],
        },
        [True, True],
    ),
    (
        {
            "subject": ALICE,
            "action": WRITE,
            "resource": {"type": "record", "properties": {"status": "archived"}},
            "evaluations": [{"resource": {"id": "record-1"}}, {"resource": ARCHIVED}],
        },
        [True, False],
    ),
]


def test_batch(ask: Ask) -> None:
    for body, expected in BATCHES:
        assert decided(ask("evaluations", body)) == expected, body


def test_an_evaluation_that_cannot_be_read_fails_alone(ask: Ask) -> None:
    asked = [{"resource": RECORD_1}, {}, "x", {"resource": "record-1"}, {"resource": RECORD_2}]
    answer = ask("evaluations", {"subject": ALICE, "action": READ, "evaluations": asked})
    assert decided(answer) == [True, False, False, False, True]
    error = answer.get_json()["evaluations"][1]["context"]["error"]
    assert error == {"status": 400, "message": "resource is missing"}


def test_semantics(ask: Ask) -> None:
    evaluations = [{"action": READ}, {"action": WRITE}, {"action": READ}, {}]
    body = {"subject": BOB, "resource": RECORD_1, "evaluations": evaluations}
    assert decided(ask("evaluations", {**body, "options": {"future": 1}})) == [True, False, True, False]
    for semantic, expected, of_reversed in (
        ("execute_all", [True, False, True, False], [False, True, False, True]),
        ("deny_on_first_deny", [True, False], [False]),
        ("permit_on_first_permit", [True], [False, True]),
    ):
        asked = {**body, "options": {"evaluations_semantic": semantic}}
        assert decided(ask("evaluations", asked)) == expected
        assert decided(ask("evaluations", {**asked, "evaluations": evaluations[::-1]})) == of_reversed


def test_a_batch_of_none_is_a_single_evaluation(ask: Ask) -> None:
    assert decided(ask("evaluations", WHOLE)) is True
    assert decided(ask("evaluations", {**WHOLE, "evaluations": []})) is True


def test_a_whole_batch_that_cannot_be_read_is_400(ask: Ask) -> None:
    wrongs: list[dict[str, Any]] = [
        {"evaluations": {}},
        {"evaluations": [{}], "subject": "alice"},
        {"evaluations": [{}], "options": []},
        {"evaluations": [{}], "options": {"evaluations_semantic": "first_come"}},
        {"evaluations": [{}], "options": {"evaluations_semantic": ["execute_all"]}},
        {"evaluations": [{}] * 1001},
    ]
    for wrong in wrongs:
        assert ask("evaluations", {**WHOLE, **wrong}).status_code == 400, wrong


def results(answer: TestResponse) -> list[Any]:
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert isinstance(body["page"]["next_token"], str)
    assert body["page"]["count"] == len(body["results"])
    found: list[Any] = body["results"]
    return found


ONLY_ADMIN = {"subject": {"type": "user"}, "action": WRITE, "resource": ARCHIVED}
READERS = {"subject": {"type": "user"}, "action": READ, "resource": RECORD_1}


def test_search_subject(ask: Ask) -> None:
    assert sorted(results(ask("search/subject", READERS)), key=str) == [ALICE, BOB]
    with_id = {**READERS, "subject": {"type": "user", "id": "carol"}, "context": {"ip": "192.168.1.1"}}
    assert len(results(ask("search/subject", with_id))) == 2
    assert results(ask("search/subject", ONLY_ADMIN)) == [BOB]


def test_search_resource(ask: Ask) -> None:
    of_type = {"type": "record"}
    assert results(ask("search/resource", question(ALICE, READ, of_type))) == [RECORD_1, RECORD_2]
    ignored = question(ALICE, READ, {"type": "record", "id": "record-9"})
    assert results(ask("search/resource", ignored)) == [RECORD_1, RECORD_2]
    writable = results(ask("search/resource", question(ADMIN, WRITE, of_type)))
    assert ARCHIVED in writable
    for each in writable:
        assert decided(ask("evaluation", question(ADMIN, WRITE, each))) is True


def test_search_action(ask: Ask) -> None:
    found = results(ask("search/action", {"subject": ALICE, "resource": RECORD_1, "context": {}}))
    assert found == [deleting(soft=True), READ, WRITE]
    for each in found:
        assert decided(ask("evaluation", question(ALICE, each, RECORD_1))) is True
    assert results(ask("search/action", {"subject": ADMIN, "resource": ARCHIVED})) == [READ, WRITE]


def test_pages_follow_one_another(ask: Ask) -> None:
    for path, body, everything in (
        ("subject", READERS, 2),
        ("resource", question(ALICE, READ, {"type": "record"}), 2),
        ("action", {"subject": ALICE, "resource": RECORD_1}, 3),
    ):
        seen: list[Any] = []
        page: dict[str, Any] = {"limit": 1}
        for number in range(everything):
            answer = ask(f"search/{path}", {**body, "page": page})
            seen += results(answer)
            token = answer.get_json()["page"]["next_token"]
            assert bool(token) == (number < everything - 1)
            page = {"limit": 1, "token": token}
        whole = ask(f"search/{path}", {**body, "page": {"limit": 10**9}})
        assert seen == results(whole)
        assert len(seen) == everything


def test_a_token_belongs_to_its_question(ask: Ask) -> None:
    token = ask("search/subject", {**READERS, "page": {"limit": 1}}).get_json()["page"]["next_token"]
    assert len(results(ask("search/subject", {**READERS, "page": {"token": token}}))) == 1
    for body in ({**READERS, "action": WRITE}, {**READERS, "context": {"ip": "192.0.2.1"}}):
        assert ask("search/subject", {**body, "page": {"token": token}}).status_code == 400
    for page in (
        {"token": "nonsense"},
        {"token": token[:-4]},
        {"token": 7},
        {"limit": 0},
        {"limit": "1"},
        [],
    ):
        assert ask("search/subject", {**READERS, "page": page}).status_code == 400


def test_nothing_found_is_an_empty_list(ask: Ask) -> None:
    nobody, spaceship = {"type": "user", "id": "nobody"}, {"type": "spaceship", "id": "1"}
    for path, body in (
        ("action", {"subject": nobody, "resource": RECORD_1}),
        ("resource", question(nobody, READ, {"type": "record"})),
        ("subject", {**READERS, "subject": {"type": "spaceship"}}),
        ("subject", {**READERS, "resource": spaceship}),
        ("action", {"subject": spaceship, "resource": RECORD_1}),
        ("action", {"subject": ALICE, "resource": spaceship}),
        ("resource", question(ALICE, READ, {"type": "spaceship"})),
    ):
        assert results(ask(f"search/{path}", body)) == []


def test_a_search_that_cannot_be_read_is_400(ask: Ask) -> None:
    wrongs: list[tuple[str, dict[str, Any]]] = [
        ("subject", {"subject": {"type": "user"}, "resource": RECORD_1}),
        ("subject", {**READERS, "resource": {"type": "record"}}),
        ("subject", {**READERS, "subject": {}}),
        ("resource", {"action": READ, "resource": {"type": "record"}}),
        ("resource", question({"type": "user"}, READ, {"type": "record"})),
        ("action", {"subject": ALICE}),
        ("action", {"subject": ALICE, "resource": {"type": "record"}}),
    ]
    for path, body in wrongs:
        assert ask(f"search/{path}", body).status_code == 400, (path, body)


def test_discovery(settings: Settings) -> None:
    root = "https://keys.example.com/keysteward"
    client = create_app(replace(settings, public_url=root)).test_client()
    answer = client.get("/.well-known/authzen-configuration/keysteward")
    assert answer.get_json() == {
        "policy_decision_point": root,
        "access_evaluation_endpoint": f"{root}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{root}/access/v1/evaluations",
        "search_subject_endpoint": f"{root}/access/v1/search/subject",
        "search_resource_endpoint": f"{root}/access/v1/search/resource",
        "search_action_endpoint": f"{root}/access/v1/search/action",
    }
    assert answer.content_type == "application/json"
    assert client.get("/.well-known/authzen-configuration").get_json() == answer.get_json()
    assert client.get("/.well-known/authzen-configuration/other").status_code == 404
    for endpoint in answer.get_json().values():
        if endpoint != root:
            asked = client.post(endpoint.removeprefix(root), json={})
            assert asked.status_code == 401, "each is there, and asks who it is"
