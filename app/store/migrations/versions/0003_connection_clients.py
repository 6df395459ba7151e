"""How a connection calls, and the OAuth clients that may get tokens for it.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("connection", sa.Column("last_call_at", sa.BigInteger))
    op.add_column("connection", sa.Column("usual_cycle", sa.BigInteger))
    op.create_table(
        "oauth_client",
        sa.Column("id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("connection_id", Text, nullable=False),
        sa.Column("name", Text, nullable=False),
        sa.Column("issuer", Text),
        sa.Column("subject", Text),
        sa.Column("audience", Text),
        sa.Column("keys", Json),
        sa.Column("keys_url", Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("removed_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_oauth_client"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_oauth_client_tenant_id"),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name="fk_oauth_client_connection_id"),
    )
    op.create_index("ix_oauth_client_connection_id", "oauth_client", ["connection_id"])
    op.create_table(
        "used_assertion",
        sa.Column("client_id", Text, nullable=False),
        sa.Column("tenant_id", Text, nullable=False),
        sa.Column("jti", Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "jti", name="pk_used_assertion"),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_client.id"], name="fk_used_assertion_client_id"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], name="fk_used_assertion_tenant_id"),
    )
    op.add_column("credential", sa.Column("client_id", Text))
    op.create_index("ix_credential_client_id", "credential", ["client_id"])
