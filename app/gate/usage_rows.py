"""Adds a tally to the store: the batch of its decisions, the usage of its keys, the counts of its node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from app.gate.tally import Tally
from app.keys.decisions import key_marks, packed
from app.ledger.events import Event, record
from app.store.batches import batches
from app.store.expressions import earlier, later
from app.store.tables import decision_batch, decision_count, key_network, key_usage, key_usage_day
from app.store.unit_of_work import Unit, new_id

MOST_NETWORKS: Final = 100
"""How many networks of one key are told apart; a key that is used from more is no longer watched for it."""

Rows = list[dict[str, Any]]
Key = tuple[str, ...]


def batch_of(tally: Tally) -> dict[str, Any]:
    """Return the batch that a tally's decisions become, but for whose it is."""
    lines = b"".join(text + b"\n" for text in tally.texts)
    return {
        "id": new_id(),
        "first_at": tally.first_at,
        "last_at": tally.last_at,
        "decisions": len(tally.texts),
        "key_marks": key_marks(tally.keys),
        "records": packed(lines),
        "sha256": sha256(lines).digest(),
    }


def add_decisions(unit: Unit, batch: Mapping[str, Any]) -> None:
    """Add a batch of decisions, and the event by which the ledger commits to each of them (P9)."""
    unit.execute(sa.insert(decision_batch), {"tenant_id": unit.tenant_id, **batch})
    data = {"decisions": batch["decisions"], "sha256": batch["sha256"].hex()}
    record(unit, [Event("gate.decisions_recorded", f"decision-batch/{batch['id']}", data)])


def add_usage(unit: Unit, tally: Tally) -> None:
    """Add to what is known of the use of the tenant's keys; a network that is new to a key is an event."""
    _add_networks(unit, tally)
    _add(
        unit.connection,
        key_usage,
        [
            {
                "key_id": key_id,
                "tenant_id": unit.tenant_id,
                "first_at": use.first_at,
                "last_at": use.last_at,
                "last_denied_at": use.last_denied_at,
                "allowed": use.allowed,
                "denied": use.denied,
                "dead_uses": use.dead_uses,
                "last_network": use.last_network,
            }
            for key_id, use in sorted(tally.keys.items())
        ],
    )
    _add(
        unit.connection,
        key_usage_day,
        [
            {
                "key_id": key_id,
                "tenant_id": unit.tenant_id,
                "day": day,
                "entitlement_id": entitlement_id,
                "outcome": outcome,
                "uses": uses,
            }
            for (key_id, day, entitlement_id, outcome), uses in sorted(tally.days.items())
        ],
    )


def add_counts(connection: Connection, node: str, tallies: Iterable[Tally]) -> None:
    """Add to what a node has decided, for all tenants together."""
    together: dict[tuple[str, str, int], tuple[int, int]] = {}
    for tally in tallies:
        for counted, (decisions, nanoseconds) in tally.counts.items():
            before = together.get(counted, (0, 0))
            together[counted] = before[0] + decisions, before[1] + nanoseconds
    _add(
        connection,
        decision_count,
        [
            {
                "node": node,
                "face": face,
                "outcome": outcome,
                "bucket": bucket,
                "decisions": decisions,
                "nanoseconds": nanoseconds,
            }
            for (face, outcome, bucket), (decisions, nanoseconds) in sorted(together.items())
        ],
    )


def _add_networks(unit: Unit, tally: Tally) -> None:
    seen = _networks_seen(unit, tally)
    rows: Rows = []
    events = []
    for (key_id, network), use in sorted(tally.networks.items(), key=lambda item: item[1].first_at):
        known = seen.setdefault(key_id, set())
        if network not in known:
            if len(known) >= MOST_NETWORKS:
                continue
            data = {
                "consumer": tally.keys[key_id].consumer_id,
                "network": network,
                "networksBefore": len(known),
            }
            events.append(Event("key.new_network", f"key/{key_id}", data))
            known.add(network)
        rows.append(
            {
                "key_id": key_id,
                "tenant_id": unit.tenant_id,
                "network": network,
                "first_at": use.first_at,
                "last_at": use.last_at,
                "uses": use.uses,
            }
        )
    record(unit, events)
    _add(unit.connection, key_network, rows)


def _networks_seen(unit: Unit, tally: Tally) -> dict[str, set[str]]:
    seen: dict[str, set[str]] = {}
    for some in batches(sorted({key_id for key_id, _ in tally.networks})):
        statement = sa.select(key_network.c.key_id, key_network.c.network).where(
            key_network.c.key_id.in_(some)
        )
        for row in unit.execute(statement):
            seen.setdefault(row.key_id, set()).add(row.network)
    return seen


_EARLIEST: Final = ("first_at",)
_LATEST: Final = ("last_at", "last_denied_at")
_NEWEST: Final = ("last_network",)
_SUMS: Final = ("allowed", "denied", "dead_uses", "uses", "decisions", "nanoseconds")


def _add(connection: Connection, table: sa.Table, rows: Rows) -> None:
    """Add rows to those that are there already: times are the earliest or latest of both, numbers the sum."""
    if not rows:
        return
    on_postgresql = connection.dialect.name == "postgresql"
    inserting = postgresql.insert(table) if on_postgresql else sqlite.insert(table)
    new, changed = inserting.excluded, {}
    for column in table.c:
        name, added = column.name, new[column.name]
        if name in _SUMS:
            changed[name] = column + added
        elif name in _EARLIEST:
            changed[name] = sa.func.coalesce(earlier(column, added), column, added)
        elif name in _LATEST:
            changed[name] = sa.func.coalesce(later(column, added), column, added)
        elif name in _NEWEST:
            changed[name] = sa.func.coalesce(added, column)
    connection.execute(
        inserting.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed), rows
    )
