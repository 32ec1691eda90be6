"""Where alembic comes in: always on the connection that it is handed."""

from alembic import context

from gatekeeper.store.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
