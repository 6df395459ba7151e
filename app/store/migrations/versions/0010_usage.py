"""How keys are used, and the gate's decisions, which are kept as they were written.

Revision ID: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_usage()
    _create_decisions()
    _create_progress()
    if op.get_bind().dialect.name == "postgresql":
        _keep_decisions_on_postgresql()
    else:
        _keep_decisions_on_sqlite()


def _create_usage() -> None:
    op.create_table(
        "key_usage",
        sa.Column("key_id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("first_at", sa.BigInteger),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_denied_at", sa.BigInteger),
        sa.Column("allowed", sa.BigInteger, nullable=False),
        sa.Column("denied", sa.BigInteger, nullable=False),
        sa.Column("dead_uses", sa.BigInteger, nullable=False),
        sa.Column("last_network", Text),
        sa.PrimaryKeyConstraint("key_id", name="pk_key_usage"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_key_usage_tenant_id"),
    )
    dead = sa.text("dead_uses > 0")
    op.create_index(
        "ix_key_usage_dead",
        "key_usage",
        ["tenant_id", "last_denied_at"],
        sqlite_where=dead,
        postgresql_where=dead,
    )
    op.create_table(
        "key_usage_day",
        sa.Column("key_id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("entitlement_id", Text, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "day", "entitlement_id", "outcome", name="pk_key_usage_day"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_key_usage_day_tenant_id"),
    )
    op.create_table(
        "key_network",
        sa.Column("key_id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("network", Text, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "network", name="pk_key_network"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_key_network_tenant_id"),
    )
    op.create_index("ix_key_network_first", "key_network", ["tenant_id", "first_at"])


def _create_decisions() -> None:
    op.create_table(
        "decision_batch",
        sa.Column("sequence", Serial, autoincrement=True, nullable=False),
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("decisions", sa.Integer, nullable=False),
        sa.Column("key_marks", sa.LargeBinary, nullable=False),
        sa.Column("records", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_decision_batch"),
        sa.UniqueConstraint("id", name="uq_decision_batch_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_decision_batch_tenant_id"),
    )
    op.create_index("ix_decision_batch_reading", "decision_batch", ["tenant_id", "sequence"])
    op.create_index("ix_decision_batch_last", "decision_batch", ["tenant_id", "last_at"])


def _create_progress() -> None:
    op.create_table(
        "spool_progress",
        sa.Column("segment", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("node", Text, nullable=False),
        sa.Column("folded", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("segment", "tenant_id", name="pk_spool_progress"),
    )
    op.create_index("ix_spool_progress_node", "spool_progress", ["node"])
    op.create_table(
        "decision_count",
        sa.Column("node", Text, nullable=False),
        sa.Column("face", Text, nullable=False),
        sa.Column("outcome", Text, nullable=False),
        sa.Column("bucket", sa.Integer, nullable=False),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("nanoseconds", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("node", "face", "outcome", "bucket", name="pk_decision_count"),
    )


def _keep_decisions_on_sqlite() -> None:
    for operation in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER decision_batch_refuses_{operation.lower()} BEFORE {operation} ON decision_batch "
            "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"
        )
    # INSERT OR REPLACE deletes the row in its way without asking the trigger above.
    op.execute(
        "CREATE TRIGGER decision_batch_refuses_replace BEFORE INSERT ON decision_batch "
        "WHEN EXISTS (SELECT 1 FROM decision_batch WHERE sequence = NEW.sequence OR id = NEW.id) "
        "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END"
    )


def _keep_decisions_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION decision_batch_refuses_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'decisions are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER decision_batch_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON decision_batch "
        "FOR EACH STATEMENT EXECUTE FUNCTION decision_batch_refuses_change()"
    )
    # ALWAYS: in a session that replays changes of another server (session_replication_role) as well.
    op.execute("ALTER TABLE decision_batch ENABLE ALWAYS TRIGGER decision_batch_refuses_change")
