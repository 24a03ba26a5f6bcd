"""How Alembic runs a migration here: on the connection that `Database.migrate` holds."""

from alembic import context
from sqlmodel import SQLModel

import labeler.store.tables  # noqa: F401  (fills SQLModel.metadata)

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=SQLModel.metadata, render_as_batch=True)
context.run_migrations()
