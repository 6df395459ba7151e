"""The gate's rules as a person would say them: whom a key belongs to, what it counts for, what is asked.

It goes on where ``lifecycle_model`` ends, and knows no more of the gate than docs/gateways.md tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tests.property.lifecycle_model import DEAD, KeyModel, Model, SecretModel

RESOLVED: Final = {
    "/orders": "/orders",
    "/orders/7": "/orders/7",
    "/orders/7?next=/admin": "/orders/7",
    "/orders/7#/admin": "/orders/7",
    "//orders//7": "/orders/7",
    "/./orders/7": "/orders/7",
    "/%6frders/7": "/orders/7",
    "/admin": "/admin",
    "/orders/../admin": "/admin",
    "/orders/%2e%2e/admin": "/admin",
    "/ORDERS/7": "/ORDERS/7",
    "/orders%2F7": None,
    "/orders/%252e%252e/admin": None,
    "/orders/..%5Cadmin": None,
    "/../orders/7": None,
    "/orders/%00": None,
    "/orders/%ff": None,
    "orders/7": None,
}
"""Paths of calls, and what each is to an application; None where two applications might disagree."""

PLAIN_PATHS: Final = tuple(
    path for path in RESOLVED if "%" not in path and path.startswith("/") and "#" not in path
)
"""Those that Envoy hands over as they stand."""


@dataclass(frozen=True)
class Terms:
    """What an entitlement says of the calls that it is for. Empty and None: no word about it."""

    audience: str | None = None
    scopes: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        conditions = {"methods": list(self.methods), "paths": list(self.paths)}
        said = {
            "audience": self.audience,
            "scopes": list(self.scopes),
            "conditions": {name: value for name, value in conditions.items() if value},
        }
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True)
class Question:
    """What is asked of a key: the audiences and scopes that are needed, and the call where it is known."""

    audiences: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    method: str | None = None
    path: str | None = None


def answers(
    model: Model, terms: dict[str, Terms], key: KeyModel, secret: SecretModel, question: Question
) -> set[str]:
    """Return what the gate may say: ``allow`` or the reason of a denial.

    It is one word, but for a key that is dead for good for more reasons than one.
    """
    said = model.verdict(key, secret)
    if said == DEAD:
        return _why_dead(model, key, secret)
    if said != "allow":
        return {said}
    rights = [terms.get(each, Terms()) for each in model.counts(key)]
    for reason, fits in (
        ("audience_mismatch", _is_for),
        ("scope_missing", _has_scopes),
        ("method_not_allowed", _has_method),
        ("path_not_allowed", _has_path),
    ):
        rights = [each for each in rights if fits(each, question)]
        if not rights:
            return {reason}
    return {"allow"}


def _why_dead(model: Model, key: KeyModel, secret: SecretModel) -> set[str]:
    why = set()
    if secret.ends is not None and secret.ends <= model.now:
        why.add("secret_rotated")
    if key.user not in model.users:
        why.add("consumer_deleted")
    if key.expires is not None and key.expires <= model.now:
        why.add("key_expired")
    if key.lapsed.keys() == key.entitlements or not key.entitlements & model.entitlements.keys():
        why.add("right_lapsed")
    if key.final is not None:
        # Whatever ended it for good, it is revoked as soon as something was written after that.
        why.add("key_revoked")
    return why


def _is_for(terms: Terms, question: Question) -> bool:
    return terms.audience is None or all(each == terms.audience for each in question.audiences)


def _has_scopes(terms: Terms, question: Question) -> bool:
    return all(each in terms.scopes for each in question.scopes)


def _has_method(terms: Terms, question: Question) -> bool:
    return not terms.methods or str(question.method).upper() in [each.upper() for each in terms.methods]


def _has_path(terms: Terms, question: Question) -> bool:
    path = None if question.path is None else RESOLVED[question.path]
    if not terms.paths:
        return True
    return path is not None and any(
        path.startswith(each[:-1]) if each.endswith("*") else path == each for each in terms.paths
    )
