"""Service users have a sponsor, without whom their keys are dormant where the tenant says so.

Revision ID: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "tenant", sa.Column("sponsor_policy", Text, nullable=False, server_default=sa.text("'suspend'"))
    )
    op.add_column("consumer", sa.Column("sponsor_id", Text))
    op.create_index("ix_consumer_sponsor_id", "consumer", ["sponsor_id"])
    op.add_column("activity", sa.Column("sponsor_id", Text))
