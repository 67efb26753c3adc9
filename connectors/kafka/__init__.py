"""Kafka through aiokafka: publishing with acks of all replicas, pulling over a consumer group with our own leases."""

from connectors.contract import ConnectorConfig, Family
from connectors.kafka.connector import KafkaConnector

__all__ = ["KafkaConnector", "connector"]


class _Factory:
    kind = "kafka"
    family = Family.MESSAGES

    def __call__(self, config: ConnectorConfig) -> KafkaConnector:
        return KafkaConnector(config)


connector = _Factory()
