"""The guard for PostgreSQL, on PostgreSQL's own grammar (libpg_query)."""

from app.sql.postgres.guard import guard

__all__ = ["guard"]
