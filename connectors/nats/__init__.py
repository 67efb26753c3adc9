"""NATS JetStream. Options: `url` (several with commas between), `stream`, `durable` (first part of the names of durable
consumers), `max_deliver`. Secrets: `user` and `password`, or `token`."""

from connectors.contract import ConnectorConfig, Family
from connectors.nats.connector import NatsConnector

__all__ = ["NatsConnector", "connector"]


class _Factory:
    kind = "nats"
    family = Family.MESSAGES

    def __call__(self, config: ConnectorConfig) -> NatsConnector:
        return NatsConnector(config)


connector = _Factory()
