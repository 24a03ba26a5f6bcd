"""Alembic migrations. `Database.migrate` runs them; there is no alembic.ini."""
