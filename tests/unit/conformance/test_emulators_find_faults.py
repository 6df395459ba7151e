"""A server with a fault that real clients met fails the step that meets it, and passes without the fault."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from conformance.company.company import Company
from conformance.findings import Finding
from conformance.okta.connector import Mode, OktaConnector
from conformance.suites import Options, load_suite
from tests.unit.conformance.faults import Fault, Request, Response, Serve, target

OPTIONS = Options(employees=6, days=40)


def failed(suite: str, fault: Fault) -> set[str]:
    findings: list[Finding] = list(load_suite(suite).run(target(fault), OPTIONS))
    return {each.requirement.id for each in findings if each.counts_against}


def _is_group_patch(request: Request) -> bool:
    return request.method == "PATCH" and "/Groups/" in request.path


def rename_empties_the_group(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if _is_group_patch(request) and any("path" not in each for each in request.json["Operations"]):
        held = serve(replace(request, method="GET", body=b"")).json
        serve(replace(request, method="PUT", body=json.dumps({**held, "members": []}).encode()))
    return answer


def forgets_to_deactivate(request: Request, serve: Serve) -> Response:
    if request.method in ("PATCH", "PUT") and "/Users/" in request.path:
        text = request.body.decode().replace('"active": false', '"active": true')
        return serve(replace(request, body=text.encode()))
    return serve(request)


def hides_the_inactive(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if request.method == "GET" and "/Users/" in request.path and answer.json.get("active") is False:
        return replace(answer, status=404)
    return answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (rename_empties_the_group, {"okta-group-rename"}),
        (forgets_to_deactivate, {"okta-user-deactivate-put", "okta-user-deactivate-patch"}),
        (hides_the_inactive, {"okta-user-deactivate-put", "okta-user-deactivate-patch"}),
    ],
)
def test_okta_finds_the_fault(fault: Fault, found: set[str]) -> None:
    assert failed("okta", fault) >= found


def test_okta_gives_up_after_ten_pauses() -> None:
    waited: list[float] = []

    def always_busy(request: Request, serve: Serve) -> Response:
        return Response(429, {"Retry-After": "1"}, b"{}") if request.method == "POST" else serve(request)

    server = target(always_busy)
    connector = OktaConnector(server, Company(1, 1, "busy"), Mode.CUSTOM, wait=waited.append)
    connector.enable()
    assert waited[:10] == [2.0**number for number in range(10)]
    assert any("gave up" in each.detail for each in connector.journal.conclusion())


def test_equal_seeds_give_equal_histories() -> None:
    def lived(seed: int) -> Company:
        company = Company(seed, 20, "same")
        for _ in range(60):
            company.advance()
        return company

    first, second, other = lived(1), lived(1), lived(2)
    assert (first.persons, first.teams) == (second.persons, second.teams)
    assert first.persons != other.persons
