"""The guard for PostgreSQL, on PostgreSQL's own grammar (libpg_query)."""

from app.sql.postgres.gate import guard

__all__ = ["guard"]
