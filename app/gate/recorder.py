"""What every verification leaves behind to be counted and recorded, and what takes it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Final, Protocol

from msgspec import Struct

from app.gate.spool import Spool, SpoolUnwritable
from app.store.secrets import redacted_escapes

log = logging.getLogger(__name__)

LONGEST_PATH: Final = 1000
"""How many characters of a path are recorded."""

_LONGEST_WORD: Final = 100
_COMPLAINT_INTERVAL: Final = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What was decided, and about whom; uses of one key share it as long as nothing about the key changes.

    :ivar reason: the code of the denial; None when the call was allowed.
    :ivar key_id: None when no key is known.
    :ivar entitlements: the ids of those that satisfied the question.
    :ivar encoded: the same as members of a JSON object.
    """

    reason: str | None
    key_id: str | None = None
    secret_id: str | None = None
    consumer_id: str | None = None
    entitlements: tuple[str, ...] = ()
    encoded: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        encoded = (
            f'"allowed":{"true" if self.reason is None else "false"},"reason":{_text(self.reason)},'
            f'"key":{_text(self.key_id)},"secret":{_text(self.secret_id)},'
            f'"consumer":{_text(self.consumer_id)},'
            f'"entitlements":[{",".join(map(quoted, self.entitlements))}]'
        )
        object.__setattr__(self, "encoded", encoded)


class Verification(Struct, frozen=True, gc=False):
    """One use of the gate, to be counted and recorded. Times in microseconds.

    :ivar id: the decision's id, also in the answer (``X-Auth-Decision-Id``).
    :ivar at: the moment it was judged at.
    :ivar face: ``verify``, ``introspect``, ``evaluation``, …
    :ivar actor: the gateway's credential, as events name it.
    :ivar took: in nanoseconds.
    """

    id: str
    at: int
    tenant_id: str
    face: str
    actor: str
    outcome: Outcome
    method: str | None
    path: str | None
    client: str | None
    took: int


class NotRecorded(Exception):
    """A verification could not be written down. What is not written down is not allowed (P9)."""


class Recorder(Protocol):
    """Takes what verifications leave behind."""

    def record(self, verification: Verification) -> None:
        """Take it, in at most 10 µs.

        :raises NotRecorded: when it cannot be kept; the gate denies then.
        """


class SpoolRecorder:
    """Writes each verification to the spool before its answer leaves, and counts nothing itself.

    :param required: whether a verification that cannot be written down is refused, rather than let be.
    """

    def __init__(self, spool: Spool, *, required: bool = True) -> None:
        self._spool = spool
        self._required = required
        self._complained_at = -_COMPLAINT_INTERVAL

    def record(self, verification: Verification) -> None:
        """Write it down, by one write to a file.

        :raises NotRecorded: when that fails, unless it is not required.
        """
        try:
            self._spool.append(encoded(verification))
        except SpoolUnwritable as error:
            self._complain(error)
            if self._required:
                raise NotRecorded from error

    def _complain(self, error: SpoolUnwritable) -> None:
        # There may be thousands a second.
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAINT_INTERVAL:
            self._complained_at = now
            outcome = "they are denied" if self._required else "they go unrecorded"
            log.error("decisions cannot be written down, so %s: %s", outcome, error)


def encoded(verification: Verification) -> bytes:
    """Return what is recorded of a verification, as JSON in ASCII on one line.

    It holds no secret. Of the path the query is left out, which may hold one, and so is what looks like one.
    """
    # Written out member by member, which takes half the time of json.dumps.
    it = verification
    return (
        f'{{"id":{quoted(it.id)},"at":{it.at},{_asked(it.tenant_id, it.face, it.actor)},{it.outcome.encoded},'
        f'"method":{_word(it.method)},"path":{_path(it.path)},"client":{_word(it.client)},"took":{it.took}}}'
    ).encode("ascii")


@lru_cache(maxsize=1024)
def _asked(tenant_id: str, face: str, actor: str) -> str:
    return f'"tenant":{quoted(tenant_id)},"face":{quoted(face)},"actor":{quoted(actor)}'


def _text(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _path(path: str | None) -> str:
    if path is None:
        return "null"
    # One that is cut could not be told from other text any more.
    path = path.partition("?")[0].partition("#")[0][: 2 * LONGEST_PATH]
    return quoted(redacted_escapes(path)[:LONGEST_PATH])


def _word(text: str | None) -> str:
    return "null" if text is None else quoted(redacted_escapes(text)[:_LONGEST_WORD])
