"""PostgreSQL through asyncpg, read-only. The secret is the DSN."""

from connectors.contract import SqlConnectorConfig
from connectors.postgres.connector import PostgresConnector

__all__ = ["PostgresConnector", "connector"]


class _Factory:
    kind = "postgres"

    def __call__(self, config: SqlConnectorConfig) -> PostgresConnector:
        return PostgresConnector(config)


connector = _Factory()
