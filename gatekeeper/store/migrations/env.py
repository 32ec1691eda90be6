"""Entry point of alembic: always uses the connection that it is given."""

from alembic import context

from gatekeeper.store.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
