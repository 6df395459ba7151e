"""The endpoints of AuthZEN: a denial is an answer like any other; an error says that there is no answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, jsonify, request

from app.access.credentials import Credential
from app.access.protector import Unauthenticated
from app.gate.authzen.mapping import call_of
from app.gate.authzen.paging import PageTokens
from app.gate.authzen.reading import (
    Question,
    RequestInvalid,
    Semantic,
    read_evaluations,
    read_object,
    read_page,
    read_question,
    read_semantic,
)
from app.gate.authzen.searching import Results, search_actions, search_resources, search_subjects
from app.gate.decision import Allow, Deny
from app.gate.reasons import OUTAGES, Reason
from app.gate.subjects import UsersNamed, find_subject, judge_subject
from app.gate.verification import Gate, Verdict
from app.store.patience import ALTOGETHER, PATIENCE, StoreUnavailable, patience
from app.store.time_limit import time_limit
from app.store.unit_of_work import Store, StoreError, Unit

log = logging.getLogger(__name__)

ROOT: Final = "/access/v1"
METADATA: Final = "/.well-known/authzen-configuration"
REQUEST_ID: Final = "X-Request-ID"
SEARCHES: Final = ("subject", "resource", "action")

LONGEST_SEARCH: Final = 5.0
"""For how many seconds one page of a search may be looked for."""

_OUTAGE: Final = "The decision point cannot decide now: nothing is permitted"
_INSUFFICIENT: Final = "Insufficient privileges"

_Answer = Callable[[Credential, dict[str, Any]], dict[str, Any]]


class _Outage(Exception):
    """The server itself cannot decide; ``lasts``: because its store does not answer."""

    def __init__(self, *, lasts: bool = False) -> None:
        super().__init__(_OUTAGE)
        self.lasts = lasts


class AuthzenFace:
    """Answers applications.

    :param acquire: returns the credential of whoever asks, or raises ``Unauthenticated``.
    :param root_url: the root of our public URLs, which identifies the decision point.
    :param users_named: finds users by their userName.
    :param page_secret: signs the tokens of pages; the same in every process.
    """

    def __init__(
        self,
        gate: Gate,
        store: Store,
        acquire: Callable[[str], Credential],
        *,
        root_url: str,
        users_named: UsersNamed,
        page_secret: bytes,
    ) -> None:
        self.gate = gate
        self.store = store
        self.acquire = acquire
        self.root_url = root_url
        self.users_named = users_named
        self.tokens = PageTokens(page_secret)

    def init_app(self, app: Flask) -> None:
        """Register the endpoints."""
        face = Blueprint("authzen", __name__)
        answers: dict[str, _Answer] = {"evaluations": self._evaluations}
        answers |= {f"search/{searched}": partial(self._search, searched) for searched in SEARCHES}
        views: dict[str, Callable[[], Response]] = {
            rule: partial(self._answer, answer) for rule, answer in answers.items()
        }
        views["evaluation"] = self._answer_one
        for rule, view in views.items():
            face.add_url_rule(f"{ROOT}/{rule}", rule.replace("/", "_"), view, methods=["POST"])
        # A proxy in front of us may take the path of our URLs away, or leave it.
        for path in {"", urlsplit(self.root_url).path}:
            face.add_url_rule(f"{METADATA}{path}", f"metadata{path}".replace(".", "_"), self._metadata)
        face.after_request(_marked)
        app.register_blueprint(face)

    def _metadata(self) -> Response:
        endpoints = {f"search_{each}_endpoint": f"{self.root_url}{ROOT}/search/{each}" for each in SEARCHES}
        return jsonify(
            policy_decision_point=self.root_url,
            access_evaluation_endpoint=f"{self.root_url}{ROOT}/evaluation",
            access_evaluations_endpoint=f"{self.root_url}{ROOT}/evaluations",
            **endpoints,
        )

    def _answer_one(self) -> Response:
        """Answer a request for one decision, in one time that all that it asks of the store has together."""
        with patience(ALTOGETHER):
            return self._answer(self._evaluation)

    def _answer(self, answer: _Answer) -> Response:
        """Answer a request; the one place where what went wrong becomes a status."""
        try:
            with patience(PATIENCE):
                asking = self.acquire("gate")
            if request.mimetype != "application/json":
                raise RequestInvalid("Send the request as application/json")
            return jsonify(answer(asking, read_object(request.get_data())))
        except Unauthenticated as error:
            refused = _error(error.status, error.detail)
            refused.headers["WWW-Authenticate"] = error.challenge
            return refused
        except RequestInvalid as error:
            return _error(400, str(error))
        except _Outage as error:
            return _error(500, str(error))
        except StoreUnavailable as error:
            log.warning("an application got no decision: %s", error)
            return _error(500, _OUTAGE)
        except (StoreError, sa.exc.SQLAlchemyError):
            log.exception("an application got no decision")
            return _error(500, _OUTAGE)

    def _evaluation(self, asking: Credential, body: dict[str, Any]) -> dict[str, Any]:
        verdict = self._judge(asking, read_question(body))
        if isinstance(verdict.decision, Deny) and verdict.decision.reason in OUTAGES:
            raise _Outage(lasts=verdict.decision.reason is Reason.STORE_UNAVAILABLE)
        return _told(verdict)

    def _evaluations(self, asking: Credential, body: dict[str, Any]) -> dict[str, Any]:
        evaluations, semantic = read_evaluations(body), read_semantic(body)
        if evaluations is None:
            return self._evaluation(asking, body)
        answers: list[dict[str, Any]] = []
        outage: _Outage | None = None
        for evaluation in evaluations:
            try:
                # Of a store that does not answer, each would find the same out again, in its turn.
                answers.append(_undecided(500, outage) if outage else self._one_of_many(asking, evaluation))
            except _Outage as error:
                outage = error if error.lasts else None
                answers.append(_undecided(500, error))
            decided = answers[-1]["decision"]
            if (semantic is Semantic.deny_on_first_deny and not decided) or (
                semantic is Semantic.permit_on_first_permit and decided
            ):
                break
        return {"evaluations": answers}

    def _one_of_many(self, asking: Credential, evaluation: Any) -> dict[str, Any]:
        try:
            if not isinstance(evaluation, dict):
                raise RequestInvalid("an evaluation must be an object")
            return self._evaluation(asking, evaluation)
        except RequestInvalid as error:
            return _undecided(400, error)

    def _judge(self, asking: Credential, question: Question) -> Verdict:
        call = call_of(question)

        def decide_now() -> tuple[Allow | Deny, int]:
            with self._reading(asking.tenant_id, PATIENCE) as unit:
                subject = find_subject(unit, question.subject.type, question.subject.id, self.users_named)
                if subject is None:
                    return Deny(Reason.SUBJECT_UNKNOWN), unit.now
                return judge_subject(subject, call, unit.now), unit.now

        return self.gate.judge_by(asking, decide_now, call, face="evaluation")

    def _search(self, searched: str, asking: Credential, body: dict[str, Any]) -> dict[str, Any]:
        question, page = read_question(body, searched=searched), read_page(body)
        call_of(question)  # Whatever is wrong with it is said, even where there is nothing to find.
        tenant = asking.tenant_id
        after = "" if page.token is None else self.tokens.reached(tenant, searched, body, page.token)
        with self._reading(tenant, LONGEST_SEARCH) as unit:
            results = self._results(unit, searched, question, after, page.limit)
        next_token = (
            "" if results.reached is None else self.tokens.token(tenant, searched, body, results.reached)
        )
        return {
            "page": {"next_token": next_token, "count": len(results.entities)},
            "results": list(results.entities),
        }

    @contextmanager
    def _reading(self, tenant_id: str, seconds: float) -> Iterator[Unit]:
        """Read for at most so many seconds, once the store is there, which is found out sooner.

        :raises StoreUnavailable: when it takes longer.
        """
        with patience(seconds), ExitStack() as reading:
            with patience(PATIENCE):
                unit = reading.enter_context(self.store.reading(tenant_id))
            with time_limit(unit.connection, seconds):
                yield unit

    def _results(self, unit: Unit, searched: str, question: Question, after: str, limit: int) -> Results:
        if searched == "subject":
            return search_subjects(unit, question, after, limit)
        subject = find_subject(unit, question.subject.type, question.subject.id, self.users_named)
        if subject is None:
            return Results((), None)
        search = search_resources if searched == "resource" else search_actions
        return search(unit, question, subject, after, limit)


def _undecided(status: int, error: Exception) -> dict[str, Any]:
    """Return what is told of an evaluation of a batch that has no decision."""
    return {"decision": False, "context": {"error": {"status": status, "message": str(error)}}}


def _told(verdict: Verdict) -> dict[str, Any]:
    """Return a decision as AuthZEN tells it; why it is a denial is for administrators."""
    decision = verdict.decision
    context: Mapping[str, Any] = {"id": verdict.id}
    if isinstance(decision, Allow):
        return {
            "decision": True,
            "context": {**context, "entitlements": [right.value for right in decision.rights]},
        }
    reason = decision.reason
    return {
        "decision": False,
        "context": {
            **context,
            "reason": reason.code,
            "reason_admin": {str(reason.status): reason.description},
            "reason_user": {str(reason.status): _INSUFFICIENT},
        },
    }


def _error(status: int, message: str) -> Response:
    return Response(message, status, content_type="text/plain; charset=utf-8")


def _marked(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if (identifier := request.headers.get(REQUEST_ID)) is not None:
        response.headers[REQUEST_ID] = identifier
    return response
