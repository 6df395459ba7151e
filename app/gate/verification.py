"""The core of the gate, which every face asks: parse, look up, decide, limit, record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.access.credentials import Credential
from app.gate.afterwards import Afterwards
from app.gate.decision import Allow, Call, Deny, decide
from app.gate.limits import Limits, LimitState
from app.gate.lookup import look_up
from app.gate.reasons import Reason
from app.gate.recorder import Recorder, Verification
from app.store.peppers import PepperMissing, Peppers
from app.store.secrets import SecretMalformed, parse
from app.store.unit_of_work import ClockAbsurd, Store, new_id, wall_clock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer to one question. ``id`` names the decision, in the answer and in what is recorded."""

    id: str
    decision: Allow | Deny
    limits: tuple[LimitState, ...] = ()


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
        self._store = store
        self._peppers = peppers
        self._afterwards = afterwards
        self._recorder = recorder
        self._limits = limits

    def judge(self, gateway: Credential, presented: str | None, call: Call, *, face: str) -> Verdict:
        """Judge one use of a key, and record it. Never raises: what fails denies (P5).

        :param gateway: the credential of whoever asks; keys of its tenant alone are known to it.
        :param presented: the caller's key, or None when the call carries none.
        :param face: which face asks, as it is recorded.
        """
        started = time.perf_counter_ns()
        now: int | None = None
        try:
            decision, now = self._decision(gateway, presented, call)
        except Exception:
            # The key is in no local variable of a logged frame's message.
            log.exception("a verification failed")
            decision = Deny(Reason.STORE_UNAVAILABLE)
        return self._recorded(gateway, decision, call, now, face, started)

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
        started = time.perf_counter_ns()
        now: int | None = None
        try:
            decision, now = deciding()
            if isinstance(decision, Allow) and decision.holding.key_id and self._limits is not None:
                decision = self._limits.take(decision, now)
        except ClockAbsurd:
            decision = Deny(Reason.CLOCK_ABSURD)
        except Exception:
            log.exception("a verification failed")
            decision = Deny(Reason.STORE_UNAVAILABLE)
        return self._recorded(gateway, decision, call, now, face, started)

    def refuse(self, gateway: Credential, reason: Reason, call: Call, *, face: str) -> Verdict:
        """Record and return a denial that the face itself found before any key was known. Never raises."""
        return self._recorded(gateway, Deny(reason), call, None, face, time.perf_counter_ns())

    def _decision(
        self, gateway: Credential, presented: str | None, call: Call
    ) -> tuple[Allow | Deny, int | None]:
        """Return the decision, and the moment it was made for where a key was found."""
        if presented is None:
            return Deny(Reason.NO_KEY), None
        try:
            # RFC 8959: a credential may come as a URI of this scheme.
            found = look_up(
                self._store, self._peppers, gateway.tenant_id, parse(presented.removeprefix("secret-token:"))
            )
        except SecretMalformed:
            return Deny(Reason.KEY_MALFORMED), None
        except ClockAbsurd:
            return Deny(Reason.CLOCK_ABSURD), None
        except PepperMissing:
            return Deny(Reason.PEPPER_MISSING), None
        if found is None:
            return Deny(Reason.KEY_UNKNOWN), None
        decision = decide(found.holding, call, found.now)
        if isinstance(decision, Allow) and self._limits is not None:
            decision = self._limits.take(decision, found.now)
        if found.move is not None:
            self._afterwards.note_move(found.move)
        if isinstance(decision, Deny):
            self._afterwards.note_denial(decision, found.now, gateway.actor)
        return decision, found.now

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
        verification = Verification(
            id=identifier,
            at=wall_clock() if now is None else now,
            tenant_id=gateway.tenant_id,
            face=face,
            actor=gateway.actor,
            allowed=isinstance(decision, Allow),
            reason=None if isinstance(decision, Allow) else decision.reason.code,
            key_id=None if holding is None else holding.key_id or None,
            secret_id=None if holding is None else holding.secret_id or None,
            consumer_id=None if holding is None else holding.consumer_id,
            entitlements=(
                tuple(right.entitlement_id for right in decision.rights)
                if isinstance(decision, Allow)
                else ()
            ),
            method=call.method,
            path=call.path,
            client=call.client,
            took=time.perf_counter_ns() - started,
        )
        try:
            self._recorder.record(verification)
        except Exception:
            log.exception("a verification was not recorded")
            decision = Deny(Reason.STORE_UNAVAILABLE)
        return Verdict(identifier, decision)
