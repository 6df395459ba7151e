"""A key's secrets follow one another, a dead one's reuse is reported, and a request said twice is done once.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("secret", sa.Column("replaced_at", sa.BigInteger))
    op.add_column("secret", sa.Column("reuse_reported_at", sa.BigInteger))
    op.create_index(
        "uq_secret_current",
        "secret",
        ["key_id"],
        unique=True,
        sqlite_where=sa.text("ends_at IS NULL"),
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.create_table(
        "idempotent_request",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("document", Text, nullable=False),
        sa.Column("had_secret", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.PrimaryKeyConstraint("digest", name="pk_idempotent_request"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_idempotent_request_tenant_id"),
    )
    op.create_index("ix_idempotent_request_created_at", "idempotent_request", ["created_at"])
    op.create_index("ix_event_moment", "event", ["tenant_id", "time"])
