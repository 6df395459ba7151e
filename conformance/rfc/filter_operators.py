"""Filters: each operator on each kind of attribute (RFC 7644 §3.4.2.2, table 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance.rfc.cast import Words, cast, expect_found, matched
from conformance.rfc.expectations import expect, expect_status, member
from conformance.rfc.provider import USER, Attribute
from conformance.rfc.stage import Deviates, NotApplicable, Stage
from conformance.rfc.trials import MUST, SHOULD, requirement

_SECTION: Final = "RFC 7644 §3.4.2.2"
_ALL: Final = "ada ben cyd dov eve fay"
_TEXTS: Final = "ada ben cyd eve fay"


def _finds(filters: tuple[tuple[str, str], ...], either: str = "") -> Callable[[Stage], None]:
    def carry_out(stage: Stage) -> None:
        for template, wanted in filters:
            expect_found(stage, template, set(wanted.split()), set(either.split()))

    return carry_out


for _name, _text, _filters, _either in (
    ("eq", "eq finds the values that are equal.", (('{text} eq "{tag} Manager"', "cyd"),), ""),
    (
        "eq-case",
        "eq is without letter case where the attribute is not caseExact.",
        (('{text} eq "{tag} ENGINEER"', "ada ben"),),
        "",
    ),
    (
        "ne",
        "ne finds the values that are not equal.",
        (('{text} ne "{tag} engineer"', "cyd eve fay"),),
        "dov",
    ),
    ("co", "co finds the values that hold a text.", (('{text} co "{tag} Engi"', "ada ben"),), ""),
    ("co-none", "co finds nothing that does not hold the text.", (('{text} co "{tag}nothing"', ""),), ""),
    ("sw", "sw finds the values that start with a text.", (('{text} sw "{tag} e"', "ada ben"),), ""),
    ("sw-whole", "sw finds a value that equals the text.", (('userName sw "{tag}ada"', "ada"),), ""),
    (
        "ew",
        "ew finds the values that end with a text.",
        (('{text} sw "{tag}" and {text} ew "nager"', "cyd"), ('userName ew "{tag}ben"', "ben")),
        "",
    ),
    ("pr", "pr finds what has a value, and not what has none.", (("{text} pr", _TEXTS),), ""),
    ("pr-list", "pr on a list finds what has elements.", (("{values} pr", _TEXTS),), ""),
    ("pr-sub", "pr on a sub-attribute finds what has it.", (("{family} pr", "ada ben cyd eve"),), ""),
    ("gt", "gt compares texts in their order.", (('userName gt "{tag}cyd"', "dov eve fay"),), ""),
    ("ge", "ge finds the equal text too.", (('userName ge "{tag}cyd"', "cyd dov eve fay"),), ""),
    ("lt", "lt compares texts in their order.", (('userName lt "{tag}cyd"', "ada ben"),), ""),
    ("le", "le finds the equal text too.", (('userName le "{tag}cyd"', "ada ben cyd"),), ""),
    (
        "boolean",
        "eq and ne compare booleans.",
        (
            ("{active} eq true", "ada cyd dov fay"),
            ("{active} eq false", "ben eve"),
            ("{active} ne true", "ben eve"),
        ),
        "",
    ),
    (
        "escapes",
        "A text in a filter is a JSON text, with its escapes.",
        (('{text} eq "{tag} \\"Q\\" \\\\ x"', "eve"),),
        "",
    ),
    ("unicode", "A text in a filter may hold any character.", (('{text} eq "{tag} Ωmega"', "fay"),), ""),
    (
        "unicode-escape",
        "A character in a filter may be written as a JSON escape.",
        (('{text} eq "{tag} \\u03a9mega"', "fay"),),
        "",
    ),
    ("sub-attribute", "A filter may name a sub-attribute.", (('{family} eq "Adams {tag}"', "ada cyd"),), ""),
    (
        "any-value",
        "A filter on a list finds what has some value that matches.",
        (
            ('{values}.value sw "two-{tag}"', "ada cyd"),
            ('{values}.type eq "home" and userName sw "{tag}"', "ada ben"),
        ),
        "",
    ),
    (
        "extension",
        "A filter may name an attribute of an extension by its whole name.",
        (('{extension} eq "{tag} extension"', "ada"),),
        "",
    ),
    (
        "schemas",
        "A filter on schemas finds what has an extension.",
        (('schemas eq "{extension_urn}" and {extension} sw "{tag}"', "ada"),),
        "",
    ),
    ("id", "A filter may name id.", (('id eq "{id_ben}"', "ben"),), ""),
    ("external-id", "A filter may name externalId.", (('externalId eq "{tag}CYD"', "cyd"),), ""),
    (
        "resource-type",
        "A filter may name meta.resourceType.",
        (('meta.resourceType eq "{type}"', _ALL), ('meta.resourceType eq "Nothing"', "")),
        "",
    ),
    (
        "date-equal",
        "eq, ge and le find the moment itself.",
        (
            ('id eq "{id_ada}" and meta.created eq "{created}"', "ada"),
            ('id eq "{id_ada}" and meta.created ge "{created}" and meta.created le "{created}"', "ada"),
            ('id eq "{id_ada}" and meta.created gt "{created}"', ""),
            ('id eq "{id_ada}" and meta.created lt "{created}"', ""),
        ),
        "",
    ),
    (
        "date-order",
        "gt and lt compare moments as moments, whatever their time zone.",
        (
            ('meta.created gt "{hour_before}"', _ALL),
            ('meta.created lt "{hour_before}"', ""),
            ('meta.created lt "{hour_after}"', _ALL),
            ('meta.created gt "{hour_after}"', ""),
        ),
        "",
    ),
    (
        "operator-case",
        "The operators are without letter case.",
        (('userName EQ "{tag}ada"', "ada"), ('userName Sw "{tag}b"', "ben"), ("{text} PR", _TEXTS)),
        "",
    ),
    (
        "attribute-case",
        "The names of attributes are without letter case.",
        (('USERNAME eq "{tag}ada"', "ada"), ('username eq "{tag}ada"', "ada")),
        "",
    ),
    (
        "urn",
        "An attribute may be qualified by the URI of its schema.",
        (('{user}:userName eq "{tag}ada"', "ada"), ('{user}:{family} eq "Bond {tag}"', "ben")),
        "",
    ),
):
    requirement(f"rfc7644-3.4.2.2-{_name}", _SECTION, MUST, _text)(_finds(_filters, _either))


@requirement(
    "rfc7644-3.4.2.2-case-exact", _SECTION, MUST, "eq minds letter case where the attribute is caseExact."
)
def case_exact(stage: Stage) -> None:
    expect_found(stage, 'externalId eq "{tag}cyd"', set())


@requirement(
    "rfc7644-3.4.2.2-no-match", "RFC 7644 §3.4.2", MUST, "A filter without a match is answered 200 and 0."
)
def no_match(stage: Stage) -> None:
    stage.needs("filter")
    answer = stage.target.get(stage.users, filter=f'userName eq "{stage.name("nobody")}"')
    expect_status(answer, 200)
    expect(
        answer.document.get("totalResults") == 0, f"totalResults is {answer.document.get('totalResults')!r}"
    )
    expect(not answer.resources, "there are resources")


@requirement("rfc7644-3.4.2.2-total", "RFC 7644 §3.4.2", MUST, "totalResults counts what the filter matches.")
def total(stage: Stage) -> None:
    stage.needs("filter")
    written = 'userName sw "{tag}"'.format_map(Words(stage))
    seen = stage.target.get(stage.users, filter=written).document.get("totalResults")
    expect(seen == len(cast(stage).people), f"totalResults is {seen!r}")


@requirement("rfc7644-3.4.2.2-number", _SECTION, MUST, "Numbers are compared by their value.")
def number(stage: Stage) -> None:
    attribute = _number(stage)
    made = {
        each: stage.new_user(
            **(
                {attribute.name: each}
                if attribute.schema.lower() == USER.lower()
                else {attribute.schema: {attribute.name: each}}
            )
        ).id
        for each in (9, 10, 100)
    }
    path = (
        attribute.name if attribute.schema.lower() == USER.lower() else f"{attribute.schema}:{attribute.name}"
    )
    for operator, wanted in (("gt 9", {10, 100}), ("lt 10", {9}), ("ge 10", {10, 100}), ("eq 100", {100})):
        answer = stage.target.get(stage.users, filter=f"{path} {operator}")
        expect_status(answer, 200)
        found = {each.get("id") for each in answer.resources} & set(made.values())
        expect(
            found == {made[each] for each in wanted},
            f"{path} {operator} does not find exactly {sorted(wanted)}",
        )


def _number(stage: Stage) -> Attribute:
    for each in (*stage.provider.attributes(USER), *stage.provider.extension_attributes(USER)):
        if each.type in ("integer", "decimal") and not each.multi_valued and each.mutability == "readWrite":
            return each
    raise NotApplicable("/Schemas declares no attribute of a number type for users")


@requirement(
    "rfc7644-3.4.2.2-pr-complex",
    _SECTION,
    MUST,
    "pr on a complex attribute finds what has any of its sub-attributes.",
)
def present_complex(stage: Stage) -> None:
    stage.attribute("name.familyName")
    found = matched(stage, "name pr")
    wanted = {
        name
        for name, made in cast(stage).people.items()
        if any((member(made.document, "name") or {}).values())
    }
    expect(found == wanted, f"name pr finds {sorted(found)} and not {sorted(wanted)}")


@requirement(
    "rfc7644-3.4.2.2-never",
    "RFC 7643 §7",
    SHOULD,
    "A filter does not find users by the text of their passwords.",
)
def never(stage: Stage) -> None:
    stage.needs("filter")
    stage.attribute("password")
    secret = f"Aa1!{stage.name('secret')}"
    made = stage.make(stage.users, stage.user_body(password=secret))
    answer = stage.target.get(stage.users, filter=f'password sw "{secret[:6]}"')
    if made.id in {each.get("id") for each in answer.resources}:
        raise Deviates("the user is found by the beginning of the password")


requirement(
    "rfc7644-3.4.2.2-list-name",
    _SECTION,
    SHOULD,
    "The name of a list stands for the value of its elements, as in the examples.",
)(_finds((('{values} co "two-{tag}"', "ada cyd"),)))
