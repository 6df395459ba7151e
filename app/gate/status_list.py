"""The Token Status List (draft-ietf-oauth-status-list): what became of keys, for edges that cannot ask.

This is the one place where a withdrawal is seen late: an edge that goes by a list may let a key pass until
the list that it holds has expired. Whoever can reach the gate asks the gate.
"""

from __future__ import annotations

import base64
import logging
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, Final

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, jsonify, request

from app.gate.signing import PATH as JWKS
from app.gate.signing import Signer
from app.keys.status_index import LIST_SIZE
from app.rights.standing import KeyState, standings
from app.store.tables import consumer, key, secret
from app.store.unit_of_work import Store, StoreError, TenantUnknown, Unit

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/statuslist+jwt"
PATH: Final = "/statuslists"

KEPT_FOR: Final = 15
TIME_TO_LIVE: Final = 30
LIFETIME: Final = 60
"""In seconds: for how long one list is given out, after how long an edge fetches anew, when a list ends."""

BITS: Final = 2
_MOST_KEPT: Final = 100
_MOST_LISTS: Final = 2**31 // LIST_SIZE
_NO_LIST: Final = "There is no such list"
_RETRY_AFTER: Final = 5


class Status(IntEnum):
    """What stands at a place of a list (§7.1 of the draft)."""

    valid = 0
    invalid = 1
    suspended = 2


class ListBeingMade(Exception):
    """Lists are being made, and the one that is asked for is not there yet."""


class StatusLists:
    """Makes the lists, and keeps each for some seconds: what it costs does not grow with who asks.

    :param root_url: the root of our public URLs.
    """

    def __init__(self, store: Store, signer: Signer, *, root_url: str) -> None:
        self._store = store
        self._signer = signer
        self._root_url = root_url
        self._kept: OrderedDict[tuple[str, int], tuple[int, str]] = OrderedDict()
        self._making = threading.Lock()

    def uri(self, tenant_id: str, number: int) -> str:
        """Return where a list of a tenant is."""
        return f"{self._root_url}{PATH}/{tenant_id}/{number}"

    def reference(self, tenant_id: str, index: int) -> dict[str, Any]:
        """Return the ``status`` of a secret: its list, and its place there (§6.1)."""
        number, place = divmod(index, LIST_SIZE)
        return {"status_list": {"idx": place, "uri": self.uri(tenant_id, number)}}

    def token(self, tenant_id: str, number: int) -> str:
        """Return a list as a signed token that is at most :data:`KEPT_FOR` seconds old.

        One thread at a time makes one, so that lists never hold up what else the process answers. Meanwhile
        others get the one that there is, up to an age of :data:`TIME_TO_LIVE` seconds.

        :raises ListBeingMade: when there is none that young.
        :raises TenantUnknown: when there is no such tenant.
        :raises LookupError: when the tenant has no such list.
        :raises Exception: whatever the store raises when it does not answer; an old list is not told then.
        """
        kept = self._kept.get((tenant_id, number))
        age = None if kept is None else int(time.time()) - kept[0]
        if kept is not None and age is not None and 0 <= age < KEPT_FOR:
            return kept[1]
        if not self._making.acquire(blocking=False):
            if kept is not None and age is not None and 0 <= age < TIME_TO_LIVE:
                return kept[1]
            raise ListBeingMade
        try:
            now, made = int(time.time()), self._made(tenant_id, number)
            self._kept[tenant_id, number] = now, made
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
            return made
        finally:
            self._making.release()

    def _made(self, tenant_id: str, number: int) -> str:
        with self._store.reading(tenant_id) as unit:
            issued_at, packed = unit.now // 1_000_000, packed_statuses(_statuses(unit, number))
        return self._signer.sign(
            "statuslist+jwt",
            {
                "sub": self.uri(tenant_id, number),
                "iat": issued_at,
                "exp": issued_at + LIFETIME,
                "ttl": TIME_TO_LIVE,
                "status_list": {"bits": BITS, "lst": packed},
            },
        )

    def init_app(self, app: Flask) -> None:
        """Register the lists, and the keys by which they are believed."""
        face = Blueprint("status_list", __name__)
        face.add_url_rule(f"{PATH}/<tenant_id>/<int:number>", "token", self._answer)
        face.add_url_rule(JWKS, "keys", lambda: jsonify(self._signer.public_keys()))
        app.register_blueprint(face)

    def _answer(self, tenant_id: str, number: int) -> Response:
        if "\0" in tenant_id or number > _MOST_LISTS:
            return _problem(404, _NO_LIST)
        accepted = request.accept_mimetypes
        if accepted and not accepted[MEDIA_TYPE]:
            return _problem(406, f"A status list is told as {MEDIA_TYPE}")
        try:
            token = self.token(tenant_id, number)
        except (TenantUnknown, LookupError):
            return _problem(404, _NO_LIST)
        except ListBeingMade:
            return _not_now("The list is being made", 1)
        except (StoreError, sa.exc.SQLAlchemyError):
            log.exception("a status list was not made")
            return _not_now("The store does not answer", _RETRY_AFTER)
        answer = Response(token, content_type=MEDIA_TYPE)
        answer.headers["Cache-Control"] = f"max-age={KEPT_FOR}"
        return answer


def packed_statuses(statuses: Iterable[int], bits: int = BITS) -> str:
    """Return statuses in the form of a list: packed from the lowest bit on, compressed, in base64url (§4)."""
    packed = bytearray()
    for index, status in enumerate(statuses):
        byte, place = divmod(index * bits, 8)
        if place == 0:
            packed.append(0)
        packed[byte] |= status << place
    return base64.urlsafe_b64encode(zlib.compress(bytes(packed), 9)).decode().rstrip("=")


def _statuses(unit: Unit, number: int) -> list[Status]:
    """Return what stands at each place of a list now. A place that nobody has is not valid."""
    within = sa.and_(
        secret.c.tenant_id == unit.tenant_id,
        secret.c.status_index >= number * LIST_SIZE,
        secret.c.status_index < (number + 1) * LIST_SIZE,
    )
    rows = unit.execute(
        sa.select(secret.c.status_index, secret.c.key_id, secret.c.ends_at, consumer.c.access_starts_at)
        .join(key, key.c.id == secret.c.key_id)
        .join(consumer, consumer.c.id == key.c.consumer_id)
        .where(within)
    ).all()
    if not rows and number > 0:
        raise LookupError(number)
    standing = standings(unit, key.c.id.in_(sa.select(secret.c.key_id).where(within)))
    statuses = [Status.invalid] * LIST_SIZE
    for row in rows:
        statuses[row.status_index % LIST_SIZE] = _status(unit, row, standing[row.key_id].state)
    return statuses


def _status(unit: Unit, row: sa.Row[Any], state: KeyState) -> Status:
    if state in (KeyState.revoked, KeyState.expired):
        return Status.invalid
    if row.ends_at is not None and row.ends_at <= unit.now:
        return Status.invalid
    waits = row.access_starts_at is not None and row.access_starts_at > unit.now
    return Status.suspended if waits or state is KeyState.dormant else Status.valid


def _not_now(detail: str, retry_after: int) -> Response:
    answer = _problem(503, detail)
    answer.headers["Retry-After"] = str(retry_after)
    return answer


def _problem(status: int, detail: str) -> Response:
    answer = jsonify(type="about:blank", status=status, detail=detail)
    answer.status_code = status
    answer.content_type = "application/problem+json"
    return answer
