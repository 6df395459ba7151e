"""The core of the gate, which every face asks: parse, look up, decide, limit, record."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

from app.access.credentials import Credential
from app.gate.afterwards import Afterwards
from app.gate.current import Current, Presented, State
from app.gate.decision import Allow, Call, Deny, LimitState, decide
from app.gate.limits import Limits
from app.gate.reasons import Reason
from app.gate.recorder import NotRecorded, Recorder, Verification
from app.store.peppers import PepperMissing, Peppers
from app.store.prepared_reads import StoreUnavailable, prepared_reads
from app.store.unit_of_work import ClockAbsurd, Store, moment_after, new_id, wall_clock

log = logging.getLogger(__name__)

SCOPE: Final = "gate"
"""The scope of the credentials that open the gate."""

_MOST_SEEN: Final = 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer to one question. ``id`` names the decision, in the answer and in what is recorded."""

    id: str
    decision: Allow | Deny

    @property
    def limits(self) -> tuple[LimitState, ...]:
        """The limits that the use was counted against, or that denied it."""
        return self.decision.limits


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
        return self._judged(gateway, key, call, face, state, started)

    def judge_for(
        self, token: str | None, presented: str | Reason | None, call: Call, *, face: str
    ) -> Verdict:
        """Do the same for a gateway of which the token alone is known.

        A verdict on a token that does not open the gate is not recorded: it is of no tenant.

        :param presented: the caller's key, or why the face denies before any key is known.
        """
        started = perf_counter_ns()
        shown = None if token is None else self._current.presented(token)
        if shown is None:
            return Verdict(new_id(), Deny(Reason.GATE_UNAUTHENTICATED))
        key = presented if isinstance(presented, Reason) else self._presented(presented)
        if isinstance(key, Reason):
            # Denied whatever the store says; whose record it is in, the token said when it was first seen.
            gateway = self._seen.get(shown.mark)
            if gateway is not None:
                return self._recorded(gateway, Deny(key), call, None, face, started)
        try:
            state = self._current.state()
            found = self._gateway(state, shown)
        except Exception as error:
            return Verdict(new_id(), _failed(error))
        if isinstance(found, Deny):
            return Verdict(new_id(), found)
        if isinstance(key, Reason):
            return self._recorded(found, Deny(key), call, None, face, started)
        return self._judged(found, key, call, face, state, started)

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

    def _gateway(self, state: State, shown: Presented) -> Credential | Deny:
        found = state.gateway(shown)
        if found is None:
            return Deny(Reason.GATE_UNAUTHENTICATED)
        try:
            now = moment_after(found.last_write_at)
        except ClockAbsurd:
            return Deny(Reason.CLOCK_ABSURD)
        credential = found.credential
        if SCOPE not in credential.scopes or credential.ended(now) is not None:
            return Deny(Reason.GATE_UNAUTHENTICATED)
        if shown.mark not in self._seen:
            if len(self._seen) >= _MOST_SEEN:
                self._seen.clear()
            self._seen[shown.mark] = credential
        self._afterwards.note_gateway(credential, now)
        return credential

    def _judged(
        self, gateway: Credential, key: Presented, call: Call, face: str, state: State, started: int
    ) -> Verdict:
        now: int | None = None
        try:
            decision, now = self._decision(state, gateway, key, call)
        except Exception as error:
            decision = _failed(error)
        return self._recorded(gateway, decision, call, now, face, started)

    def _decision(
        self, state: State, gateway: Credential, key: Presented, call: Call
    ) -> tuple[Allow | Deny, int | None]:
        """Return the decision, and the moment it was made for where a key was found."""
        try:
            known = state.key(gateway.tenant_id, key)
            if known is None:
                return Deny(Reason.KEY_UNKNOWN), None
            now = moment_after(known.last_write_at)
        except ClockAbsurd:
            return Deny(Reason.CLOCK_ABSURD), None
        except PepperMissing:
            return Deny(Reason.PEPPER_MISSING), None
        decision = decide(known.holding, call, now)
        if isinstance(decision, Allow) and self._limits is not None:
            decision = self._limits.take(decision, now)
        if known.move is not None:
            self._afterwards.note_move(known.move)
        if isinstance(decision, Deny):
            self._afterwards.note_denial(decision, now, gateway.actor)
        return decision, now

    def _recorded(
        self,
        gateway: Credential,
        decision: Allow | Deny,
        call: Call,
        now: int | None,
        face: str,
        started: int,
    ) -> Verdict:
        identifier = new_id()
        holding = decision.holding
        allowed = isinstance(decision, Allow)
        verification = Verification(
            id=identifier,
            at=wall_clock() if now is None else now,
            tenant_id=gateway.tenant_id,
            face=face,
            actor=gateway.actor,
            allowed=allowed,
            reason=None if isinstance(decision, Allow) else decision.reason.code,
            key_id=None if holding is None else holding.key_id or None,
            secret_id=None if holding is None else holding.secret_id or None,
            consumer_id=None if holding is None else holding.consumer_id,
            entitlements=tuple([each.entitlement_id for each in decision.rights])
            if isinstance(decision, Allow)
            else (),
            method=call.method,
            path=call.path,
            client=call.client,
            took=perf_counter_ns() - started,
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


def _failed(error: Exception) -> Deny:
    """Deny because something failed, and log it; no secret is in what is raised here."""
    if isinstance(error, StoreUnavailable):
        log.warning("a verification was denied: %s", error)
    else:
        log.error("a verification failed", exc_info=error)
    return Deny(Reason.STORE_UNAVAILABLE)
