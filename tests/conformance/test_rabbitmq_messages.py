"""RabbitMQ passes the suite of message connectors with quorum queues, which count deliveries, and classic ones."""

import asyncio
import itertools
from collections.abc import Iterator

import aio_pika
import aiormq.exceptions
import pytest

from connectors.conformance.message_harness import Abilities
from connectors.conformance.messages import MessageConformance
from connectors.contract import ConnectorConfig
from connectors.rabbitmq import connector
from tests.broker_servers import RabbitServer, rabbit_server
from tests.servers import free_port

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[RabbitServer]:
    with rabbit_server() as running:
        yield running


class RabbitHarness:
    factory = connector
    unknown_topic = "nobody.declared.this"

    def __init__(self, server: RabbitServer, queue_type: str) -> None:
        self.server = server
        self.queue_type = queue_type
        self.can = Abilities(
            brief_s=1.0, again_s=5.0, counts=queue_type == "quorum", orders=True, keys=False, lists=False, roams=False
        )

    def config(self) -> ConnectorConfig:
        return ConnectorConfig(name="rabbit", secrets={"url": self.server.url}, timeout_s=5.0)

    def config_of_nothing(self) -> ConnectorConfig:
        url = f"amqp://agent:agent@127.0.0.1:{free_port()}/"
        return ConnectorConfig(name="rabbit", secrets={"url": lambda: url}, timeout_s=5.0)

    async def make_topic(self) -> str:
        name = f"orders.{self.queue_type}.{next(_numbers)}"
        connection = await aio_pika.connect(self.server.url("root_of_tests"))
        async with connection, connection.channel() as channel:
            await channel.declare_queue(name, durable=True, arguments={"x-queue-type": self.queue_type})
        return name

    async def has_topic(self, topic: str) -> bool:
        connection = await aio_pika.connect(self.server.url("root_of_tests"))
        async with connection:
            channel = await connection.channel()
            try:
                await channel.declare_queue(topic, passive=True)
            except aiormq.exceptions.ChannelNotFoundEntity:
                return False
            return True

    async def stop(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)


class TestRabbitWithQuorumQueues(MessageConformance):
    @pytest.fixture
    def harness(self, server: RabbitServer) -> RabbitHarness:
        return RabbitHarness(server, "quorum")


class TestRabbitWithClassicQueues(MessageConformance):
    @pytest.fixture
    def harness(self, server: RabbitServer) -> RabbitHarness:
        return RabbitHarness(server, "classic")
