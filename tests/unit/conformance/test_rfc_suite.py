"""The declarations of the rfc suite, and how it meets a server that offers little or breaks off."""

from __future__ import annotations

import re

import httpx2

from conformance.exchange import Target
from conformance.findings import Finding, Keyword, Outcome
from conformance.peers.scim2_server import make_application
from conformance.rfc import SUITE
from conformance.rfc.provider import discover
from conformance.rfc.stage import Stage
from conformance.rfc.trials import TRIALS, judge
from conformance.suites import Options
from tests.unit.conformance.faults import TOKEN, Request, Response, Serve, target


def test_every_requirement_says_what_is_required_and_where() -> None:
    assert len(TRIALS) > 400
    for trial in TRIALS.values():
        required = trial.requirement
        assert re.match(r"RFC (7643|7644|9865|9967|7240)\b", required.source), required
        assert required.keyword in (Keyword.MUST, Keyword.SHOULD)
        assert required.text.endswith("."), required
        assert re.fullmatch(r"rfc\d{4}-[A-Za-z0-9.-]+", required.id), required


def test_no_two_requirements_say_the_same() -> None:
    said = [(trial.requirement.source, trial.requirement.text) for trial in TRIALS.values()]
    assert [each for each in said if said.count(each) > 1] == []


def announces_nothing(request: Request, serve: Serve) -> Response:
    answer = serve(request)
    if request.path.endswith("/ServiceProviderConfig") and answer.status == 200:
        features = ("patch", "bulk", "filter", "sort", "etag", "changePassword")
        quiet = {name: {**answer.json[name], "supported": False} for name in features}
        return answer.with_json({**answer.json, **quiet, "pagination": {"cursor": False, "index": True}})
    return answer


def test_what_is_not_announced_is_never_passed() -> None:
    server = target(announces_nothing)
    findings = {each.requirement.id: each for each in SUITE.run(server, Options(run="t"))}
    for identity in (
        "rfc7644-3.5.2.1-list",
        "rfc7644-3.7-continues",
        "rfc7644-3.4.2.2-eq",
        "rfc7644-3.4.2.2-value-path",
        "rfc7644-3.4.2.3-ascending",
        "rfc7644-3.14-not-modified",
        "rfc9865-2-whole",
        "rfc9967-async-answer",
    ):
        assert findings[identity].outcome is Outcome.NOT_APPLICABLE, findings[identity]
    assert server.clean_up() == []


class BreaksOff(httpx2.WSGITransport):
    """Loses the connection over every request with a filter, or over the first of them."""

    def __init__(self, *, times: int) -> None:
        super().__init__(make_application(TOKEN))
        self.times = times

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if "filter" in request.url.params and self.times > 0:
            self.times -= 1
            raise httpx2.RemoteProtocolError("the connection was lost", request=request)
        return super().handle_request(request)


def tried_over(transport: httpx2.BaseTransport, identity: str) -> Finding:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    server = Target(httpx2.Client(transport=transport, base_url="http://server.test/v2/", headers=headers))
    return judge(TRIALS[identity], Stage(server, discover(server), "t"), "rfc")


def test_a_connection_that_is_lost_over_a_request_is_a_fault() -> None:
    found = tried_over(BreaksOff(times=100), "rfc7644-3.4.2.2-no-match")
    assert found.outcome is Outcome.FAILED
    assert "the connection was lost" in found.detail


def test_one_that_is_lost_once_is_none() -> None:
    assert tried_over(BreaksOff(times=1), "rfc7644-3.4.2.2-no-match").outcome is Outcome.PASSED
