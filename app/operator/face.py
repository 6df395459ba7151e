"""The operator's face: ``/operator/v1``.

Each handler is four steps: who may, what is asked, what is done, what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import Any, Final

from flask import Blueprint, Response, abort, request

from app.access.connections import disable_connection, get_connection, list_connections
from app.access.credentials import DEFAULT_OVERLAP, Credential
from app.access.deviations import list_deviations
from app.access.warnings import find_warnings
from app.directory.follow_ups import list_follow_ups
from app.keys.idempotency import Answered
from app.keys.lifecycle import Minting
from app.keys.recipients import Recipient
from app.keys.rotation import DEFAULT_OVERLAP as KEY_OVERLAP
from app.operator import views
from app.operator.answers import answer as _answer
from app.operator.claims import claim_answer
from app.operator.connections import open_connection, rotate_token
from app.operator.consumers import find_consumers, revoke_keys
from app.operator.errors import RequestInvalid
from app.operator.history import find_events
from app.operator.idempotency import once, read_idempotency_key
from app.operator.key_requests import KeyCursors, read_conditions, read_key_query, read_shown
from app.operator.key_schema import KEY_SCHEMA, SCHEMA_DOCUMENT
from app.operator.key_search import find_keys, find_keys_by_cursor
from app.operator.keys import (
    REVOKED_BY_OPERATOR,
    KeyView,
    get_key,
    is_wanted,
    issue_key,
    require_version,
    revoke_key,
    rotate_key,
)
from app.operator.pages import Window
from app.operator.problems import problem_response
from app.operator.receipts import consumer_receipt, key_receipt
from app.operator.requests import (
    A_SPAN,
    A_TEXT,
    SOME_TEXTS,
    Body,
    Member,
    Query,
    is_object,
    read_body,
    read_query,
)
from app.rights.explain import explain, explain_consumer
from app.rights.unmatched import unmatched_values
from app.store.unit_of_work import Store, Unit

PATH: Final = "/operator/v1"
_SECOND: Final = 1_000_000
PAGING: Final = ("startIndex", "count")

ISSUE: Final[Body] = {"consumer": A_TEXT.needed, "entitlements": SOME_TEXTS.needed}
CLAIM: Final[Body] = {"recipient": Member("a public key (JWK)", is_object, {"type": "object"})}
ROTATE: Final[Body] = {"overlapSeconds": A_SPAN}
REVOKE: Final[Body] = {"reason": A_TEXT}
CONNECT: Final[Body] = {"name": A_TEXT.needed, "dialect": A_TEXT.needed}
NOTHING: Final[Body] = {}
"""What the bodies of requests hold."""

Acquire = Callable[[str | Collection[str]], Credential]


def blueprint(
    store: Store, minting: Minting, acquire: Acquire, *, dialects: Collection[str], silent_after: int
) -> Blueprint:
    """Return the face.

    :param minting: what the secrets of keys, and the digests of tokens, are made with.
    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    :param dialects: the names of the dialects that a connection may have.
    :param silent_after: after how many usual cycles without a call a connection is silent.
    """
    face = OperatorFace(store, minting, acquire, dialects, silent_after)
    operator = Blueprint("operator", __name__, url_prefix=PATH)
    for rule, method, view in (
        ("/keys", "GET", face.list_keys),
        ("/keys", "POST", face.issue),
        ("/keys/<key_id>", "GET", face.show_key),
        ("/keys/<key_id>/claim", "POST", face.claim),
        ("/keys/<key_id>/rotate", "POST", face.rotate_key),
        ("/keys/<key_id>/revoke", "POST", face.revoke),
        ("/keys/<key_id>/receipt", "GET", face.show_receipt),
        ("/keys/<key_id>/explain", "GET", face.explain_key),
        ("/schemas", "GET", face.list_schemas),
        ("/schemas/<urn>", "GET", face.show_schema),
        ("/consumers", "GET", face.list_consumers),
        ("/consumers/<consumer_id>/explain", "GET", face.explain_consumer),
        ("/consumers/<consumer_id>/receipt", "GET", face.show_consumer_receipt),
        ("/consumers/<consumer_id>/revoke-keys", "POST", face.revoke_keys),
        ("/unmatched-values", "GET", face.list_unmatched),
        ("/events", "GET", face.list_events),
        ("/follow-ups", "GET", face.list_follow_ups),
        ("/connections", "GET", face.list_connections),
        ("/connections", "POST", face.create_connection),
        ("/connections/<connection_id>/tokens", "POST", face.rotate),
        ("/connections/<connection_id>/deviations", "GET", face.list_deviations),
        ("/connections/<connection_id>/disable", "POST", face.disable),
    ):
        operator.add_url_rule(rule, view.__name__, view, methods=[method])
    operator.before_request(_refuse_unstorable_path)
    operator.register_error_handler(Exception, problem_response)
    return operator


class OperatorFace:
    """The handlers. A write is committed before its answer leaves (P1, P2)."""

    def __init__(
        self,
        store: Store,
        minting: Minting,
        acquire: Acquire,
        dialects: Collection[str],
        silent_after: int,
    ) -> None:
        self.store = store
        self.minting = minting
        self.acquire = acquire
        self.dialects = dialects
        self.silent_after = silent_after
        self.cursors = KeyCursors(minting.peppers.derive("operator cursors"))

    def list_keys(self) -> Response:
        caller = self.acquire("operator")
        query = read_key_query()
        order: Any = {"sort_by": query.sort_by, "descending": query.descending}

        def shown(each: KeyView) -> dict[str, Any]:
            return query.shown.of(views.key_document(each))

        if query.cursor is None:
            with self._reading(caller) as unit:
                counted = find_keys(unit, query.window, query.wanted, **order)
            return _answer(views.list_document(counted, shown))
        position = self.cursors.open(caller, query)
        with self._reading(caller) as unit:
            page = find_keys_by_cursor(unit, position, query.window.count, query.wanted, **order)
        cursor = self.cursors.seal(caller, query, page.next)
        return _answer(views.key_page_document(page, shown, cursor))

    def show_key(self, key_id: str) -> Response:
        caller = self.acquire("operator")
        shown, conditions = read_shown(), read_conditions()
        with self._reading(caller) as unit:
            found = get_key(unit, key_id)
        if not is_wanted(found, conditions):
            return Response(status=304, headers={"ETag": found.version, "Cache-Control": "no-store"})
        return _answer(shown.of(views.key_document(found)), headers={"ETag": found.version})

    def list_schemas(self) -> Response:
        self.acquire(("operator", "audit"))
        read_query()
        return _answer(views.list_document(views.whole([SCHEMA_DOCUMENT]), dict))

    def show_schema(self, urn: str) -> Response:
        self.acquire(("operator", "audit"))
        read_query()
        if urn.lower() != KEY_SCHEMA.lower():
            abort(404)
        return _answer(SCHEMA_DOCUMENT)

    def issue(self) -> Response:
        caller = self.acquire("operator")
        asked = read_body(ISSUE)
        said = read_idempotency_key(caller, asked)
        with self._writing(caller) as unit:

            def act() -> Answered:
                return Answered(
                    201, views.key_document(issue_key(unit, asked["consumer"], asked["entitlements"]))
                )

            made = once(unit, self.minting.peppers, said, act)
        return _answered(made, {"Location": f"{PATH}/keys/{made.document['id']}"})

    def claim(self, key_id: str) -> Response:
        caller = self.acquire("operator")
        asked = read_body(CLAIM)
        recipient = Recipient.of(asked["recipient"]) if "recipient" in asked else None
        said, conditions = read_idempotency_key(caller, asked), read_conditions()
        with self._writing(caller) as unit:

            def act() -> Answered:
                require_version(unit, key_id, conditions)
                return claim_answer(unit, key_id, self.minting, recipient)

            claimed = once(unit, self.minting.peppers, said, act)
        return _answered(claimed, encrypted=recipient is not None)

    def rotate_key(self, key_id: str) -> Response:
        caller = self.acquire("operator")
        asked = read_body(ROTATE)
        said, conditions = read_idempotency_key(caller, asked), read_conditions()
        overlap = asked.get("overlapSeconds", KEY_OVERLAP // _SECOND) * _SECOND
        with self._writing(caller) as unit:

            def act() -> Answered:
                require_version(unit, key_id, conditions)
                made = rotate_key(unit, key_id, self.minting, overlap=overlap)
                return Answered(200, views.rotation_document(key_id, made), made.secret.text)

            rotated = once(unit, self.minting.peppers, said, act)
        return _answered(rotated)

    def revoke(self, key_id: str) -> Response:
        caller = self.acquire("operator")
        asked, conditions = read_body(REVOKE), read_conditions()
        with self._writing(caller) as unit:
            require_version(unit, key_id, conditions)
            revoked = revoke_key(unit, key_id, asked.get("reason"))
        return _answer(views.key_document(revoked), headers={"ETag": revoked.version})

    def revoke_keys(self, consumer_id: str) -> Response:
        caller = self.acquire("operator")
        asked = read_body(REVOKE)
        with self._writing(caller) as unit:
            holder = revoke_keys(unit, consumer_id, asked.get("reason") or REVOKED_BY_OPERATOR)
            receipt = consumer_receipt(unit, holder.id)
        return _answer(views.consumer_receipt_document(receipt))

    def show_receipt(self, key_id: str) -> Response:
        caller = self.acquire(("operator", "audit"))
        read_query()
        with self._reading(caller) as unit:
            receipt = key_receipt(unit, key_id)
        return _answer(views.receipt_document(receipt))

    def show_consumer_receipt(self, consumer_id: str) -> Response:
        caller = self.acquire(("operator", "audit"))
        read_query()
        with self._reading(caller) as unit:
            receipt = consumer_receipt(unit, consumer_id)
        return _answer(views.consumer_receipt_document(receipt))

    def explain_key(self, key_id: str) -> Response:
        caller = self.acquire("operator")
        read_query()
        with self._reading(caller) as unit:
            explanation = explain(unit, key_id)
        return _answer(views.explanation_document(explanation))

    def list_consumers(self) -> Response:
        caller = self.acquire("operator")
        query = read_query("userName", numbers=PAGING)
        with self._reading(caller) as unit:
            page = find_consumers(unit, _window(query), user_name=query.texts.get("userName"))
        return _answer(views.list_document(page, views.consumer_document))

    def explain_consumer(self, consumer_id: str) -> Response:
        caller = self.acquire("operator")
        read_query()
        with self._reading(caller) as unit:
            explanation = explain_consumer(unit, consumer_id)
        return _answer(views.consumer_explanation_document(explanation))

    def list_unmatched(self) -> Response:
        caller = self.acquire("operator")
        query = read_query("consumer")
        with self._reading(caller) as unit:
            found = unmatched_values(unit, query.texts.get("consumer"))
        return _answer(views.list_document(views.whole(found), views.unmatched_document))

    def list_events(self) -> Response:
        caller = self.acquire(("operator", "audit"))
        query = read_query("subject", "consumer", numbers=("after", "limit"))
        if len(query.texts) > 1:
            raise RequestInvalid("give a subject or a consumer, not both")
        with self._reading(caller) as unit:
            page = find_events(
                unit,
                subject=query.texts.get("subject"),
                consumer_id=query.texts.get("consumer"),
                after=query.numbers.get("after"),
                limit=query.numbers.get("limit"),
            )
        return _answer(views.list_document(page, views.event_document))

    def list_follow_ups(self) -> Response:
        caller = self.acquire("operator")
        read_query()
        with self._reading(caller) as unit:
            found = list_follow_ups(unit)
        return _answer(views.list_document(views.whole(found), views.follow_up_document))

    def list_connections(self) -> Response:
        caller = self.acquire("operator")
        read_query()
        with self._reading(caller) as unit:
            found, warned = list_connections(unit), find_warnings(unit, self.silent_after)
        return _answer(
            views.list_document(views.whole(found), lambda each: views.connection_document(each, warned))
        )

    def create_connection(self) -> Response:
        caller = self.acquire("operator")
        asked = read_body(CONNECT)
        with self._writing(caller) as unit:
            made, issued, token = open_connection(
                unit, self.minting.peppers, asked["name"], asked["dialect"], dialects=self.dialects
            )
        document = views.connection_document(made)
        told = {**document, "token": token, "expiresAt": views.time(issued.expires_at)}
        return _answer(told, 201)

    def list_deviations(self, connection_id: str) -> Response:
        caller = self.acquire("operator")
        read_query()
        with self._reading(caller) as unit:
            found = list_deviations(unit, get_connection(unit, connection_id).id)
        return _answer(views.list_document(views.whole(found), views.deviation_document))

    def rotate(self, connection_id: str) -> Response:
        caller = self.acquire("operator")
        asked = read_body(ROTATE)
        overlap = asked.get("overlapSeconds", DEFAULT_OVERLAP)
        with self._writing(caller) as unit:
            made, token = rotate_token(unit, self.minting.peppers, connection_id, overlap=overlap)
        return _answer(views.token_document(made, token), 201)

    def disable(self, connection_id: str) -> Response:
        caller = self.acquire("operator")
        read_body(NOTHING)
        with self._writing(caller) as unit:
            disabled = disable_connection(unit, connection_id)
        return _answer(views.connection_document(disabled))

    def _reading(self, caller: Credential) -> AbstractContextManager[Unit]:
        return self.store.reading(caller.tenant_id)

    def _writing(self, caller: Credential) -> AbstractContextManager[Unit]:
        return self.store.writing(caller.tenant_id, actor=f"credential:{caller.id}")


def _answered(
    answered: Answered, headers: dict[str, str] | None = None, *, encrypted: bool = False
) -> Response:
    secret = {} if answered.secret is None else {"jwe" if encrypted else "secret": answered.secret}
    return _answer({**answered.document, **secret}, answered.status, headers)


def _window(query: Query) -> Window:
    return Window.of(query.numbers.get("startIndex"), query.numbers.get("count"))


def _refuse_unstorable_path() -> None:
    # Nothing has such an id, and PostgreSQL does not even let one ask.
    if "\0" in request.path:
        abort(404)
