"""What a process of the gate looked up, kept for as long as nothing at all was committed to the database.

No time to live, and nothing that an invalidation could miss: before each use the database itself is asked
whether it is still as it was (P1). Where it cannot tell, everything is looked up each time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from app.access.credentials import Credential, credential_statement, opened_credential, parse_token
from app.gate.decision import Allow, Call, Deny, Right, answer
from app.gate.lookup import Known, gateway_and_key_statement, key_statement, opened_key, same_key
from app.store.peppers import Held, Peppers
from app.store.prepared_reads import PreparedReads
from app.store.secrets import Secret, SecretMalformed, parse

MOST_KEPT: Final = 1000
"""How many keys, and how many tokens, each process keeps; the oldest goes first."""

MOST_DERIVED: Final = 2 * MOST_KEPT
"""Of how many answers about kept keys what follows is kept; one about another key does not come again."""

_LONGEST: Final = 200
"""More characters than a secret has, with what may stand before it."""

_MOST_WELL_FORMED: Final = 10_000

_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class Presented:
    """A text of the form of a secret. ``mark`` stands for it where the text itself is not to be kept."""

    text: str
    mark: bytes


@dataclass(frozen=True, slots=True)
class Gateway:
    """A token's credential, ended or not, and the last write of its tenant."""

    credential: Credential
    last_write_at: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A gateway and a key that it asked about, and until when the call alone decides whether the key may.

    From ``since`` until before ``until``, in microseconds: the gateway is admitted, the key holds ``held``,
    none of which has a limit, and nothing is left to be written afterwards. Before and after, and where
    there is no such time, both are to be judged.
    """

    gateway: Gateway
    known: Known
    held: tuple[Right, ...]
    since: int
    until: int

    def decide(self, call: Call, now: int) -> Allow | Deny:
        """Decide as :func:`app.gate.decision.decide` does, between ``since`` and ``until``."""
        return answer(self.known.holding, self.held, call, now)


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a key, and the rows that say so: of the same rows the same is known."""

    rows: Sequence[Any]
    known: Known


class Statements:
    """The statements of a state, prepared for one database."""

    def __init__(self, reads: PreparedReads) -> None:
        self.credential: Final = reads.prepare(credential_statement())
        self.key: Final = reads.prepare(key_statement())
        self.both: Final = reads.prepare(gateway_and_key_statement())


class Current:
    """Gives out, to any thread, what is known of tokens and keys at this moment."""

    def __init__(self, reads: PreparedReads, peppers: Peppers) -> None:
        self._reads = reads
        self._peppers = peppers
        self._statements = Statements(reads)
        self._marking = hashlib.blake2b(digest_size=16, key=secrets.token_bytes(32))
        self._well_formed: set[bytes] = set()
        self._state: State | None = None

    def presented(self, text: str) -> Presented | None:
        """Return a text that somebody presents as a secret; None when its form or checksum is wrong.

        This costs no look-up.
        """
        if len(text) > _LONGEST or not text.isascii():
            return None
        mark = self.mark(text)
        if mark not in self._well_formed:
            try:
                parse(_plain(text))
            except SecretMalformed:
                return None
            if len(self._well_formed) >= _MOST_WELL_FORMED:
                self._well_formed.clear()
            self._well_formed.add(mark)
        return Presented(text, mark)

    def mark(self, text: str) -> bytes:
        """Return what stands for a text that is not to be kept."""
        marking = self._marking.copy()
        marking.update(text.encode("utf-8", "replace"))
        return marking.digest()

    def passage(self, mark: bytes) -> Passage | None:
        """Return what is known of the gateway and the key of a question with this mark, if anything still is.

        What is not known at all costs no look at the database.

        :raises StoreUnavailable: when the database does not answer.
        """
        state = self._state
        passage = None if state is None else state.passages.get(mark)
        if state is None or passage is None:
            return None
        if self._reads.is_current(state.version) and self._peppers.held() is state.held:
            return passage
        return self.state().passages.get(mark)

    def state(self) -> State:
        """Return the state of the database as it is now, for one verification.

        :raises StoreUnavailable: when the database does not answer.
        """
        # Asked before anything is looked up: a commit that comes between makes what is kept outdated, and
        # never passes for one that was seen.
        version = self._reads.version()
        held = self._peppers.held()
        state = self._state
        if state is None or version is None or state.version != version or state.held is not held:
            before = state.opened if state is not None and state.held is held else {}
            state = self._state = State(version, held, self._reads, self._statements, before)
        return state


