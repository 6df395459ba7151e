"""A server that breaks a rule fails the requirement of that rule; one that keeps it passes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from conformance.findings import Finding, Outcome
from conformance.rfc.provider import discover
from conformance.rfc.stage import Stage
from conformance.rfc.trials import TRIALS, judge
from tests.unit.conformance.faults import Fault, Request, Response, Serve, right, target


def tried(identity: str, fault: Fault) -> Finding:
    server = target(fault)
    return judge(TRIALS[identity], Stage(server, discover(server), "t"), "rfc")


def forgets_uniqueness(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if answer.status == 409 and request.method == "POST":
        body = request.json
        again = serve(
            replace(request, body=json.dumps({**body, "userName": body["userName"] + "-"}).encode())
        )
        return again.with_json({**again.json, "userName": body["userName"]})
    return answer


def forgives_unknown_filters(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if answer.status == 400 and "filter" in request.query:
        return serve(replace(request, query={}))
    return answer


def counts_every_write(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if answer.status in (200, 204) and request.method == "PATCH":
        held = serve(replace(request, method="GET", body=b"")).json
        changed = {**held, "nickName": held["meta"]["version"]}
        return serve(replace(request, method="PUT", body=json.dumps(changed).encode()))
    return answer


def applies_operation_by_operation(request: Request, serve: Serve) -> Response:
    if request.method != "PATCH":
        return serve(request)
    answer = Response(204, {}, b"")
    for operation in request.json["Operations"]:
        body = {**request.json, "Operations": [operation]}
        answer = serve(replace(request, body=json.dumps(body).encode()))
        if answer.status >= 400:
            break
    return answer


def ignores_a_filter_without_a_match(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if request.method == "PATCH" and answer.status == 400 and answer.json.get("scimType") == "noTarget":
        return serve(replace(request, method="GET", body=b""))
    return answer


def keeps_what_is_deleted(request: Request, serve: Serve) -> Response:
    return Response(204, {}, b"") if request.method == "DELETE" else serve(request)


def numbers_as_status(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if answer.status >= 400:
        return answer.with_json({**answer.json, "status": answer.status})
    return answer


def says_nothing_of_authentication(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    kept = {name: value for name, value in answer.headers.items() if name != "Www-Authenticate"}
    return replace(answer, headers=kept)


def ignores_preconditions(request: Request, serve: Serve) -> Response:
    kept = {name: value for name, value in request.headers.items() if not name.startswith("If-")}
    return serve(replace(request, headers=kept))


def without(*parameters: str) -> Fault:
    def fault(request: Request, serve: Serve) -> Response:
        kept = {name: value for name, value in request.query.items() if name not in parameters}
        return serve(replace(request, query=kept))

    return fault


def shows_passwords(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if request.method == "POST" and answer.status == 201 and "password" in request.json:
        return answer.with_json({**answer.json, "password": request.json["password"]})
    return answer


def stops_a_bulk_request_early(request: Request, serve: Serve) -> Response:
    if request.path.endswith("/Bulk"):
        return serve(replace(request, body=json.dumps({**request.json, "failOnErrors": 1}).encode()))
    return serve(request)


def never_ends_its_pages(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if "cursor" in request.query and answer.status == 200 and "nextCursor" not in answer.json:
        return answer.with_json({**answer.json, "nextCursor": ""})
    return answer


def loses_the_precedence(request: Request, serve: Serve) -> Response:
    written = request.query.get("filter", "")
    left, is_or, right_side = written.partition(" or ")
    first, is_and, second = right_side.partition(" and ")
    if is_or and is_and and "(" not in written:
        turned = f"({left} or {first}) and {second}"
        return serve(replace(request, query={**request.query, "filter": turned}))
    return serve(request)


def listens_to_the_clients_meta(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if request.method == "POST" and answer.status == 201 and "meta" in request.json:
        return answer.with_json({**answer.json, "meta": {**answer.json["meta"], **request.json["meta"]}})
    return answer


CASES: list[tuple[Fault, str]] = [
    (forgets_uniqueness, "rfc7644-3.3-uniqueness"),
    (forgives_unknown_filters, "rfc7644-3.4.2.2-unknown-operator"),
    (forgives_unknown_filters, "rfc7644-3.4.2.2-malformed"),
    (counts_every_write, "rfc7644-3.5.2.1-present-modified"),
    (applies_operation_by_operation, "rfc7644-3.5.2-atomic"),
    (ignores_a_filter_without_a_match, "rfc7644-3.5.2.3-no-target"),
    (keeps_what_is_deleted, "rfc7644-3.6-read"),
    (keeps_what_is_deleted, "rfc7644-3.6-queries"),
    (numbers_as_status, "rfc7644-3.12-error-status"),
    (says_nothing_of_authentication, "rfc7644-2-challenge"),
    (ignores_preconditions, "rfc7644-3.14-mismatch-put"),
    (ignores_preconditions, "rfc7644-3.14-not-modified"),
    (without("count"), "rfc7644-3.4.2.4-count"),
    (without("startIndex"), "rfc7644-3.4.2.4-whole"),
    (without("sortOrder"), "rfc7644-3.4.2.3-descending"),
    (without("sortOrder"), "rfc7644-3.4.2.3-missing-first"),
    (without("excludedAttributes"), "rfc7644-3.9-excluded"),
    (without("attributes"), "rfc7644-3.9-attributes"),
    (shows_passwords, "rfc7643-4.1.1-password"),
    (stops_a_bulk_request_early, "rfc7644-3.7-continues"),
    (never_ends_its_pages, "rfc9865-2-last"),
    (loses_the_precedence, "rfc7644-3.4.2.2-precedence"),
    (listens_to_the_clients_meta, "rfc7643-3.1-meta-ignored"),
]


@pytest.mark.parametrize(("fault", "identity"), CASES, ids=[identity for _, identity in CASES])
def test_a_broken_rule_is_found(fault: Fault, identity: str) -> None:
    assert tried(identity, right).outcome is Outcome.PASSED
    found = tried(identity, fault)
    assert found.outcome is Outcome.FAILED
    assert found.detail
    assert found.exchanges
