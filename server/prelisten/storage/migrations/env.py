"""Alembic's entry: run the migrations on the connection that `storage.sql.upgrade` hands over."""

from alembic import context

# Batch mode: SQLite can alter a table only by making it anew.
context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
