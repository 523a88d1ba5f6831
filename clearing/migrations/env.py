"""How Alembic reaches the database: by the connection that `clearing.schema` hands over."""

from __future__ import annotations

from alembic import context

from clearing.tables import all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
