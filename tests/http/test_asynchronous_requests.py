"""``Prefer: respond-async`` (RFC 9967): accepted for good, carried out once, in order, and told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from app import BACKLOG
from app.scim import asynchronous_requests
from app.scim.backlog import Backlog
from app.store.tables import asynchronous_request, connection, event
from tests.http.conftest import BULK, DAY, GROUP, PATCH, USER, Face, Tenant

ASYNCHRONOUS_RESPONSE = "urn:ietf:params:scim:event:misc:asyncresp"
LATER = {"Prefer": "respond-async"}


def send(
    face: Face, method: str, path: str, body: Any = None, prefer: str = "respond-async", **headers: str
) -> TestResponse:
    return face.client.open(
        f"{face.root}{path}",
        method=method,
        json=body,
        headers={**face.headers, "Prefer": prefer, **headers},
    )


def accepted(answer: TestResponse) -> str:
    """Return the path of the result of a request that was answered 202."""
    assert answer.status_code == 202, answer.text
    assert answer.data == b""
    assert answer.headers["Preference-Applied"] == "respond-async"
    txn = answer.headers["Set-Txn"]
    assert answer.headers["Location"] == f"http://localhost/scim/v2/Events/{txn}"
    return f"/Events/{txn}"


def later(face: Face, method: str, path: str, body: Any = None, **headers: str) -> str:
    return accepted(send(face, method, path, body, **headers))


def outcome(face: Face, result: str) -> dict[str, Any]:
    answer = face.get(result)
    assert answer.status_code == 200, answer.text
    claims: dict[str, Any] = answer.get_json()
    return claims


def told(claims: dict[str, Any]) -> dict[str, Any]:
    assert list(claims["events"]) == [ASYNCHRONOUS_RESPONSE]
    said: dict[str, Any] = claims["events"][ASYNCHRONOUS_RESPONSE]
    return said


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name, **more}


def patch(**replaced: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": "replace", "value": replaced}]}


def names(tenant: Tenant) -> list[str]:
    return [each["userName"] for each in tenant.scim.get("/Users").get_json().get("Resources", [])]


@pytest.fixture
def backlog(tenant: Tenant) -> Backlog:
    """What carries requests out; in these tests it does so when it is told to."""
    found = tenant.flask.extensions[BACKLOG]
    assert isinstance(found, Backlog)
    return found


@pytest.fixture
def at_work(backlog: Backlog) -> Iterator[None]:
    """Let a thread carry requests out as they come, as in a worker process."""
    thread = backlog.start()
    yield
    backlog.stop()
    thread.join()


def test_a_request_is_accepted_carried_out_and_told(tenant: Tenant, backlog: Backlog) -> None:
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com", externalId="x-1"))
    pending = tenant.scim.get(result)
    assert (pending.status_code, pending.data) == (202, b"")
    assert int(pending.headers["Retry-After"]) > 0
    assert names(tenant) == []
    backlog.carry_out_all()
    [ann] = tenant.scim.get("/Users").get_json()["Resources"]
    done = tenant.scim.get(result)
    claims = done.get_json()
    txn = result.rpartition("/")[2]
    assert done.headers["Cache-Control"] == "no-store"
    assert claims.pop("jti")
    assert abs(claims.pop("iat") - tenant.sql(sa.select(sa.func.max(event.c.time)))[0][0] // 1_000_000) <= 1
    assert claims == {
        "iss": "http://localhost/scim/v2",
        "txn": txn,
        "sub_id": {"format": "scim", "uri": f"/Users/{ann['id']}", "externalId": "x-1"},
        "events": {
            ASYNCHRONOUS_RESPONSE: {
                "method": "POST",
                "location": ann["meta"]["location"],
                "version": ann["meta"]["version"],
                "status": "201",
            }
        },
    }
    written = tenant.sql(sa.select(event.c.type, event.c.actor).where(event.c.txn == txn))
    assert [(row.type, row.actor.partition(":")[0]) for row in written] == [("user.created", "connection")]
    assert outcome(tenant.scim, result)["events"] == claims["events"]


def test_every_kind_of_write_can_be_put_off(tenant: Tenant, backlog: Backlog) -> None:
    ann = tenant.user("ann@example.com", externalId="x-1")
    results = [
        later(tenant.scim, "PUT", f"/Users/{ann}", user("anna@example.com", externalId="x-2")),
        later(tenant.scim, "PATCH", f"/Users/{ann}", patch(title="Dr.")),
        later(tenant.scim, "PATCH", f"/Users/{ann}?attributes=title", patch(nickName="A")),
        later(tenant.scim, "DELETE", f"/Users/{ann}"),
    ]
    backlog.carry_out_all()
    claims = [outcome(tenant.scim, each) for each in results]
    subject = {"format": "scim", "uri": f"/Users/{ann}", "externalId": "x-2"}
    assert [each["sub_id"] for each in claims] == [subject] * 4
    assert [(told(each)["method"], told(each)["status"], told(each).get("version")) for each in claims] == [
        ("PUT", "200", 'W/"2"'),
        ("PATCH", "200", 'W/"3"'),
        ("PATCH", "200", 'W/"4"'),
        ("DELETE", "204", None),
    ]
    assert {told(each)["location"] for each in claims} == {f"http://localhost/scim/v2/Users/{ann}"}
    assert all("response" not in told(each) for each in claims)
    assert names(tenant) == []


def test_what_is_refused_later_is_told_with_its_error(tenant: Tenant, backlog: Backlog) -> None:
    ann = tenant.user("ann@example.com")
    results = [
        later(tenant.scim, "POST", "/Users", user("ann@example.com")),
        later(tenant.scim, "POST", "/Users", {"schemas": [USER]}),
        later(tenant.scim, "PATCH", f"/Users/{ann}", patch(title="Dr."), **{"If-Match": 'W/"9"'}),
        later(tenant.scim, "PATCH", "/Users/nobody", patch(title="Dr.")),
        later(tenant.scim, "PUT", f"/Users/{ann}", user("ann@example.com", title="a\0b")),
    ]
    backlog.carry_out_all()
    claims = [outcome(tenant.scim, each) for each in results]
    said = [told(each) for each in claims]
    assert [(each["status"], each["response"].get("scimType")) for each in said] == [
        ("409", "uniqueness"),
        ("400", "invalidValue"),
        ("412", None),
        ("404", None),
        ("400", "invalidValue"),
    ]
    assert [each["sub_id"]["uri"] for each in claims] == [
        "/Users",
        "/Users",
        f"/Users/{ann}",
        "/Users/nobody",
        f"/Users/{ann}",
    ]
    assert "location" not in said[0]
    assert tenant.read(f"/Users/{ann}")["meta"]["version"] == 'W/"1"'
    assert tenant.scim.get(results[0]).headers["Content-Type"] == "application/scim+json"


def test_each_operation_of_a_bulk_request_is_told(tenant: Tenant, backlog: Backlog) -> None:
    ann = tenant.user("ann@example.com", externalId="x-1")
    operations = [
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": _group("team", "bulkId:u")},
        {"method": "POST", "path": "/Users", "bulkId": "u", "data": user("bob@example.com")},
        {"method": "POST", "path": "/Users", "bulkId": "v", "data": user("ann@example.com")},
        {"method": "DELETE", "path": f"/Users/{ann}"},
    ]
    result = later(tenant.scim, "POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    backlog.carry_out_all()
    listed = outcome(tenant.scim, result)
    assert (listed["totalResults"], listed["itemsPerPage"]) == (4, 4)
    txn = result.rpartition("/")[2]
    assert [each["txn"] for each in listed["Resources"]] == [f"{txn}:{place}" for place in range(4)]
    assert len({each["jti"] for each in listed["Resources"]}) == 4
    said = [told(each) for each in listed["Resources"]]
    assert [(each["status"], each.get("bulkId")) for each in said] == [
        ("201", "g"),
        ("201", "u"),
        ("409", "v"),
        ("204", None),
    ]
    group, bob, taken, gone = (each["sub_id"] for each in listed["Resources"])
    assert tenant.members(group["uri"].rpartition("/")[2]) == {bob["uri"].rpartition("/")[2]}
    assert taken == {"format": "scim", "uri": "/Users"}
    assert gone == {"format": "scim", "uri": f"/Users/{ann}", "externalId": "x-1"}
    assert said[2]["response"]["scimType"] == "uniqueness"


def test_a_bulk_request_that_stopped_tells_what_was_run(tenant: Tenant, backlog: Backlog) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": name, "data": user(f"{name}@example.com")}
        for name in ("a", "a2", "b", "c")
    ]
    operations[1]["data"] = user("a@example.com")
    body = {"schemas": [BULK], "failOnErrors": 1, "Operations": operations}
    stopped = later(tenant.scim, "POST", "/Bulk", body)
    refused = later(tenant.scim, "POST", "/Bulk", {"schemas": [BULK], "Operations": "none"})
    backlog.carry_out_all()
    places = [each["txn"].partition(":")[2] for each in outcome(tenant.scim, stopped)["Resources"]]
    assert places == ["0", "1"]
    [only] = outcome(tenant.scim, refused)["Resources"]
    assert only["txn"] == refused.rpartition("/")[2]
    assert (told(only)["status"], only["sub_id"]["uri"]) == ("400", "/Bulk")


def _group(name: str, *members: str) -> dict[str, Any]:
    return {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in members]}


def test_requests_of_a_connection_are_carried_out_as_they_came(tenant: Tenant, backlog: Backlog) -> None:
    ann = tenant.user("ann@example.com")
    for number in range(12):
        later(tenant.scim, "PATCH", f"/Users/{ann}", patch(title=f"t{number}"))
    backlog.carry_out_all()
    found = tenant.read(f"/Users/{ann}")
    assert (found["title"], found["meta"]["version"]) == ("t11", 'W/"13"')


def test_several_workers_carry_each_out_once_and_in_order(tenant: Tenant, backlog: Backlog) -> None:
    ann = tenant.user("ann@example.com")
    results = [
        later(tenant.scim, "PATCH", f"/Users/{ann}", patch(title=f"t{number}")) for number in range(20)
    ]
    workers = [threading.Thread(target=backlog.carry_out_all) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    # A worker leaves a request alone that another is at; whoever comes last finds the rest.
    backlog.carry_out_all()
    versions = [told(outcome(tenant.scim, each))["version"] for each in results]
    assert versions == [f'W/"{number}"' for number in range(2, 22)]


def test_what_the_store_does_not_let_pass_is_tried_again_and_then_told(
    tenant: Tenant, backlog: Backlog, found: Callable[..., Tenant]
) -> None:
    ann = tenant.user("ann@example.com")
    result = later(tenant.scim, "PATCH", f"/Users/{ann}", patch(title="Dr."))
    after = later(tenant.scim, "PATCH", f"/Users/{ann}", patch(nickName="A"))
    other = found()
    bob = later(other.scim, "POST", "/Users", user("bob@example.com"))
    failing = True

    def fail(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if failing and statement.startswith("UPDATE resource") and ann in str(parameters):
            raise sa.exc.OperationalError("", {}, Exception("the disk is gone"))

    sa.event.listen(sa.Engine, "before_cursor_execute", fail)
    try:
        backlog.carry_out_all()
        assert tenant.scim.get(result).status_code == 202
        assert told(outcome(other.scim, bob))["status"] == "201"
        for _ in range(5):
            backlog.carry_out_all()
        assert told(outcome(tenant.scim, result))["status"] == "503"
        assert tenant.scim.get(after).status_code == 202
        failing = False
        backlog.carry_out_all()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", fail)
    assert told(outcome(tenant.scim, after))["status"] == "200"
    assert "title" not in tenant.read(f"/Users/{ann}")


def test_a_result_is_for_the_connection_that_asked(
    tenant: Tenant, backlog: Backlog, found: Callable[..., Tenant]
) -> None:
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com"))
    colleague, stranger = tenant.connect("field"), found().scim
    for is_done in (False, True):
        if is_done:
            backlog.carry_out_all()
            assert tenant.scim.get(result).status_code == 200
        refusals = [
            face.get(path)
            for face, path in (
                (colleague, result),
                (stranger, result),
                (tenant.scim, "/Events/unknown"),
                (tenant.scim, "/Events/a%00b"),
            )
        ]
        assert {each.status_code for each in refusals} == {404}
        assert len({each.data for each in refusals}) == 1
        assert tenant.scim.client.get(f"/scim/v2{result}").status_code == 401
        assert tenant.scim.client.get(f"/scim/v2{result}", headers=tenant.operator.headers).status_code == 403


def test_what_a_request_said_is_forgotten_when_it_is_done(tenant: Tenant, backlog: Backlog) -> None:
    secret = "placeholder-Passw0rd"
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com", password=secret))
    refused = later(tenant.scim, "POST", "/Users", user("ann@example.com", password=secret))
    backlog.carry_out_all()
    assert told(outcome(tenant.scim, refused))["status"] == "409"
    rows = tenant.sql(sa.select(asynchronous_request).where(asynchronous_request.c.tenant_id == tenant.id))
    assert len(rows) == 2
    assert all(row.body is None for row in rows)
    assert secret not in str(rows)
    assert tenant.scim.headers["Authorization"] not in str(rows)
    assert told(outcome(tenant.scim, result))["status"] == "201"


def test_a_disabled_connection_changes_nothing_any_more(tenant: Tenant, backlog: Backlog) -> None:
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com"))
    disabled = sa.update(connection).where(connection.c.tenant_id == tenant.id).values(disabled_at=1)
    tenant.sql(disabled)
    backlog.carry_out_all()
    tenant.sql(disabled.values(disabled_at=None))
    assert told(outcome(tenant.scim, result))["status"] == "403"
    assert names(tenant) == []


def test_the_dialect_is_that_of_the_moment(tenant: Tenant, backlog: Backlog) -> None:
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com", favouriteColour="green"))
    strict = sa.update(connection).where(connection.c.tenant_id == tenant.id).values(dialect="rfc-strict")
    tenant.sql(strict)
    backlog.carry_out_all()
    assert told(outcome(tenant.scim, result))["status"] == "400"


def test_results_are_kept_for_their_time(tenant: Tenant, backlog: Backlog) -> None:
    result = later(tenant.scim, "POST", "/Users", user("ann@example.com"))
    newer = later(tenant.scim, "POST", "/Users", user("bob@example.com"))
    ours = asynchronous_request.c.tenant_id == tenant.id

    def let_pass(microseconds: int) -> None:
        tenant.sql(
            sa.update(asynchronous_request)
            .where(ours, asynchronous_request.c.txn == result.rpartition("/")[2])
            .values(done_at=asynchronous_request.c.done_at - microseconds)
        )

    backlog.carry_out_all()
    let_pass(DAY - DAY // 24)
    assert tenant.scim.get(result).status_code == 200
    let_pass(DAY // 24)
    assert tenant.scim.get(result).status_code == 404
    backlog.sweep()
    kept = tenant.sql(sa.select(asynchronous_request.c.txn).where(ours))
    assert [row.txn for row in kept] == [newer.rpartition("/")[2]]


@pytest.mark.usefixtures("at_work")
def test_who_waits_is_answered_as_usual_if_it_is_done_in_time(tenant: Tenant) -> None:
    answer = send(tenant.scim, "POST", "/Users", user("ann@example.com"), prefer="respond-async, wait=10")
    assert answer.status_code == 201
    made = answer.get_json()
    assert (made["userName"], answer.headers["ETag"]) == ("ann@example.com", 'W/"1"')
    txn = answer.headers["Set-Txn"]
    assert told(outcome(tenant.scim, f"/Events/{txn}"))["status"] == "201"
    again = send(tenant.scim, "POST", "/Users", user("ann@example.com"), prefer='Wait="10", RESPOND-ASYNC')
    assert (again.status_code, again.get_json()["scimType"]) == (409, "uniqueness")
    gone = send(tenant.scim, "DELETE", f"/Users/{made['id']}", prefer="respond-async;x=y, wait=10")
    assert (gone.status_code, gone.data) == (204, b"")


def test_who_waits_in_vain_is_told_so(tenant: Tenant, backlog: Backlog) -> None:
    answer = send(tenant.scim, "POST", "/Users", user("ann@example.com"), prefer="respond-async, wait=1")
    result = accepted(answer)
    assert tenant.scim.get(result).status_code == 202
    backlog.carry_out_all()
    assert told(outcome(tenant.scim, result))["status"] == "201"


@pytest.mark.parametrize("prefer", ["wait=10", "return=minimal", "handling=lenient, x-respond-async", ""])
def test_who_does_not_ask_for_it_waits(tenant: Tenant, prefer: str) -> None:
    answer = send(tenant.scim, "POST", "/Users", user("ann@example.com"), prefer=prefer)
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers
    # The transaction is named all the same: its events have it.
    made = tenant.operator.get("/events", subject=f"User/{answer.get_json()['id']}").get_json()["Resources"]
    assert {each["txn"] for each in made} == {answer.headers["Set-Txn"]}


def test_a_read_is_answered_at_once(tenant: Tenant) -> None:
    for method, path, body in (("GET", "/Users", None), ("POST", "/Users/.search", {"count": 1})):
        assert send(tenant.scim, method, path, body).status_code == 200


def test_what_can_never_be_right_is_answered_at_once(tenant: Tenant, backlog: Backlog) -> None:
    def raw(path: str, body: bytes, content_type: str = "application/scim+json", **headers: str) -> int:
        sent = {**tenant.scim.headers, **LATER, **headers}
        answer = tenant.scim.client.post(
            f"/scim/v2{path}", data=body, content_type=content_type, headers=sent
        )
        return answer.status_code

    limit: int = tenant.flask.config["MAX_CONTENT_LENGTH"]
    assert raw("/Nothing", b"{}") == 404
    assert raw("/Users/1", b"{}") == 405
    assert raw("/Users", b"{}", "text/plain") == 415
    assert raw("/Users", b" " * (limit + 1)) == 413
    assert raw("/Bulk", b" " * (limit + 1)) == 413
    assert raw("/Users", b"{}", Authorization="Bearer nothing") == 401
    rows = tenant.sql(sa.select(asynchronous_request).where(asynchronous_request.c.tenant_id == tenant.id))
    assert rows == []


def test_a_connection_has_a_bounded_number_of_requests_waiting(
    tenant: Tenant, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asynchronous_requests, "MOST_PENDING", 2)
    for number in range(2):
        later(tenant.scim, "POST", "/Users", user(f"u{number}"))
    refused = send(tenant.scim, "POST", "/Users", user("u2"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    later(tenant.connect("field"), "POST", "/Users", user("u3"))
    backlog.carry_out_all()
    later(tenant.scim, "POST", "/Users", user("u4"))


def test_a_leaver_s_key_works_until_it_is_done_and_not_after(tenant: Tenant, backlog: Backlog) -> None:
    tenant.entitlement("read")
    ann = tenant.user("ann@example.com", entitlements=[{"value": "read"}])
    key = tenant.key(ann, "read")
    result = later(tenant.scim, "PATCH", f"/Users/{ann}", patch(active=False))
    assert tenant.scim.get(result).status_code == 202
    assert tenant.verify(key) == "allow"
    backlog.carry_out_all()
    assert tenant.scim.get(result).status_code == 200
    assert tenant.verify(key) != "allow"


@pytest.mark.parametrize("dialect", ["field", "okta", "entra", "rfc-strict"])
def test_every_dialect_announces_it_and_does_it(tenant: Tenant, backlog: Backlog, dialect: str) -> None:
    face = tenant.connect(dialect)
    announced = {"asyncRequest": "request", "eventUris": [ASYNCHRONOUS_RESPONSE]}
    for config in (
        face.get("/ServiceProviderConfig"),
        tenant.scim.client.get("/scim/v2/ServiceProviderConfig"),
    ):
        assert config.get_json()["securityEvents"] == announced
        assert config.get_json()["meta"]["resourceType"] == "ServiceProviderConfig"
    result = later(face, "POST", "/Users", user(f"{dialect}@example.com"))
    backlog.carry_out_all()
    assert told(outcome(face, result))["status"] == "201"
