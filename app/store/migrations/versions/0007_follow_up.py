"""What a change does to the keys of very many people is done after it, in batches.

Revision ID: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "follow_up",
        sa.Column("id", Serial, autoincrement=True, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("ids", Json, nullable=False),
        sa.Column("moment", sa.BigInteger, nullable=False),
        sa.Column("actor", Text, nullable=False),
        sa.Column("txn", Text, nullable=False),
        sa.Column("reached", Text, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_follow_up"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_follow_up_tenant_id"),
    )
    pending = sa.text("finished_at IS NULL")
    op.create_index(
        "ix_follow_up_pending",
        "follow_up",
        ["tenant_id", "id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
