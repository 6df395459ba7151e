"""How PostgreSQL looks keys up: a plan that was made when there were few does when there are very many."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from app.gate.lookup import gateway_and_key_statement, key_statement
from app.store.prepared_reads import _Postgresql, prepared_reads


@pytest.mark.parametrize("statement", [key_statement(), gateway_and_key_statement()])
def test_nothing_is_gone_through_on_the_way_to_a_key(
    set_up_engine: Engine, statement: sa.Select[object]
) -> None:
    if set_up_engine.dialect.name == "sqlite":
        pytest.skip("it is about the planner of PostgreSQL")
    reads = prepared_reads(set_up_engine)
    assert isinstance(reads, _Postgresql)
    prepared = reads.prepare(statement)
    asked = prepared.bound({"secret_id": "s", "tenant_id": "t", "credential_id": "c"})
    plan = "\n".join(line for (line,) in reads._fetched(f"EXPLAIN {prepared.text}", asked))
    assert "pk_secret" in plan
    assert "pk_key " in plan
    assert "Seq Scan" not in plan, plan
    # All keys of a tenant.
    assert "ix_key_listing" not in plan, plan
