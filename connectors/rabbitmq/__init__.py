"""RabbitMQ through aio-pika: publishing with the broker's confirm, pulling from queues that somebody else declared."""

from connectors.contract import ConnectorConfig, Family
from connectors.rabbitmq.connector import RabbitConnector

__all__ = ["RabbitConnector", "connector"]


class _Factory:
    kind = "rabbitmq"
    family = Family.MESSAGES

    def __call__(self, config: ConnectorConfig) -> RabbitConnector:
        return RabbitConnector(config)


connector = _Factory()
