"""Run by Alembic with the connection that `db.migrate` holds."""

from alembic import context

from db.tables.base import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
