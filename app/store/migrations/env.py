"""Runs migrations on the connection that :mod:`app.store.upgrading` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # Alembic would otherwise leave transactions out on SQLite, whose driver once could not do them.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
