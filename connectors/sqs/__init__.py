"""Amazon SQS. Options: `region`, `endpoint_url`, `prefix` (of the names of its queues), `fifo` (they are FIFO queues).
Secrets: `access_key`, `secret_key`, `session_token`; without them boto3 finds what the machine has."""

from connectors.contract import ConnectorConfig, Family
from connectors.sqs.connector import SqsConnector

__all__ = ["SqsConnector", "connector"]


class _Factory:
    kind = "sqs"
    family = Family.MESSAGES

    def __call__(self, config: ConnectorConfig) -> SqsConnector:
        return SqsConnector(config)


connector = _Factory()
