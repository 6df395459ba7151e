"""One question about a key, asked by every face that knows conditions, and its answer in one word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from werkzeug.datastructures import Headers
from werkzeug.test import Client, TestResponse

from app import VERIFY
from app.gate.door import Door
from app.gate.recorder import Verification
from app.store.moments import EPOCH
from tests.http.conftest import Key, Tenant

FACES: Final = ("door", "view", "introspection", "evaluation")
API: Final = "https://api.example"
PERMIT: Final = "permit (principal, action, resource)"
OUTAGES: Final = {503: "introspection", 500: "evaluation"}

Clock = Callable[[datetime], None]
"""Sets the clock by which the gate judges."""


def microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@dataclass(frozen=True)
class Question:
    """What is asked of a key. ``properties``: of the resource; only an application can state them."""

    method: str | None = "GET"
    path: str | None = "/orders/7"
    client: str | None = "192.0.2.7"
    audience: str | None = API
    scope: str = "orders.read"
    properties: Mapping[str, Any] = field(default_factory=dict)


ASKED: Final = Question()


def held(tenant: Tenant, **conditions: Any) -> Key:
    """Return a key for an entitlement with conditions."""
    tenant.entitlement("orders", audience=API, scopes=["orders.read"], conditions=conditions)
    return tenant.key(tenant.user("ada", entitlements=[{"value": "orders"}]), "orders")


@dataclass(frozen=True)
class Said:
    """``allow`` or the reason of the denial, and how the face tells it."""

    word: str
    headers: Headers
    body: Any


@dataclass(frozen=True)
class Asking:
    """Asks by one face, as a gateway at ``address`` does."""

    tenant: Tenant
    face: str
    recorded: Mapping[str, Verification]
    address: str = "127.0.0.1"

    def say(self, key: Key, question: Question, **sent: Any) -> Said:
        """Ask; what else is sent goes with it, as headers or members of the question."""
        answer = getattr(self, f"_{self.face}")(key, question, sent)
        body = answer.get_json(silent=True)
        if answer.status_code in OUTAGES and OUTAGES[answer.status_code] == self.face:
            return Said("store_unavailable", answer.headers, body)
        told, identifier = self._told(answer, body)
        decided = self.recorded[identifier]
        word = decided.outcome.reason or "allow"
        # A face may keep the reason to itself, but never says another one than what is recorded.
        assert told in (word, None) or (told == "deny" and word != "allow"), (told, word)
        return Said(word, answer.headers, body)

    def word(self, key: Key, question: Question, **sent: Any) -> str:
        return self.say(key, question, **sent).word

    def _told(self, answer: TestResponse, body: Any) -> tuple[str, str]:
        if self.face == "evaluation":
            assert answer.status_code == 200, answer.text
            context = body["context"]
            return "allow" if body["decision"] else context["reason"], context["id"]
        identifier = answer.headers["X-Auth-Decision-Id"]
        if self.face == "introspection":
            assert answer.status_code == 200, answer.text
            assert body["active"] or body == {"active": False}
            return "allow" if body["active"] else "deny", identifier
        assert answer.status_code in (200, 401, 403), answer.text
        return answer.headers.get("X-Auth-Reason", "allow"), identifier

    def _door(self, key: Key, question: Question, sent: Mapping[str, Any]) -> TestResponse:
        return self._verified(
            Client(Door(self.tenant.flask.extensions[VERIFY], _nobody)), key, question, sent
        )

    def _view(self, key: Key, question: Question, sent: Mapping[str, Any]) -> TestResponse:
        return self._verified(self.tenant.flask.test_client(), key, question, sent)

    def _verified(
        self, client: Client, key: Key, question: Question, sent: Mapping[str, Any]
    ) -> TestResponse:
        headers = {
            **self.tenant.gate.headers,
            "Authorization": f"Bearer {key.secret}",
            "X-Original-Method": question.method,
            "X-Original-URI": question.path,
            "X-Forwarded-For": question.client,
            **{name.replace("_", "-"): value for name, value in sent.items()},
        }
        asked = {"audience": question.audience, "scope": question.scope}
        return client.get(
            "/gate/verify",
            query_string={name: value for name, value in asked.items() if value},
            headers={name: value for name, value in headers.items() if value is not None},
            environ_base={"REMOTE_ADDR": self.address},
        )

    def _introspection(self, key: Key, question: Question, sent: Mapping[str, Any]) -> TestResponse:
        form = {
            "token": key.secret,
            "method": question.method,
            "path": question.path,
            "client_address": question.client,
            "audience": question.audience,
            "scope": question.scope,
            **sent,
        }
        return self.tenant.flask.test_client().post(
            "/oauth2/introspect",
            data={name: value for name, value in form.items() if value is not None},
            headers=self._bearer(),
        )

    def _evaluation(self, key: Key, question: Question, sent: Mapping[str, Any]) -> TestResponse:
        stated: dict[str, Any] = dict(question.properties)
        if question.path is None:
            resource: dict[str, Any] = {"type": "audience", "id": question.audience or ""}
        else:
            resource = {"type": "route", "id": question.path}
            if question.audience:
                stated["audience"] = question.audience
        method = {} if question.method is None else {"method": question.method}
        body = {
            "subject": {"type": "api_key", "id": key.id, "properties": sent},
            "action": {"name": question.scope, "properties": method},
            "resource": {**resource, "properties": stated},
            "context": {**sent, **({} if question.client is None else {"ip": question.client})},
        }
        return self.tenant.flask.test_client().post(
            "/access/v1/evaluation", json=body, headers=self._bearer()
        )

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": self.tenant.gate.headers["X-Gate-Authorization"]}


@dataclass(frozen=True)
class Everywhere:
    """Asks by every face, all of which must say the same."""

    askings: tuple[Asking, ...]

    @property
    def tenant(self) -> Tenant:
        return self.askings[0].tenant

    def word(self, key: Key, question: Question, **sent: Any) -> str:
        said = {each.face: each.word(key, question, **sent) for each in self.askings}
        assert len(set(said.values())) == 1, said
        return said["door"]


def _nobody(environ: Any, start_response: Any) -> list[bytes]:
    start_response("418 I'm a teapot", [])
    return [b""]
