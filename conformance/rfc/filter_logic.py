"""Filters: how expressions are joined and grouped (RFC 7644 §3.4.2.2, tables 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance.rfc.cast import expect_found
from conformance.rfc.stage import NotApplicable, Stage
from conformance.rfc.trials import MUST, requirement

_SECTION: Final = "RFC 7644 §3.4.2.2"
_MINE: Final = 'userName sw "{tag}"'


def _finds(filters: tuple[tuple[str, str], ...], *, optional: bool) -> Callable[[Stage], None]:
    def carry_out(stage: Stage) -> None:
        if optional:
            _ensure_value_paths(stage)
        for template, wanted in filters:
            expect_found(stage, template, set(wanted.split()))

    return carry_out


def _ensure_value_paths(stage: Stage) -> None:
    """:raises NotApplicable: when the server says that it has no square brackets, which are optional."""
    stage.needs("filter")
    answer = stage.target.get(stage.users, filter=f'{stage.values()}[type eq "work"]')
    if answer.status == 400 and answer.document.get("scimType") == "invalidFilter":
        raise NotApplicable("filters with square brackets are not offered")


for _name, _text, _filters in (
    (
        "and",
        "and finds what both sides match.",
        (
            ('{text} sw "{tag} e" and {active} eq true', "ada"),
            ('userName eq "{tag}ada" and id eq "{id_ben}"', ""),
        ),
    ),
    (
        "or",
        "or finds what either side matches.",
        (('userName eq "{tag}ada" or userName eq "{tag}dov"', "ada dov"),),
    ),
    (
        "not",
        "not finds what its expression does not match.",
        ((_MINE + ' and not (userName eq "{tag}ada")', "ben cyd dov eve fay"),),
    ),
    (
        "not-unassigned",
        "not of a comparison finds what has no value.",
        ((_MINE + ' and not ({text} sw "{tag}")', "dov"),),
    ),
    (
        "not-pr",
        "not of pr finds what has no value.",
        ((_MINE + " and not ({text} pr)", "dov"), (_MINE + " and not ({values} pr)", "dov")),
    ),
    (
        "precedence",
        "and binds more tightly than or.",
        (
            ('userName eq "{tag}ada" or userName eq "{tag}ben" and {active} eq false', "ada ben"),
            ('{active} eq false and userName eq "{tag}ben" or userName eq "{tag}ada"', "ada ben"),
        ),
    ),
    (
        "grouping",
        "Round brackets change the order.",
        (('(userName eq "{tag}ada" or userName eq "{tag}ben") and {active} eq false', "ben"),),
    ),
    (
        "not-precedence",
        "not binds more tightly than and, and that more tightly than or.",
        (('not (userName sw "{tag}") and userName eq "{tag}ada" or userName eq "{tag}ben"', "ben"),),
    ),
    (
        "nested",
        "Round brackets may be nested.",
        (('((userName eq "{tag}ada" or (userName eq "{tag}ben")) and not ({active} eq true))', "ben"),),
    ),
    (
        "chain",
        "More than two expressions may be joined.",
        ((_MINE + " and {text} pr and {active} eq true and {values} pr", "ada cyd fay"),),
    ),
    (
        "logic-case",
        "and, or and not are without letter case.",
        ((_MINE + ' AND NOT (userName eq "{tag}ada" OR {active} eq true)', "ben eve"),),
    ),
    ("not-double", "not may be applied to not.", (('not (not (userName eq "{tag}ada"))', "ada"),)),
    (
        "value-path",
        "In square brackets all terms must match the same value.",
        (
            ('{values}[type eq "home" and value sw "two-{tag}"]', "ada"),
            ('{values}[type eq "work" and value sw "two-{tag}"]', "cyd"),
        ),
    ),
    (
        "value-path-apart",
        "Without square brackets the terms may match different values.",
        (('{values}.type eq "work" and {values}.value sw "two-{tag}"', "ada cyd"),),
    ),
    (
        "value-path-or",
        "In square brackets or may be used.",
        (('{values}[type eq "other" or value sw "one-{tag}"] and ' + _MINE, "ada ben eve"),),
    ),
    (
        "value-path-not",
        "In square brackets not may be used.",
        ((_MINE + ' and {values}[not (type eq "work")]', "ada ben eve"),),
    ),
    (
        "value-path-not-outside",
        "not of square brackets finds what has no value that matches.",
        ((_MINE + ' and not ({values}[type eq "work"])', "ben dov eve"),),
    ),
    (
        "value-path-joined",
        "Square brackets may be joined with other expressions.",
        (('{values}[type eq "work" and value sw "two-{tag}"] or userName eq "{tag}dov"', "cyd dov"),),
    ),
):
    requirement(f"rfc7644-3.4.2.2-{_name}", _SECTION, MUST, _text)(
        _finds(_filters, optional=_name.startswith("value-path"))
    )
