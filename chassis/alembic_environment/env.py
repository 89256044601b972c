"""Run the revisions on the connection that `chassis.migrate` opened, and on which it holds the lock."""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes["metadata"],
    # Each revision commits with its own version row: a failure leaves whole revisions behind it.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
