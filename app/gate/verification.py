"""The core of the gate, which every face asks: parse, look up, decide, limit, record."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from time import perf_counter_ns
from typing import Final

from msgspec import Struct

from app.access.credentials import Credential
from app.access.last_use import use_is_due_at
from app.gate.afterwards import Afterwards
from app.gate.current import MOST_DERIVED, Current, Gateway, Passage, Presented, State
from app.gate.decision import Allow, Call, Deny, Holding, Right, decide, standing, stands_until
from app.gate.limits import Limits
from app.gate.lookup import Known
from app.gate.reasons import Reason
from app.gate.recorder import NotRecorded, Outcome, Recorder, Verification
from app.store.patience import StoreUnavailable
from app.store.peppers import PepperMissing, Peppers
from app.store.prepared_reads import prepared_reads
from app.store.unit_of_work import ClockAbsurd, Store, moment_after, wall_clock

log = logging.getLogger(__name__)

SCOPE: Final = "gate"
"""The scope of the credentials that open the gate."""

_MOST_SEEN: Final = 1000


class Verdict(Struct, frozen=True):
    """The gate's answer to one question. ``id`` names the decision, in the answer and in what is recorded."""

    id: str
    decision: Allow | Deny


class Gate:
    """Answers may this key do this, here, now; every face asks it.

    :param afterwards: takes what is left to be written after an answer.
    :param recorder: takes every verification of a gateway that is known, allowed or denied.
    """

    def __init__(
        self,
        store: Store,
        peppers: Peppers,
        afterwards: Afterwards,
        recorder: Recorder,
        limits: Limits | None = None,
    ) -> None:
        self._current = Current(prepared_reads(store.engine), peppers)
        self._afterwards = afterwards
        self._recorder = recorder
        self._limits = limits
        self._seen: dict[bytes, Credential] = {}

    def judge(self, gateway: Credential, presented: str | None, call: Call, *, face: str) -> Verdict:
        """Judge one use of a key, and record it. Never raises: what fails denies (P5).

        :param gateway: the credential of whoever asks; keys of its tenant alone are known to it.
        :param presented: the caller's key, or None when the call carries none.
        :param face: which face asks, as it is recorded.
        """
        started = perf_counter_ns()
        key = self._presented(presented)
        if isinstance(key, Reason):
            return self._recorded(gateway, Deny(key), call, None, face, started)
        try:
            state = self._current.state()
        except Exception as error:
            return self._recorded(gateway, _failed(error), call, None, face, started)
        return self._judged(gateway, self._known(state, gateway, key), call, face, started)

    def judge_for(
        self, token: str | None, presented: str | Reason | None, call: Call, *, face: str
    ) -> Verdict:
        """Do the same for a gateway of which the token alone is known.

        A verdict on a token that does not open the gate is not recorded: it is of no tenant.

        :param presented: the caller's key, or why the face denies before any key is known.
        """
        return self._judge_for(token, presented, call, face, perf_counter_ns(), None)

    def _judge_for(
        self,
        token: str | None,
        presented: str | Reason | None,
        call: Call,
        face: str,
        started: int,
        mark: bytes | None,
    ) -> Verdict:
        """Judge; keep what the token and the key were found to be under a mark, if there is one."""
        shown = None if token is None else self._current.presented(token)
        if shown is None:
            return Verdict(_decision_id(), Deny(Reason.GATE_UNAUTHENTICATED))
        key = presented if isinstance(presented, Reason) else self._presented(presented)
        if isinstance(key, Reason):
            # Denied whatever the store says; whose record it is in, the token said when it was first seen.
            gateway = self._seen.get(shown.mark)
            if gateway is not None:
                return self._recorded(gateway, Deny(key), call, None, face, started)
        try:
            state = self._current.state()
            found = state.gateway(shown, None if isinstance(key, Reason) else key)
            if found is None:
                return Verdict(_decision_id(), Deny(Reason.GATE_UNAUTHENTICATED))
            admitted = self._admitted(found)
        except Exception as error:
            return Verdict(_decision_id(), _failed(error))
        if isinstance(admitted, Deny):
            return Verdict(_decision_id(), admitted)
        self._see(shown, admitted)
        if isinstance(key, Reason):
            return self._recorded(admitted, Deny(key), call, None, face, started)
        known = self._known(state, admitted, key)
        if mark is not None and state.keeps and isinstance(known, Known):
            # What fails in it fails again, and is said, when the key is judged.
            with suppress(Exception):
                state.keep(state.passages, mark, _passage(found, known))
        return self._judged(admitted, known, call, face, started)

    def judge_said(
        self,
        said: str,
        reading: Callable[[], tuple[str | None, str | Reason | None]],
        call: Call,
        *,
        face: str,
    ) -> Verdict:
        """Do the same for a gateway of which is known what its request says of the token and of the key.

        :param said: all of the request that the token and the key are read from. What they were found to be
            is kept under it for as long as what was looked up is current.
        :param reading: reads the two, as :meth:`judge_for` takes them.
        """
        started = perf_counter_ns()
        mark = self._current.mark(said)
        try:
            passage = self._current.passage(mark)
        except Exception:
            # What the store has to do with it is found out again, in its turn.
            passage = None
        if passage is None:
            return self._judge_for(*reading(), call, face, started, mark)
        try:
            now = moment_after(passage.known.last_write_at)
            decision = passage.decide(call, now) if passage.since <= now < passage.until else None
        except Exception:
            # As above.
            decision = None
        if decision is not None:
            return self._recorded(passage.gateway.credential, decision, call, now, face, started)
        try:
            admitted = self._admitted(passage.gateway)
        except Exception as error:
            return Verdict(_decision_id(), _failed(error))
        if isinstance(admitted, Deny):
            return Verdict(_decision_id(), admitted)
        return self._judged(admitted, passage.known, call, face, started)

    def judge_by(
        self,
        gateway: Credential,
        deciding: Callable[[], tuple[Allow | Deny, int]],
        call: Call,
        *,
        face: str,
    ) -> Verdict:
        """Judge a call by a decision about somebody who shows no secret, and record it. Never raises (P5).

        :param deciding: returns the decision and the moment it was made for. The limits of a key are taken
            after it; a user has none.
        """
        started = perf_counter_ns()
        now: int | None = None
        try:
            decision, now = deciding()
            if isinstance(decision, Allow) and decision.holding.key_id and self._limits is not None:
                decision = self._limits.take(decision, now)
        except ClockAbsurd:
            decision = Deny(Reason.CLOCK_ABSURD)
        except Exception as error:
            decision = _failed(error)
        return self._recorded(gateway, decision, call, now, face, started)

    def refuse(self, gateway: Credential, reason: Reason, call: Call, *, face: str) -> Verdict:
        """Record and return a denial that the face itself found before any key was known. Never raises."""
        return self._recorded(gateway, Deny(reason), call, None, face, perf_counter_ns())

    def _presented(self, text: str | None) -> Presented | Reason:
        if text is None:
            return Reason.NO_KEY
        return self._current.presented(text) or Reason.KEY_MALFORMED

    def _admitted(self, gateway: Gateway) -> Credential | Deny:
        """Return the credential of a gateway, if it opens the gate now."""
        try:
            now = moment_after(gateway.last_write_at)
        except ClockAbsurd:
            return Deny(Reason.CLOCK_ABSURD)
        credential = gateway.credential
        if SCOPE not in credential.scopes or credential.ended(now) is not None:
            return Deny(Reason.GATE_UNAUTHENTICATED)
        self._afterwards.note_gateway(credential, now)
        return credential

    def _see(self, shown: Presented, gateway: Credential) -> None:
        """Remember whose a token was: what is denied without the store is recorded as of its tenant."""
        if shown.mark not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[shown.mark] = gateway

    def _known(self, state: State, gateway: Credential, key: Presented) -> Known | Deny:
        """Look a key up."""
        try:
            return state.key(gateway.tenant_id, key) or Deny(Reason.KEY_UNKNOWN)
        except PepperMissing:
            return Deny(Reason.PEPPER_MISSING)
        except Exception as error:
            return _failed(error)

    def _judged(self, gateway: Credential, key: Known | Deny, call: Call, face: str, started: int) -> Verdict:
        if isinstance(key, Deny):
            return self._recorded(gateway, key, call, None, face, started)
        now: int | None = None
        try:
            now = moment_after(key.last_write_at)
            decision = decide(key.holding, call, now)
            if isinstance(decision, Allow) and self._limits is not None:
                decision = self._limits.take(decision, now)
            if key.move is not None:
                self._afterwards.note_move(key.move)
            if isinstance(decision, Deny):
                self._afterwards.note_denial(decision, now, gateway.actor)
        except ClockAbsurd:
            decision = Deny(Reason.CLOCK_ABSURD)
        except Exception as error:
            decision = _failed(error)
        return self._recorded(gateway, decision, call, now, face, started)

    def _recorded(
        self,
        gateway: Credential,
        decision: Allow | Deny,
        call: Call,
        now: int | None,
        face: str,
        started: int,
    ) -> Verdict:
        identifier = _decision_id()
        if isinstance(decision, Allow):
            outcome = _outcome(decision.holding, decision.rights, None)
        else:
            outcome = _outcome(decision.holding, (), decision.reason)
        verification = Verification(
            identifier,
            wall_clock() if now is None else now,
            gateway.tenant_id,
            face,
            gateway.actor,
            outcome,
            call.method,
            call.path,
            call.client,
            perf_counter_ns() - started,
        )
        try:
            self._recorder.record(verification)
        except NotRecorded:
            # The recorder has said why, as often as is good.
            decision = Deny(Reason.STORE_UNAVAILABLE)
        except Exception as error:
            # Nothing passes that leaves no record (P9).
            decision = _failed(error)
        return Verdict(identifier, decision)


