"""Files below one folder. Option: `root`."""

from connectors.contract import ConnectorConfig, Family
from connectors.filesystem.connector import FilesystemConnector

__all__ = ["FilesystemConnector", "connector"]


class _Factory:
    kind = "filesystem"
    family = Family.OBJECTS

    def __call__(self, config: ConnectorConfig) -> FilesystemConnector:
        return FilesystemConnector(config)


connector = _Factory()
