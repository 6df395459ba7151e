"""Each secret has a place of its own in the status lists of its tenant.

Revision ID: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    # Secrets from before have none: introspection names no list for them, and a rotation gives them a place.
    op.add_column("secret", sa.Column("status_index", sa.Integer))
    op.create_index("uq_secret_status_index", "secret", ["tenant_id", "status_index"], unique=True)
