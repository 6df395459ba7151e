"""What a report shows, and what it hides."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from conformance.exchange import Exchange
from conformance.findings import Finding, Keyword, Outcome, Requirement
from conformance.report import Report, to_html, to_json, verdict, without_secret
from conformance.rfc import SUITE
from conformance.suites import Options

SECRET = "s3cret-token"


def finding(outcome: Outcome, keyword: Keyword = Keyword.MUST, section: str = "RFC 7644 §3.5.2") -> Finding:
    exchange = Exchange(
        "GET",
        f"https://example.com/Users?token={SECRET}",
        {"X-Echo": SECRET},
        f'{{"note": "{SECRET}"}}',
        400,
        {"X-Said": f"no {SECRET}"},
        f'{{"detail": "<script>alert(1)</script> {SECRET}"}}',
    )
    required = Requirement(f"id-{section}-{outcome}-{keyword}", section, keyword, "A <b>text</b> of it.")
    return Finding("rfc", required, outcome, f"seen <i>{SECRET}</i>", (exchange,))


def report(*findings: Finding) -> Report:
    now = datetime(2026, 11, 1, tzinfo=UTC)
    return Report(
        "https://example.com/", (SUITE,), Options(), now, now, findings, ("Users/1",), "interrupted"
    )


def test_a_secret_is_blotted_out_wherever_the_server_repeats_it() -> None:
    clean = report(without_secret(finding(Outcome.FAILED), SECRET))
    for written in (to_json(clean), to_html(clean)):
        assert SECRET not in written
        assert "[credential]" in written


def test_the_page_escapes_what_servers_say_and_needs_nothing_else() -> None:
    page = to_html(report(finding(Outcome.FAILED)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<i>" not in page
    assert "<b>" not in page
    assert "src=" not in page
    assert "<link" not in page
    assert "Users/1" in page
    assert "interrupted" in page


def test_a_should_that_is_not_done_is_a_warning() -> None:
    failed = finding(Outcome.FAILED)
    warned = finding(Outcome.FAILED, Keyword.SHOULD)
    broken = finding(Outcome.BROKEN, Keyword.PRACTICE)
    absent = finding(Outcome.NOT_APPLICABLE)
    assert [verdict(each) for each in (failed, warned, broken, absent)] == [
        "failed",
        "warnings",
        "broken",
        "not applicable",
    ]
    counted = json.loads(to_json(report(failed, warned, broken, absent)))
    assert counted["counts"]["rfc"] == {
        "passed": 0,
        "failed": 1,
        "warnings": 1,
        "broken": 1,
        "not applicable": 1,
    }
    assert [each["countsAgainst"] for each in counted["findings"]] == [True, False, True, False]


def test_sections_come_in_the_order_of_their_numbers() -> None:
    sections = ["RFC 7644 §3.12", "RFC 7643 §7", "RFC 7644 §3.5.2", "RFC 7644 §3.5.2.10", "RFC 7644 §3.5.2.3"]
    page = to_html(report(*(finding(Outcome.PASSED, section=each) for each in sections)))
    found = [page.index(f"<h3>{each}</h3>") for each in sections]
    assert sorted(found) == [found[1], found[2], found[4], found[3], found[0]]
