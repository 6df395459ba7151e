"""Verifications as the gate leaves them, and what became of them in the store."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from app.gate.recorder import Outcome, Verification
from app.keys.decisions import unpacked
from app.store.tables import decision_batch, event
from app.store.unit_of_work import Store, new_id

AT = 1_764_000_000_000_000

_ONE = Verification(
    id="",
    at=AT,
    tenant_id="",
    face="verify",
    actor="credential:1",
    outcome=Outcome(None),
    method="GET",
    path="/orders/7",
    client="203.0.113.7",
    took=80_000,
)


def verification(tenant_id: str, **differently: Any) -> Verification:
    """Return one use of a key that was allowed, unless told otherwise; ``reason`` makes it a denial."""
    outcome: dict[str, Any] = {
        "reason": None,
        "key_id": f"key-{tenant_id}",
        "secret_id": "secret-1",
        "consumer_id": "consumer-1",
        "entitlements": () if differently.get("reason") else ("entitlement-1",),
    }
    outcome |= {name: differently.pop(name) for name in outcome.keys() & differently.keys()}
    its_own = {"id": new_id(), "tenant_id": tenant_id, "outcome": Outcome(**outcome)}
    return replace(_ONE, **{**its_own, **differently})


def recorded(store: Store, tenant_id: str) -> list[dict[str, Any]]:
    """Return the decisions in a tenant's batches; each batch is what its digest, and an event, say it is."""
    found = []
    with store.engine.connect() as connection:
        rows = connection.execute(
            sa.select(decision_batch)
            .where(decision_batch.c.tenant_id == tenant_id)
            .order_by(decision_batch.c.sequence)
        ).all()
        events = {
            row.subject: row.data
            for row in connection.execute(
                sa.select(event).where(
                    event.c.tenant_id == tenant_id, event.c.type == "gate.decisions_recorded"
                )
            )
        }
    for row in rows:
        lines = unpacked(row.records)
        digest = sha256(lines)
        records = [json.loads(line) for line in lines.splitlines()]
        assert row.sha256 == digest.digest()
        assert events.pop(f"decision-batch/{row.id}") == {
            "decisions": len(records),
            "sha256": digest.hexdigest(),
        }
        assert row.decisions == len(records)
        assert row.first_at == min(each["at"] for each in records)
        assert row.last_at == max(each["at"] for each in records)
        found += records
    assert events == {}
    return found
