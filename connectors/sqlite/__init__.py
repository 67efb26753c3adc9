"""SQLite files. Option: `path`."""

from connectors.contract import SqlConnectorConfig
from connectors.sqlite.connector import SqliteConnector

__all__ = ["SqliteConnector", "connector"]


class _Factory:
    kind = "sqlite"

    def __call__(self, config: SqlConnectorConfig) -> SqliteConnector:
        return SqliteConnector(config)


connector = _Factory()
