"""Alembic's entry: migrates over the connection it is handed, each migration in a transaction of its own."""

from alembic import context

from orders.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
