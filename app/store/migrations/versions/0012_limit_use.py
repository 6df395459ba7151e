"""How often limited rights were used is counted where every node counts; see app/store/limit_use.py.

With SQLite the counters are in a file of their own.

Revision ID: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

Text = sa.Text(collation="C")


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.create_table(
        "limit_use",
        sa.Column("consumer_id", Text, nullable=False),
        sa.Column("entitlement_id", Text, nullable=False),
        sa.Column("rate", Text),
        sa.Column("full_at", sa.BigInteger, nullable=False),
        sa.Column("day", sa.BigInteger, nullable=False),
        sa.Column("day_uses", sa.BigInteger, nullable=False),
        sa.Column("month", sa.BigInteger, nullable=False),
        sa.Column("month_uses", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("consumer_id", "entitlement_id", name="pk_limit_use"),
        # No use waits for the disk; a crash of the server empties it.
        prefixes=["UNLOGGED"],
    )