class State:
    """What is known of one state of the database, under the peppers that were at hand then.

    Threads share it. What one of them looked up is from the moment of the version or later, also for a thread
    that asked for the version before that.
    """

    def __init__(
        self,
        version: Hashable | None,
        held: Held,
        reads: PreparedReads,
        statements: Statements,
        before: Mapping[bytes, Opened],
    ) -> None:
        self.version: Final = version
        self.held: Final = held
        self._reads = reads
        self._statements = statements
        self._gateways: dict[bytes, Gateway] = {}
        self._before = before
        self._fetched: dict[bytes, list[Any]] = {}
        self.opened: Final[dict[bytes, Opened]] = {}
        self.passages: Final[dict[bytes, Passage]] = {}

    @property
    def keeps(self) -> bool:
        """Whether anything is kept: something can tell until when it is so."""
        return self.version is not None

    def gateway(self, presented: Presented, key: Presented | None = None) -> Gateway | None:
        """Return what a gateway's token opens; None for a token that is unknown.

        :param key: what is looked up next, of the gateway's tenant. Where nothing is kept, both take one
            look-up.
        :raises StoreUnavailable: when the database does not answer.
        """
        kept = self._gateways.get(presented.mark)
        if kept is not None:
            return kept
        token = parse_token(presented.text)
        if token is None:
            return None
        row = self._row_of(token, key)
        credential = opened_credential(row, self.held, token)
        if row is None or credential is None:
            return None
        found = Gateway(credential, row.last_write_at)
        self.keep(self._gateways, presented.mark, found)
        return found

    def key(self, tenant_id: str, presented: Presented) -> Known | None:
        """Return what a tenant knows of the key that a secret opens; None where it has no such key.

        :raises PepperMissing: when the key's digest is under a pepper that is not at hand.
        :raises StoreUnavailable: when the database does not answer.
        """
        kept = self.opened.get(presented.mark)
        if kept is not None:
            return kept.known if kept.known.holding.tenant_id == tenant_id else None
        secret = parse(_plain(presented.text))
        rows = self._fetched.get(presented.mark)
        if rows is None:
            rows = self._reads.rows(self._statements.key, secret_id=secret.id, tenant_id=tenant_id)
        before = self._before.get(presented.mark)
        if before is not None and same_key(before.rows, rows):
            known: Known | None = Known(before.known.holding, rows[0].last_write_at, before.known.move)
        else:
            known = opened_key(rows, self.held, secret)
        if known is not None:
            self.keep(self.opened, presented.mark, Opened(rows, known))
        return known

    def _row_of(self, token: Secret, key: Presented | None) -> Any:
        """Look a token up, and with it a key where nothing is kept; else the token mostly is."""
        if key is None or self.keeps:
            rows = self._reads.rows(self._statements.credential, credential_id=token.id)
            return rows[0] if rows else None
        secret = parse(_plain(key.text))
        rows = self._reads.rows(self._statements.both, credential_id=token.id, secret_id=secret.id)
        if not rows:
            return None
        # Of the gateway's tenant, as is whoever asks for the key then.
        self._fetched[key.mark] = [row for row in rows if row.secret_id is not None]
        return self._statements.credential.row(rows[0])

    def keep(self, kept: dict[bytes, _Kept], mark: bytes, found: _Kept) -> None:
        """Keep something under a mark, if anything is kept."""
        if not self.keeps:
            return
        while len(kept) >= MOST_KEPT:
            # Another thread may have been faster.
            with suppress(KeyError, RuntimeError, StopIteration):
                del kept[next(iter(kept))]
        kept[mark] = found


def _plain(text: str) -> str:
    # RFC 8959: a credential may come as a URI of this scheme.
    return text.removeprefix("secret-token:")
