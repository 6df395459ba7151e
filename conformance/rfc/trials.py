"""Trials: what tries one requirement, how it says what it saw, and how that becomes a finding."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from conformance.exchange import ServerUnreachable
from conformance.findings import Finding, Keyword, Outcome, Requirement
from conformance.rfc.stage import Deviates, NotApplicable, Stage, Untestable

MUST: Final = Keyword.MUST
SHOULD: Final = Keyword.SHOULD

CarryOut = Callable[[Stage], None]


@dataclass(frozen=True)
class Trial:
    """A requirement and what tries it."""

    requirement: Requirement

    carry_out: CarryOut
    """Returns when the server does what is required; raises :class:`Deviates` when it does not,
    :class:`NotApplicable` when it does not offer what the requirement is about, and :class:`Untestable` when
    what the trial builds on failed."""


TRIALS: Final[dict[str, Trial]] = {}
"""Every trial by the id of its requirement, in the order in which the modules declare them."""


def requirement(identity: str, source: str, keyword: Keyword, text: str) -> Callable[[CarryOut], CarryOut]:
    """Declare the function below to be the trial of a requirement.

    :raises ValueError: when the id is taken.
    """

    def declare(carry_out: CarryOut) -> CarryOut:
        if identity in TRIALS:
            raise ValueError(f"two requirements are called {identity}")
        TRIALS[identity] = Trial(Requirement(identity, source, keyword, text), carry_out)
        return carry_out

    return declare


def judge(trial: Trial, stage: Stage, suite: str) -> Finding:
    """Carry out a trial and return how it ended, with what went over the wire.

    What the trial made is deleted afterwards. A server that breaks off a connection is tried a second time:
    when it does so again and answers other requests still, the trial has found a fault.

    :raises ServerUnreachable: when the server stops answering.
    """
    try:
        return _judge(trial, stage, suite)
    except ServerUnreachable:
        stage.target.get("ServiceProviderConfig")
    try:
        return _judge(trial, stage, suite)
    except ServerUnreachable as error:
        exchanges = tuple(stage.target.recorded)
        stage.target.get("ServiceProviderConfig")
        return Finding(suite, trial.requirement, Outcome.FAILED, f"there is no answer: {error}", exchanges)


def _judge(trial: Trial, stage: Stage, suite: str) -> Finding:
    outcome, detail = Outcome.PASSED, ""
    with stage.target.recording() as exchanges:
        try:
            trial.carry_out(stage)
        except Deviates as seen:
            outcome, detail = Outcome.FAILED, str(seen)
        except NotApplicable as reason:
            outcome, detail = Outcome.NOT_APPLICABLE, str(reason)
        except Untestable as reason:
            outcome, detail = Outcome.BROKEN, str(reason)
    with suppress(ServerUnreachable):
        stage.strike()
    return Finding(suite, trial.requirement, outcome, detail, tuple(exchanges))
