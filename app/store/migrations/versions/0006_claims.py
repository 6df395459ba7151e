"""Claim links, and where the consumers of a tenant log in.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "claim_link",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("key_id", Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger),
        sa.Column("replaced_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_claim_link"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_claim_link_tenant_id"),
        sa.ForeignKeyConstraint(["key_id"], ["key.id"], name="fk_claim_link_key_id"),
    )
    op.create_index("ix_claim_link_key_id", "claim_link", ["key_id"])
    op.create_table(
        "login_provider",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("issuer", Text, nullable=False),
        sa.Column("client_id", Text, nullable=False),
        sa.Column("client_authentication", Text, nullable=False),
        sa.Column("claim", Text),
        sa.Column("attribute", Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login_provider"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_login_provider_tenant_id"),
        sa.UniqueConstraint("tenant_id", name="uq_login_provider_tenant_id"),
    )
