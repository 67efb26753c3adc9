"""The guard for SQLite: `guard` inspects and rewrites, nothing else is public."""

from app.sql.sqlite.gate import guard

__all__ = ["guard"]
