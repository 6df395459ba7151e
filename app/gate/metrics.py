"""``/metrics``: what a node's gate does, for Prometheus.

What is counted comes from the store, where folding counts each decision once: so all worker processes of a
node say the same, nothing is lost with one that ends, and no decision waits for being counted.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from flask import Blueprint, Response, abort, request
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from app.gate.folding import ALL
from app.gate.spool import Spool, read_chunk
from app.gate.tally import ALLOWED, BUCKETS, Record, RecordUnreadable
from app.store.tables import decision_count, follow_up, spool_progress
from app.store.unit_of_work import Store, wall_clock

log = logging.getLogger(__name__)

METRICS: Final = {
    "keysteward_build_info": "The version that runs, and the database it runs on.",
    "keysteward_store_up": "Whether the store answers; without it only the spool is told of.",
    "keysteward_decisions": "Decisions of this node, by face, outcome and reason.",
    "keysteward_decision_seconds": "How long this node took for its decisions, by face.",
    "keysteward_follow_ups_waiting": "What changes of the directory left to do, of the whole database.",
    "keysteward_spool_bytes": "Size of this node's spool, whatever of it is folded.",
    "keysteward_spool_unfolded_bytes": "What of it is not in the store yet.",
    "keysteward_spool_oldest_unfolded_seconds": "Age of the oldest decision that is not in the store yet.",
}
"""Every metric and what it says."""

_FIRST_RECORD: Final = 64 * 1024


def blueprint(store: Store, spool: Spool, token: str | None) -> Blueprint:
    """Return ``/metrics``.

    It tells of all tenants together, so no tenant's credential opens it (P10), but a token of its own; it is
    found without the store, whose failure is to be seen here.

    :param token: what opens it; None: nothing does.
    """
    face = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GateCollector(store, spool))

    @face.get("/metrics")
    def metrics() -> Response:
        if token is None:
            abort(404)
        scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(presented.strip().encode(), token.encode()):
            return Response(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
        encode, media_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), headers={"Content-Type": media_type, "Cache-Control": "no-store"})

    return face


class GateCollector(Collector):
    """Collects the metrics of a node when they are asked for."""

    def __init__(self, store: Store, spool: Spool) -> None:
        self._store = store
        self._spool = spool

    def collect(self) -> Iterable[Metric]:
        """Return the metrics; without the store, those of the spool alone."""
        told = {"version": version("keysteward"), "database": self._store.engine.dialect.name}
        yield InfoMetricFamily("keysteward_build", METRICS["keysteward_build_info"], told)
        folded: dict[str, int] = {}
        try:
            with self._store.engine.connect() as connection:
                folded = self._folded(connection)
                counted = [*self._counted(connection)]
        except sa.exc.SQLAlchemyError:
            log.warning("the store does not answer, so its metrics are missing", exc_info=True)
            counted = []
        yield _gauge("keysteward_store_up", 1 if counted else 0)
        yield from counted
        yield from self._spooled(folded)

    def _folded(self, connection: sa.Connection) -> dict[str, int]:
        rows = connection.execute(
            sa.select(spool_progress.c.segment, spool_progress.c.folded).where(
                spool_progress.c.node == self._spool.node(), spool_progress.c.tenant_id == ALL
            )
        )
        return {row.segment: row.folded for row in rows}

    def _counted(self, connection: sa.Connection) -> Iterator[Metric]:
        decisions: dict[tuple[str, str], int] = {}
        buckets: dict[str, list[int]] = {}
        nanoseconds: dict[str, int] = {}
        for row in connection.execute(
            sa.select(decision_count)
            .where(decision_count.c.node == self._spool.node())
            .order_by(decision_count.c.face, decision_count.c.outcome)
        ):
            counted = (row.face, row.outcome)
            decisions[counted] = decisions.get(counted, 0) + row.decisions
            buckets.setdefault(row.face, [0] * (len(BUCKETS) + 1))[row.bucket] += row.decisions
            nanoseconds[row.face] = nanoseconds.get(row.face, 0) + row.nanoseconds
        name = "keysteward_decisions"
        total = CounterMetricFamily(name, METRICS[name], labels=("face", "outcome", "reason"))
        for (face, outcome), number in decisions.items():
            allowed = outcome == ALLOWED
            total.add_metric((face, "allow" if allowed else "deny", "" if allowed else outcome), number)
        yield total
        name = "keysteward_decision_seconds"
        took = HistogramMetricFamily(name, METRICS[name], labels=("face",))
        for face, numbers in buckets.items():
            took.add_metric((face,), [*_cumulated(numbers)], nanoseconds[face] / 1e9)
        yield took
        waiting = connection.execute(
            sa.select(sa.func.count()).select_from(follow_up).where(follow_up.c.finished_at.is_(None))
        ).scalar_one()
        yield _gauge("keysteward_follow_ups_waiting", waiting)

    def _spooled(self, folded: dict[str, int]) -> Iterator[Metric]:
        sizes = self._spool.sizes()
        unfolded = [(path, folded.get(path.name, 0), size) for path, size in sizes]
        waiting = [(path, begin) for path, begin, size in unfolded if size > begin]
        oldest = [at for path, begin in waiting if (at := _first_at(path, begin)) is not None]
        yield _gauge("keysteward_spool_bytes", sum(size for _, size in sizes))
        yield _gauge(
            "keysteward_spool_unfolded_bytes", sum(max(0, size - begin) for _, begin, size in unfolded)
        )
        age = max(0, wall_clock() - min(oldest)) if oldest else 0
        yield _gauge("keysteward_spool_oldest_unfolded_seconds", age / 1_000_000)


def _first_at(path: Path, begin: int) -> int | None:
    """Return when the first decision at a place of a segment was made, if one is there."""
    try:
        for _, text in read_chunk(path, begin, _FIRST_RECORD).texts:
            return Record.read(text).at
    except (FileNotFoundError, RecordUnreadable):
        pass
    return None


def _cumulated(numbers: Iterable[int]) -> Iterator[tuple[str, float]]:
    bounds = [*(str(bound / 1_000_000) for bound in BUCKETS), "+Inf"]
    total = 0
    for bound, number in zip(bounds, numbers, strict=True):
        total += number
        yield bound, total


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, METRICS[name], value=value)
