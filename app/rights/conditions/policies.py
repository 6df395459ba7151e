"""Policies in Cedar (docs.cedarpolicy.com): conditions that the others cannot say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

import cedarpy

from app.rights.conditions.invalid import ConditionInvalid

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
"""The methods that a policy can name (RFC 9110 §9.3, RFC 5789)."""

SCHEMA: Final = f"""\
entity Consumer = {{ userName: String, userType?: String, department?: String }};
entity Api = {{ path: String }};
action {", ".join(METHODS)} appliesTo {{
  principal: Consumer,
  resource: Api,
  context: {{ client: ipaddr, time: datetime, scopes: Set<String>, audiences: Set<String> }}
}};
"""
"""What a policy may speak of.

What a user may not have is optional here. What the gate may not know of a call is required: a policy that
asks for it then fails, and what fails denies.
"""

LONGEST: Final = 8192
DEEPEST: Final = 20
MOST_SYMBOLS: Final = 500
MOST_BRANCHES: Final = 20

# As Cedar's own lexer cuts a text; a quote that no string begins with is a symbol by itself.
_SYMBOLS: Final = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n\r]*|\w+|\S', re.ASCII)
_UNKNOWABLE: Final = frozenset({"path", "client", '"path"', '"client"'})


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Policies of one entitlement, parsed and valid against :data:`SCHEMA`."""

    text: str
    parsed: cedarpy.PolicySet


def parse_policy(text: str) -> Policy:
    """Return the policies that a text holds.

    :raises ConditionInvalid: when it is no Cedar, does not fit the schema, permits nothing, or is too large.
    """
    _refuse_complexity(text)
    validation = cedarpy.validate_policies(text, _schema())
    if not validation.validation_passed:
        told = " ".join("; ".join(each.error for each in validation.errors).split())
        raise ConditionInvalid(f"it does not fit the schema in docs/conditions.md: {told[:400]}")
    parsed = cedarpy.PolicySet.from_str(text)
    if parsed.templates():
        raise ConditionInvalid("it has a slot (?principal or ?resource): write a policy without")
    return Policy(text, parsed)


@cache
def _schema() -> cedarpy.Schema:
    return cedarpy.Schema.from_str(SCHEMA)


def _refuse_complexity(text: str) -> None:
    """Refuse what would make Cedar's parser call itself too often: that ends the whole process.

    Measured with cedarpy 4.12 on a stack of 1 MB: it ends at 100 brackets in one another, and at 2,000
    operators one after the other.
    """
    if len(text) > LONGEST:
        raise ConditionInvalid(f"it is longer than {LONGEST} characters: write less")
    depth = symbols = branches = 0
    permits = False
    before = ""
    for symbol in _SYMBOLS.findall(text):
        if symbol.startswith("//"):
            continue
        symbols += 1
        branches += symbol == "if"
        depth += (symbol in "([{") - (symbol in ")]}")
        permits = permits or (symbol == "(" and before == "permit")
        if depth > DEEPEST or symbols > MOST_SYMBOLS or branches > MOST_BRANCHES:
            raise ConditionInvalid(
                f"it is too large: brackets stand at most {DEEPEST} deep in one another, and a policy has at "
                f"most {MOST_SYMBOLS} words and signs, {MOST_BRANCHES} times if among them"
            )
        if before == "has" and symbol in _UNKNOWABLE:
            raise ConditionInvalid(
                "it asks whether there is a path or a client (has): leave that out, what is unknown denies"
            )
        if symbol == ";":
            symbols = branches = 0
        before = symbol
    if not permits:
        raise ConditionInvalid("it permits nothing: write at least one permit (…);")
