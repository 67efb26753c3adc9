"""The SQS connector passes the suite of message connectors, against moto: with standard queues and with FIFO queues."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from connectors.conformance import MessageConformance
from connectors.conformance.message_harness import Abilities
from connectors.contract import ConnectorConfig
from connectors.sqs import connector
from tests.message_servers import MotoServer, moto_server
from tests.servers import free_port

_REGION = "eu-central-1"
_SECRETS = {"access_key": lambda: "key", "secret_key": lambda: "secret"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[MotoServer]:
    with moto_server() as running:
        yield running


class SqsHarness:
    factory = connector
    # moto walks through its queue without a lock: two who receive at one moment can get one message, or a 500.
    can = Abilities(brief_s=1.0, counts=True, orders=False, keeps=False, shares=False)
    unknown_topic = "unknown"
    fifo = False

    def __init__(self, server: MotoServer) -> None:
        self.server = server

    def config(self) -> ConnectorConfig:
        return self._config(self.server.url)

    def config_of_nothing(self) -> ConnectorConfig:
        return self._config(f"http://127.0.0.1:{free_port()}")

    def _config(self, url: str) -> ConnectorConfig:
        options = {"region": _REGION, "endpoint_url": url, "prefix": "shop-", "fifo": self.fifo}
        return ConnectorConfig(name="queue", options=options, secrets=_SECRETS)

    def _sqs(self) -> Any:
        return boto3.client(
            "sqs", endpoint_url=self.server.url, region_name=_REGION, aws_access_key_id="k", aws_secret_access_key="s"
        )

    async def make_topic(self) -> str:
        topic = f"orders-{next(_numbers)}"
        await asyncio.to_thread(self._make, topic)
        return topic

    def _make(self, topic: str) -> None:
        sqs = self._sqs()
        if self.fifo:
            sqs.create_queue(QueueName=f"shop-{topic}.fifo", Attributes={"FifoQueue": "true"})
        else:
            sqs.create_queue(QueueName=f"shop-{topic}")
        sqs.close()

    async def has_topic(self, topic: str) -> bool:
        return any(topic in url for url in await asyncio.to_thread(self._urls))

    def _urls(self) -> list[str]:
        sqs = self._sqs()
        urls: list[str] = sqs.list_queues().get("QueueUrls", [])
        sqs.close()
        return urls

    async def stop(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)


class FifoHarness(SqsHarness):
    can = Abilities(brief_s=1.0, counts=True, orders=True, keeps=False, shares=False)
    fifo = True


class TestStandardQueues(MessageConformance):
    @pytest.fixture
    def harness(self, server: MotoServer) -> SqsHarness:
        return SqsHarness(server)


class TestFifoQueues(MessageConformance):
    @pytest.fixture
    def harness(self, server: MotoServer) -> FifoHarness:
        return FifoHarness(server)
