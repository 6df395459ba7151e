"""What an OAuth client is for: to get tokens, or to end all keys of a user.

Revision ID: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "oauth_client", sa.Column("purpose", Text, nullable=False, server_default=sa.text("'tokens'"))
    )
