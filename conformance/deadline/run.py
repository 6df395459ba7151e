"""One run: people are made, load is put on the nodes, and key after key is withdrawn under it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import Synchronized
from typing import Final

from conformance.deadline.asking import FINISHED, Asker, Decision, Questions, keep_asking
from conformance.deadline.judging import ACCEPTED, Withdrawal
from conformance.deadline.people import populate
from conformance.deadline.routes import Holder, Route
from conformance.deadline.server import Server, Unexpected

_START_SECONDS: Final = 60
_REPORT_SECONDS: Final = 300


class ClocksDiffer(Exception):
    """The processes of this machine do not share one monotonic clock, so that their times say nothing."""


@dataclass(frozen=True)
class Options:
    """How many processes ask, how many keys are withdrawn, by which routes, and what begins every name."""

    workers: int
    withdrawals: int
    routes: tuple[Route, ...]
    seed: int
    run: str


@dataclass(frozen=True)
class Recorded:
    """All that was seen, in the nanoseconds of one clock; ``seconds`` is how long keys were withdrawn."""

    decisions: tuple[Decision, ...]
    withdrawals: tuple[Withdrawal, ...]
    seconds: float


def withdraw_under_load(
    server: Server,
    nodes: tuple[str, ...],
    gate_token: str,
    options: Options,
    told: Callable[[str, int], None],
) -> Recorded:
    """Make people, withdraw their keys one after the other while other processes verify them.

    Each key is seen to be accepted at every node before it is withdrawn, and is verified at every node as
    soon as the 2xx is here, besides what the load does.

    :param nodes: the root URLs that verify.
    :param told: is told what is being done and how far it has come.
    :raises Unexpected: when the server refuses a step, or a key is not accepted before it is withdrawn.
    :raises ClocksDiffer: when times of different processes cannot be compared here.
    """
    routes = [options.routes[number % len(options.routes)] for number in range(options.withdrawals)]
    holders = populate(server, routes, options.run, lambda made: told("keys", made))
    questions = Questions(nodes, gate_token, tuple(each.secret for each in holders))
    with _load(questions, options) as (aim, reports):
        began = time.monotonic()
        mine, withdrawals = _withdraw_all(server, questions, holders, routes, aim, told)
        seconds = time.monotonic() - began
        aim.value = FINISHED
        for report in reports:
            if not report.poll(_REPORT_SECONDS):
                raise Unexpected("a process of the load did not report what it saw")
            mine.extend(report.recv())
    return Recorded(tuple(mine), tuple(withdrawals), seconds)


def _withdraw_all(
    server: Server,
    questions: Questions,
    holders: Sequence[Holder],
    routes: Sequence[Route],
    aim: Synchronized[int],
    told: Callable[[str, int], None],
) -> tuple[list[Decision], list[Withdrawal]]:
    decisions: list[Decision] = []
    withdrawals: list[Withdrawal] = []
    askers = [Asker(questions, node) for node in range(len(questions.nodes))]
    for holder, route in zip(holders, routes, strict=True):
        aim.value = holder.number
        for asker in askers:
            decisions.append(asker.ask(holder.number))
            if decisions[-1].status != ACCEPTED:
                raise Unexpected(
                    f"a key that nobody has withdrawn is answered {decisions[-1].status} "
                    f"({route.name}, {questions.nodes[decisions[-1].node]})"
                )
        sent = time.monotonic_ns()
        answer = route.withdraw(server, holder)
        answered = time.monotonic_ns()
        if answer.status not in (200, 204):
            raise Unexpected(f"{route.name} answers {answer.status}: {answer.document.get('detail', '')}")
        # The node that is asked first takes turns.
        first = holder.number % len(askers)
        decisions.extend(asker.ask(holder.number) for asker in (*askers[first:], *askers[:first]))
        withdrawals.append(Withdrawal(holder.number, route.name, sent, answered))
        told("withdrawals", len(withdrawals))
    for asker in askers:
        asker.close()
    return decisions, withdrawals


@contextmanager
def _load(questions: Questions, options: Options) -> Iterator[tuple[Synchronized[int], list[Connection]]]:
    """Start the processes that ask, and end them."""
    context = multiprocessing.get_context("spawn")
    aim = context.Value("i", 0)
    reports: list[Connection] = []
    processes: list[SpawnProcess] = []
    try:
        for number in range(options.workers):
            here, there = context.Pipe(duplex=False)
            process = context.Process(
                target=keep_asking, args=(questions, aim, options.seed + number, there), daemon=True
            )
            before = time.monotonic_ns()
            process.start()
            there.close()
            processes.append(process)
            reports.append(here)
            _compare_clocks(here, before)
        yield aim, reports
        for process in processes:
            process.join(_START_SECONDS)
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
                process.join()


def _compare_clocks(report: Connection, before: int) -> None:
    """Take a process's first word, its clock, which must lie between two readings of the clock here.

    On Linux and macOS the monotonic clock counts since the machine started, for all processes alike.
    """
    if not report.poll(_START_SECONDS):
        raise Unexpected("a process of the load did not start")
    there = report.recv()
    if not before <= there <= time.monotonic_ns():
        raise ClocksDiffer("the monotonic clock of this system differs from process to process")
