"""The brake of each connection: what a mass withdrawal makes final waits for an operator.

Revision ID: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "connection",
        sa.Column("brake_percent", sa.Integer, nullable=False, server_default=sa.text("10")),
    )
    op.add_column(
        "connection",
        sa.Column("brake_minimum", sa.Integer, nullable=False, server_default=sa.text("20")),
    )
    op.add_column(
        "connection",
        sa.Column("brake_span", sa.BigInteger, nullable=False, server_default=sa.text("3600000000")),
    )
    op.create_table(
        "brake",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("connection_id", Text, nullable=False),
        sa.Column("engaged_at", sa.BigInteger, nullable=False),
        sa.Column("active", sa.BigInteger, nullable=False),
        sa.Column("threshold", sa.BigInteger, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("holds_until", sa.BigInteger, nullable=False),
        sa.Column("decision", Text),
        sa.Column("decided_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_brake"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_brake_tenant_id"),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name="fk_brake_connection_id"),
    )
    op.create_index("ix_brake_listing", "brake", ["tenant_id", "engaged_at"])
    waiting = sa.text("decision IS NULL")
    op.create_index(
        "uq_brake_waiting",
        "brake",
        ["connection_id"],
        unique=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_table(
        "withdrawal",
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("moment", sa.BigInteger, nullable=False),
        sa.Column("connection_id", Text, nullable=False),
        sa.Column("people", sa.BigInteger, nullable=False),
        sa.Column("uncounted", sa.BigInteger, nullable=False),
        sa.Column("active", sa.BigInteger),
        sa.Column("brake_id", Text),
        sa.PrimaryKeyConstraint("tenant_id", "moment", name="pk_withdrawal"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_withdrawal_tenant_id"),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name="fk_withdrawal_connection_id"),
        sa.ForeignKeyConstraint(["brake_id"], ["brake.id"], name="fk_withdrawal_brake_id"),
    )
    op.create_index("ix_withdrawal_brake_id", "withdrawal", ["brake_id"])
    op.create_index("ix_withdrawal_connection", "withdrawal", ["connection_id", "moment"])
    unbraked = sa.text("brake_id IS NULL")
    op.create_index(
        "ix_withdrawal_unbraked",
        "withdrawal",
        ["connection_id", "moment"],
        sqlite_where=unbraked,
        postgresql_where=unbraked,
    )
    op.create_table(
        "withdrawn_consumer",
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("moment", sa.BigInteger, nullable=False),
        sa.Column("consumer_id", Text, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "moment", "consumer_id", name="pk_withdrawn_consumer"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_withdrawn_consumer_tenant_id"),
        sa.ForeignKeyConstraint(["consumer_id"], ["consumer.id"], name="fk_withdrawn_consumer_consumer_id"),
    )
