"""Requests that are answered before they are carried out, and what became of them.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "asynchronous_request",
        sa.Column("txn", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("connection_id", Text, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.Column("method", Text, nullable=False),
        sa.Column("base_url", Text, nullable=False),
        sa.Column("path", Text, nullable=False),
        sa.Column("query", Json, nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("result", Json),
        sa.PrimaryKeyConstraint("txn", name="pk_asynchronous_request"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_asynchronous_request_tenant_id"),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name="fk_asynchronous_request_connection_id"
        ),
    )
    op.create_index(
        "ix_asynchronous_request_pending",
        "asynchronous_request",
        ["tenant_id", "accepted_at"],
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_index("ix_asynchronous_request_done", "asynchronous_request", ["done_at"])