def _passage(gateway: Gateway, known: Known) -> Passage:
    """Return a gateway that is admitted now, and a key, with the time in which the call alone decides."""
    credential, holding = gateway.credential, known.holding
    now = moment_after(known.last_write_at)
    held = standing(holding, now)
    if isinstance(held, Deny) or any(right.said.limited for right in held) or known.move is not None:
        return Passage(gateway, known, (), now, now)
    until = min(stands_until(holding, now), credential.expires_at, use_is_due_at(credential))
    return Passage(gateway, known, held, now, until)


@lru_cache(maxsize=MOST_DERIVED)
def _outcome(holding: Holding | None, rights: tuple[Right, ...], denied: Reason | None) -> Outcome:
    reason = None if denied is None else denied.code
    if holding is None:
        return Outcome(reason)
    return Outcome(
        reason,
        holding.key_id or None,
        holding.secret_id or None,
        holding.consumer_id,
        tuple([each.entitlement_id for each in rights]),
    )


class _Identifiers:
    """Ids that nobody else gives out: a part that is this process's by chance, and a number.

    They name decisions and guard nothing, so they need not be guessed hard; to ask the system for chance each
    time would cost more than the decision.
    """

    def __init__(self) -> None:
        self._process = secrets.token_hex(10)
        self._numbers = itertools.count()
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        self._process = secrets.token_hex(10)

    def __call__(self) -> str:
        return f"{self._process}{next(self._numbers):012x}"


_decision_id: Final = _Identifiers()


def _failed(error: Exception) -> Deny:
    """Deny because something failed, and log it; no secret is in what is raised here."""
    if isinstance(error, StoreUnavailable):
        log.warning("a verification was denied: %s", error)
    else:
        log.error("a verification failed", exc_info=error)
    return Deny(Reason.STORE_UNAVAILABLE)
