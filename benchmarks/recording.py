"""What recording a decision costs the caller: ``python -m benchmarks.recording``.

Beside it stands one write of the same line to a file, which is the least that surviving ``kill -9`` costs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.gate.recorder import Outcome, SpoolRecorder, Verification, encoded
from app.gate.spool import Spool
from app.store.unit_of_work import new_id, wall_clock


def one_verification() -> Verification:
    """Return a verification as long as they usually are."""
    return Verification(
        id=new_id(),
        at=wall_clock(),
        tenant_id=f"ten_{new_id()}",
        face="verify",
        actor=f"credential:{new_id()}",
        outcome=Outcome(None, new_id(), new_id()[:16], new_id(), (new_id(),)),
        method="GET",
        path="/orders/4711/items",
        client="203.0.113.7",
        took=80_000,
    )


@dataclass
class Measured:
    """How long some calls took, in nanoseconds each, and how much of the processor all of them together."""

    took: list[int] = field(default_factory=list)
    processor: int = 0

    def run(self, call: Callable[[], object], times: int) -> None:
        """Measure some calls more, from one thread."""
        clock, took = time.perf_counter_ns, []
        before = time.thread_time_ns()
        for _ in range(times):
            started = clock()
            call()
            took.append(clock() - started)
        self.processor += time.thread_time_ns() - before
        self.took += took

    def row(self) -> str:
        """Return median, 99th percentile and processor time of a call, in microseconds."""
        took = sorted(self.took)
        numbers = took[len(took) // 2], took[len(took) * 99 // 100], self.processor / len(took)
        return "".join(f"{number / 1000:>12.2f}" for number in numbers)


def measure(call: Callable[[], object], times: int, threads: int = 1) -> Measured:
    """Measure calls from some threads at once."""
    measured = Measured()
    workers = [threading.Thread(target=measured.run, args=(call, times // threads)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return measured


def main() -> None:
    """Measure, and print a table in microseconds."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=200_000)
    arguments.add_argument("--threads", type=int, default=8)
    asked = arguments.parse_args()
    verification = one_verification()
    with tempfile.TemporaryDirectory(prefix="recording-") as folder:
        recorder = SpoolRecorder(Spool(Path(folder) / "spool", most_bytes=10**12))
        line = b"\x1e" + encoded(verification) + b"\n"
        descriptor = os.open(Path(folder) / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def plain() -> None:
            os.write(descriptor, line)

        def record() -> None:
            recorder.record(verification)

        print(f"{'microseconds':<36}{'median':>12}{'99 %':>12}{'processor':>12}")
        for threads in (1, asked.threads):
            for name, call in (("one write of the line", plain), ("record()", record)):
                measured = measure(call, asked.times, threads)
                print(f"{f'{name}, threads: {threads}':<36}{measured.row()}")
        os.close(descriptor)


if __name__ == "__main__":
    main()
