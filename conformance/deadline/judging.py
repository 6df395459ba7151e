"""What the recorded times say: which verifications were accepted although they started too late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from conformance.deadline.asking import NO_ANSWER, Decision

ACCEPTED = 200
DENIED = (401, 403)


@dataclass(frozen=True)
class Withdrawal:
    """One withdrawal: its number, its route, when it was sent and when its 2xx was here (nanoseconds)."""

    number: int
    route: str
    sent: int
    answered: int


@dataclass(frozen=True)
class Outcome:
    """What the verifications of one key saw. Nanoseconds after the 2xx; negative before it.

    ``first_deny``: when the first one started that was denied. ``last_accept``: when the last one started
    that was accepted. None where there was none.
    """

    withdrawal: Withdrawal
    first_deny: int | None
    last_accept: int | None
    late: tuple[Decision, ...]


@dataclass(frozen=True)
class Judgement:
    """What a run came to.

    ``answers`` counts the decisions by status; ``strange`` are those that are neither an accept nor a deny.
    """

    outcomes: tuple[Outcome, ...]
    answers: Counter[int]

    @property
    def late(self) -> list[tuple[Withdrawal, Decision]]:
        """The accepted verifications that started after the answer which withdrew their key."""
        return [(outcome.withdrawal, each) for outcome in self.outcomes for each in outcome.late]

    @property
    def strange(self) -> Counter[int]:
        known = (ACCEPTED, *DENIED, NO_ANSWER)
        return Counter({status: n for status, n in self.answers.items() if status not in known})

    @property
    def blind(self) -> list[Withdrawal]:
        """The withdrawals that show nothing: their key was not asked about both before and after."""
        return [
            outcome.withdrawal
            for outcome in self.outcomes
            if outcome.last_accept is None or (outcome.first_deny is None and not outcome.late)
        ]

    def by_route(self) -> dict[str, list[Outcome]]:
        """Return the outcomes of each route, in the order of their first withdrawal."""
        found: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.withdrawal.route, []).append(outcome)
        return found


@dataclass(frozen=True)
class Spread:
    """A distribution, in milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    largest: float


@dataclass
class _Seen:
    first_deny: int | None = None
    last_accept: int | None = None
    late: list[Decision] = field(default_factory=list)


def judge(decisions: Iterable[Decision], withdrawals: Sequence[Withdrawal]) -> Judgement:
    """Compare when verifications started with when their key was withdrawn.

    All times must be of one clock. Decisions on keys that no withdrawal is known of are only counted.
    """
    answered = {each.number: each.answered for each in withdrawals}
    seen = {each.number: _Seen() for each in withdrawals}
    answers: Counter[int] = Counter()
    for decision in decisions:
        answers[decision.status] += 1
        if decision.number not in seen:
            continue
        mine, after = seen[decision.number], decision.started - answered[decision.number]
        if decision.status == ACCEPTED:
            mine.last_accept = after if mine.last_accept is None else max(mine.last_accept, after)
            if after > 0:
                mine.late.append(decision)
        elif decision.status in DENIED:
            mine.first_deny = after if mine.first_deny is None else min(mine.first_deny, after)
    return Judgement(
        tuple(
            Outcome(each, mine.first_deny, mine.last_accept, tuple(mine.late))
            for each in withdrawals
            for mine in (seen[each.number],)
        ),
        answers,
    )


def spread(times: Iterable[int | None]) -> Spread | None:
    """Return the distribution of some times in nanoseconds; None when there are none."""
    known = sorted(each / 1_000_000 for each in times if each is not None)
    if not known:
        return None
    cuts = quantiles(known, n=100, method="inclusive") if len(known) > 1 else known * 99
    return Spread(len(known), cuts[49], cuts[89], cuts[98], known[-1])
