"""Whatever the directory and its past: the gate says what a plain reading of the rules says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from werkzeug.test import TestResponse

from app import AFTERWARDS
from tests.http.conftest import Tenant
from tests.property.lifecycle_machine import LifecycleMachine, numbers, one
from tests.property.naive_gate import PLAIN_PATHS, RESOLVED, Question, Terms, answers

AUDIENCES = ("https://orders.example", "https://billing.example")
SCOPES = ("read", "write", "delete")
METHODS = ("GET", "POST", "delete")
PATTERNS = ("/orders/*", "/orders", "/admin", "/*")

WORDS = {
    *("allow", "no_grant", "consumer_inactive", "access_not_started", "access_ended", "key_revoked"),
    *("secret_rotated", "audience_mismatch", "scope_missing", "method_not_allowed", "path_not_allowed"),
}
MOST_ROUNDS = 8
"""Of sixty directories each. Chance may leave a word out of one of them."""

MOST_TRIALS = 50

terms = st.builds(
    Terms,
    audience=st.sampled_from([None, None, *AUDIENCES]),
    scopes=st.sets(st.sampled_from(SCOPES)).map(sorted).map(tuple),
    methods=st.sets(st.sampled_from(METHODS), max_size=2).map(sorted).map(tuple),
    paths=st.sets(st.sampled_from(PATTERNS), max_size=2).map(sorted).map(tuple),
)
questions = st.builds(
    Question,
    audiences=st.frozensets(st.sampled_from(AUDIENCES), max_size=2),
    scopes=st.frozensets(st.sampled_from(SCOPES), max_size=2),
    method=st.sampled_from([None, "GET", "get", "POST", "DELETE"]),
    path=st.sampled_from([None, *RESOLVED]),
)
gateways = st.sampled_from(["nginx", "traefik", "envoy"])


class AskingMachine(LifecycleMachine):
    """Lets entitlements say what they are for, and asks everything of every key after each step."""

    said: ClassVar[Counter[str]]

    @initialize(asked=st.lists(st.tuples(questions, gateways), min_size=2, max_size=2))
    def begin_to_ask(self, asked: list[tuple[Question, str]]) -> None:
        self.asked = asked

    def send(self, method: str, path: str, body: Any = None) -> TestResponse:
        if method == "PUT" and path.startswith("/Entitlements/"):
            body = {**body, **self.known_terms().get(path.rpartition("/")[2], Terms()).document}
        return super().send(method, path, body)

    def known_terms(self) -> dict[str, Terms]:
        if not hasattr(self, "terms"):
            self.terms: dict[str, Terms] = {}
        return self.terms

    @precondition(lambda self: self.model.entitlements)
    @rule(number=numbers, said=terms)
    def define(self, number: int, said: Terms) -> None:
        self.tick()
        entitlement = one(number, self.model.entitlements.values())
        # A complex attribute keeps what a replacement does not name (RFC 7644 §3.5.2.3), so all goes first.
        operations = [{"op": "remove", "path": name} for name in ("audience", "scopes", "conditions")]
        if said.document:
            operations.append({"op": "replace", "value": said.document})
        self.done(self.patch(f"/Entitlements/{entitlement.id}", *operations), 200)
        self.known_terms()[entitlement.id] = said
        self.follow()

    @precondition(lambda self: any(key.secrets for key in self.model.keys.values()))
    @rule(number=numbers, question=questions, by=gateways)
    def ask(self, number: int, question: Question, by: str) -> None:
        self.tick()
        key, secret = one(number, [(key, each) for key in self.model.keys.values() for each in key.secrets])
        self.compare(key, secret, question, by)

    @invariant()
    def the_model_is_right(self) -> None:
        known = [*getattr(self, "asked", ()), (Question(method="GET", path="/orders/7"), "nginx")]
        shown = [(key, each) for key in self.model.keys.values() for each in key.secrets]
        dead = [each for each in shown if each[0].final is not None]
        # Of the dead ones the last: whatever is asked of them, the answer is the same.
        for key, secret in [*(each for each in shown if each not in dead), *dead[-2:]]:
            for question, by in known:
                self.compare(key, secret, question, by)
        # What the gate writes down of dead secrets is written before the next step.
        self.tenant.flask.extensions[AFTERWARDS].settle()

    def compare(self, key: Any, secret: Any, question: Question, by: str) -> None:
        if by == "envoy" and (question.path not in PLAIN_PATHS or question.method is None):
            by = "nginx"
        said = self.gate_says(secret.text, question, by)
        for _ in range(MOST_TRIALS):
            if said != "store_unavailable":
                break
            # Other programs have the processors, so the database missed the gate's patience.
            said = self.gate_says(secret.text, question, by)
        type(self).said[said] += 1
        right = answers(self.model, self.known_terms(), key, secret, question)
        assert said in right, (said, right, question, by, key)

    def gate_says(self, secret: str, question: Question, by: str) -> str:
        gate = self.tenant.gate
        headers = [*gate.headers.items(), ("Authorization", f"Bearer {secret}")]
        query: dict[str, Any] = {}
        if by == "envoy":
            headers += [("X-Gate-Audience", each) for each in sorted(question.audiences)]
            headers += [("X-Gate-Scope", " ".join(sorted(question.scopes)))]
        else:
            query = {"audience": sorted(question.audiences), "scope": " ".join(sorted(question.scopes))}
            if len(question.audiences) > 1:
                # One in the URL, one in the header: both are needed.
                query["audience"] = min(question.audiences)
                headers.append(("X-Gate-Audience", max(question.audiences)))
            names = ("X-Original-Method", "X-Original-URI")
            if by == "traefik":
                names = ("X-Forwarded-Method", "X-Forwarded-Uri")
            said = zip(names, (question.method, question.path), strict=True)
            headers += [(name, value) for name, value in said if value is not None]
        answer = gate.client.open(
            f"/gate/verify{question.path}".partition("?")[0] if by == "envoy" else "/gate/verify",
            method=str(question.method) if by == "envoy" else "GET",
            query_string=query,
            headers=headers,
        )
        assert answer.status_code in (200, 401, 403)
        return "allow" if answer.status_code == 200 else answer.headers["X-Auth-Reason"]


def asked(found: Callable[..., Tenant], *, runs: int, length: int) -> Counter[str]:
    """Drive new tenants in random order, ask after every step; return how often the gate said what."""

    class Machine(AskingMachine):
        steps = [0]  # noqa: RUF012
        said: ClassVar[Counter[str]] = Counter()

    Machine.found = staticmethod(found)
    limits = settings(
        max_examples=runs,
        stateful_step_count=length,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=limits)
    return Machine.said


def test_the_gate_says_what_the_rules_say(found: Callable[..., Tenant]) -> None:
    said = asked(found, runs=2, length=20)
    print(said)
    assert said.total() > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_gate_says_what_the_rules_say_on_many_directories(found: Callable[..., Tenant]) -> None:
    said: Counter[str] = Counter()
    for _ in range(MOST_ROUNDS):
        said += asked(found, runs=60, length=60)
        print(said)
        if said.keys() >= WORDS:
            break
    # Every word that the rules have for a known key was said.
    assert said.keys() >= WORDS
