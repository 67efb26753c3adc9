"""Messages in the memory of this process: the embedded default, for trials and tests."""

from connectors.contract import ConnectorConfig, Family
from connectors.memory.connector import MemoryConnector

__all__ = ["MemoryConnector", "connector"]


class _Factory:
    kind = "memory"
    family = Family.MESSAGES

    def __call__(self, config: ConnectorConfig) -> MemoryConnector:
        return MemoryConnector(config)


connector = _Factory()
