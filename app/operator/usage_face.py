"""``/operator/v1/…/usage``, ``/usage/…``, ``/decisions``: how keys are used, and each decision about them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from flask import Blueprint, Response

from app.access.credentials import Credential
from app.keys.decisions import DecisionFilter, find_decisions, read_batch
from app.keys.usage import DAY, dead_uses, get_usage, new_networks, unused_keys, used_days
from app.operator import views
from app.operator.errors import RequestInvalid
from app.operator.pages import Page, Window
from app.operator.problems import problem_response
from app.operator.requests import Query, read_query
from app.operator.usage_views import (
    decisions_document,
    network_document,
    usage_document,
    whole_usage_document,
)
from app.store.moments import EPOCH
from app.store.unit_of_work import Store

DEFAULT_DAYS: Final = 30
MOST_DAYS: Final = 3660
SHOWN_NETWORKS: Final = 100

Acquire = Callable[[str | Collection[str]], Credential]


def blueprint(store: Store, acquire: Acquire) -> Blueprint:
    """Return the face. What is not folded yet, which is about a second's worth, it does not know.

    :param acquire: returns the credential of the current request for some scopes, or raises
        :class:`~app.access.protector.Unauthenticated`.
    """
    face = Blueprint("usage", __name__, url_prefix="/operator/v1")

    @face.get("/keys/<key_id>/usage")
    def show_usage(key_id: str) -> Response:
        caller = acquire("operator")
        query = read_query(numbers=("days",))
        with store.reading(caller.tenant_id) as unit:
            usage = get_usage(unit, key_id)
            days = used_days(unit, key_id, days=_days(query))
            _, networks = new_networks(unit, key_id=key_id, offset=0, limit=SHOWN_NETWORKS)
        return _answer(whole_usage_document(usage, days, networks))

    @face.get("/usage/unused")
    def list_unused() -> Response:
        caller = acquire("operator")
        query = read_query(numbers=("days", *_PAGING))
        window = _window(query)
        with store.reading(caller.tenant_id) as unit:
            since = unit.now - _days(query) * DAY
            total, found = unused_keys(unit, since=since, offset=window.offset, limit=window.count)
        return _answer(views.list_document(Page(total, window.start, tuple(found)), usage_document))

    @face.get("/usage/dead-secrets")
    def list_dead_uses() -> Response:
        caller = acquire(("operator", "audit"))
        window = _window(read_query(numbers=_PAGING))
        with store.reading(caller.tenant_id) as unit:
            total, found = dead_uses(unit, offset=window.offset, limit=window.count)
        return _answer(views.list_document(Page(total, window.start, tuple(found)), usage_document))

    @face.get("/usage/networks")
    def list_networks() -> Response:
        caller = acquire(("operator", "audit"))
        query = read_query("key", "since", numbers=_PAGING)
        window = _window(query)
        with store.reading(caller.tenant_id) as unit:
            total, found = new_networks(
                unit,
                key_id=query.texts.get("key"),
                since=_time(query, "since") or 0,
                offset=window.offset,
                limit=window.count,
            )
        return _answer(views.list_document(Page(total, window.start, tuple(found)), network_document))

    @face.get("/decisions")
    def list_decisions() -> Response:
        caller = acquire(("operator", "audit"))
        query = read_query("key", "consumer", "since", "until", "after", numbers=("limit",))
        wanted = DecisionFilter(
            query.texts.get("key"),
            query.texts.get("consumer"),
            _time(query, "since"),
            _time(query, "until"),
        )
        limit = Window.of(1, query.numbers.get("limit")).count
        with store.reading(caller.tenant_id) as unit:
            found = find_decisions(unit, wanted, after=query.texts.get("after"), limit=limit)
        return _answer(decisions_document(found))

    @face.get("/decision-batches/<batch_id>")
    def show_batch(batch_id: str) -> Response:
        caller = acquire(("operator", "audit"))
        read_query()
        with store.reading(caller.tenant_id) as unit:
            lines = read_batch(unit, batch_id)
        return Response(lines, 200, {"Cache-Control": "no-store"}, mimetype="application/x-ndjson")

    face.register_error_handler(Exception, problem_response)
    return face


_PAGING: Final = ("startIndex", "count")


def _window(query: Query) -> Window:
    return Window.of(query.numbers.get("startIndex"), query.numbers.get("count"))


def _days(query: Query) -> int:
    days = query.numbers.get("days", DEFAULT_DAYS)
    if not 1 <= days <= MOST_DAYS:
        raise RequestInvalid(f"'days' must be a whole number from 1 to {MOST_DAYS}")
    return days


def _time(query: Query, name: str) -> int | None:
    text = query.texts.get(name)
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
        return (read - EPOCH) // (datetime.resolution)
    except (ValueError, TypeError, OverflowError):
        raise RequestInvalid(
            f"{name!r} must be a date and time with its zone (RFC 3339), such as 2026-01-31T12:00:00Z"
        ) from None


def _answer(document: dict[str, Any]) -> Response:
    body = json.dumps(document, ensure_ascii=False)
    return Response(body, 200, {"Cache-Control": "no-store"}, mimetype="application/json")
