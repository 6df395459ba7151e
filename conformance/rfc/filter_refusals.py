"""Filters that are to be refused, and never answered with everything (RFC 7644 §3.4.2.2, §3.12)."""

from __future__ import annotations

from typing import Final

from conformance.exchange import Answer
from conformance.rfc.cast import cast
from conformance.rfc.expectations import expect, expect_error, expect_refused
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.4.2.2"
_MALFORMED: Final = (
    "userName",
    "userName eq",
    'eq "a"',
    'userName eq "a',
    "userName eq a",
    '(userName eq "a"',
    'userName eq "a")',
    'userName eq "a" and',
    'userName eq "a" xor userName eq "b"',
    'userName eq "a" userName eq "b"',
    'and userName eq "a"',
    "userName pr pr",
    "[",
    '"a" eq userName',
)


def _asked(stage: Stage, written: str) -> Answer:
    stage.needs("filter")
    cast(stage)
    return stage.target.get(stage.users, filter=written)


@requirement(
    "rfc7644-3.4.2.2-unknown-operator", _SECTION, MUST, "An unknown operator is answered 400 invalidFilter."
)
def unknown_operator(stage: Stage) -> None:
    expect_error(_asked(stage, 'userName regex "^a"'), 400, "invalidFilter")


@requirement(
    "rfc7644-3.4.2.2-unknown-operator-joined",
    _SECTION,
    MUST,
    "An unknown operator is answered 400 invalidFilter also beside a filter that is right.",
)
def unknown_operator_joined(stage: Stage) -> None:
    expect_error(_asked(stage, 'userName pr or userName like "a"'), 400, "invalidFilter")


@requirement("rfc7644-3.4.2.2-malformed", _SECTION, MUST, "A filter that breaks the grammar is refused.")
def malformed(stage: Stage) -> None:
    for written in _MALFORMED:
        answer = _asked(stage, written)
        expect(400 <= answer.status < 500, f"{written} is answered {answer.status}")


@requirement(
    "rfc7644-3.12-invalid-filter",
    "RFC 7644 §3.12",
    SHOULD,
    "A filter that breaks the grammar is answered 400 invalidFilter.",
)
def malformed_word(stage: Stage) -> None:
    for written in _MALFORMED:
        answer = _asked(stage, written)
        seen = answer.status, answer.document.get("scimType")
        expect(seen == (400, "invalidFilter"), f"{written} is answered {seen}")


@requirement(
    "rfc7644-3.4.2.2-not-brackets",
    _SECTION,
    SHOULD,
    "not without round brackets breaks the grammar and is refused.",
)
def not_brackets(stage: Stage) -> None:
    expect_refused(_asked(stage, 'not userName eq "a"'))


@requirement("rfc7644-3.4.2.2-empty", _SECTION, SHOULD, "An empty filter is refused: it holds no expression.")
def empty(stage: Stage) -> None:
    expect_refused(_asked(stage, ""))


for _operator in ("gt", "ge", "lt", "le"):

    @requirement(
        f"rfc7644-3.4.2.2-boolean-{_operator}",
        _SECTION,
        MUST,
        f"{_operator} on a boolean is answered 400 invalidFilter.",
    )
    def boolean_order(stage: Stage, operator: str = _operator) -> None:
        stage.attribute("active")
        expect_error(_asked(stage, f"active {operator} true"), 400, "invalidFilter")


@requirement(
    "rfc7644-3.4.2.2-unknown-attribute",
    _SECTION,
    MUST,
    "A filter on an attribute that is not declared finds nothing, or is refused.",
)
def unknown_attribute(stage: Stage) -> None:
    answer = _asked(stage, f'{stage.name("attribute")} eq "a"')
    expect(answer.status < 500, f"answered {answer.status}")
    expect(not answer.resources, f"{len(answer.resources)} users are found")


@requirement(
    "rfc7644-3.4.2.2-wrong-type",
    _SECTION,
    MUST,
    "A comparison with a value of another type finds nothing, or is refused.",
)
def wrong_type(stage: Stage) -> None:
    stage.attribute("active")
    for written in ("userName eq true", "userName eq 1", "active eq 17"):
        answer = _asked(stage, written)
        expect(answer.status < 500, f"{written} is answered {answer.status}")
        expect(not answer.resources, f"{written} finds {len(answer.resources)} users")


@requirement(
    "rfc7644-3.4.2.2-bad-date",
    _SECTION,
    SHOULD,
    "A dateTime that is none is refused in a comparison with one.",
)
def bad_date(stage: Stage) -> None:
    answer = _asked(stage, 'meta.created gt "not a date"')
    expect(answer.status == 400 or not answer.resources, f"{len(answer.resources)} users are found")


@requirement(
    "rfc7644-3.4.2.2-not-supported",
    _SECTION,
    MUST,
    "A server without filters does not answer a filter with everything.",
)
def not_supported(stage: Stage) -> None:
    if stage.provider.supports("filter"):
        raise NotApplicable("filters are supported")
    made = stage.new_user()
    answer = stage.target.get(stage.users, filter=f'userName eq "{stage.name("nobody")}"')
    expect(
        made.id not in {each.get("id") for each in answer.resources}, "a user is found that does not match"
    )
