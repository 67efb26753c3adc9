"""The one boto3 client of a connection, used by threads: built when it is needed, and anew when its credentials were
refused and others are there. botocore repeats nothing: a message whose confirm was lost must not be sent twice."""

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from botocore.config import Config

from connectors.boto_clients import client_of
from connectors.contract import ConnectorConfig
from connectors.sqs.faults import no_queue, refuses_credentials

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

T = TypeVar("T")

_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 15.0
"""Above the longest poll."""


class Client:
    """Every method blocks: call it on a thread. Raises what boto3 raises."""

    def __init__(self, config: ConnectorConfig, connections: int) -> None:
        self._region: str = config.options["region"]
        self._endpoint_url: str | None = config.options.get("endpoint_url")
        self._secrets = config.secrets
        self._connections = connections
        self._building = threading.Lock()
        self._client: SQSClient | None = None
        self._known: Mapping[str, str] = {}
        self._urls: dict[str, str] = {}

    def call(self, operation: "Callable[[SQSClient], T]") -> T:
        client = self._current()
        try:
            return operation(client)
        except Exception as e:
            # SQS that refuses the credentials has done nothing.
            if not refuses_credentials(e) or (renewed := self._renewed(client)) is None:
                raise
            return operation(renewed)

    def url(self, queue: str) -> str:
        """Asked for once. Queues are never made on the way."""
        known = self._urls.get(queue)
        if known is None:
            known = self._urls[queue] = self.call(lambda client: client.get_queue_url(QueueName=queue)["QueueUrl"])
        return known

    def on_queue(self, queue: str, operation: "Callable[[SQSClient, str], T]") -> T:
        """With the queue's URL. A queue that is gone is looked for again the next time."""
        url = self.url(queue)
        try:
            return self.call(lambda client: operation(client, url))
        except Exception as e:
            if no_queue(e):
                self._urls.pop(queue, None)
            raise

    def close(self) -> None:
        with self._building:
            if self._client is not None:
                self._client.close()
            self._client = None

    def _current(self) -> "SQSClient":
        with self._building:
            if self._client is None:
                self._client = self._built(self._read())
            return self._client

    def _renewed(self, refused: "SQSClient") -> "SQSClient | None":
        """None: there are no other credentials than those that were refused."""
        with self._building:
            if self._client is refused:
                secrets = self._read()
                if secrets == self._known:
                    return None
                self._client = self._built(secrets)
            return self._client

    def _read(self) -> Mapping[str, str]:
        return {name: read() for name, read in self._secrets.items()}

    def _built(self, secrets: Mapping[str, str]) -> "SQSClient":
        self._known = secrets
        built: SQSClient = client_of(
            "sqs",
            secrets,
            region=self._region,
            endpoint_url=self._endpoint_url,
            config=Config(
                connect_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
                max_pool_connections=self._connections,
                retries={"total_max_attempts": 1},
                tcp_keepalive=True,
                user_agent_extra="douane",
            ),
        )
        return built
