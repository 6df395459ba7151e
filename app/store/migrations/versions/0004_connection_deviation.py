"""What a connection's client sends that only its dialect tolerates is counted.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "connection_deviation",
        sa.Column("connection_id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("deviation", Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("connection_id", "deviation", name="pk_connection_deviation"),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_connection_deviation_connection_id"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_connection_deviation_tenant_id"),
    )
