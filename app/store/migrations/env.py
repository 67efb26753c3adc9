"""Alembic's entry: runs on the connection and inside the transaction that `app.store.database` holds the lock in."""

from alembic import context

from app.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
