"""Kafka's protocol, as Tansu speaks it, passes the suite of message connectors."""

import asyncio
import itertools
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors.conformance.message_harness import Abilities
from connectors.conformance.messages import MessageConformance
from connectors.contract import ConnectorConfig
from connectors.kafka import connector
from tests.broker_servers import KafkaServer, kafka_server
from tests.servers import free_port

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with kafka_server() as running:
        yield running


class KafkaHarness:
    factory = connector
    unknown_topic = "nobody.made.this"
    can = Abilities(brief_s=1.0, again_s=25.0, counts=True, orders=True, keeps=False, roams=False)

    def __init__(self, server: KafkaServer) -> None:
        self.server = server

    def config(self) -> ConnectorConfig:
        return self._config(self.server.bootstrap)

    def config_of_nothing(self) -> ConnectorConfig:
        return self._config(f"127.0.0.1:{free_port()}")

    def _config(self, bootstrap: str) -> ConnectorConfig:
        # Tansu knows no idempotent producers, and lets a group wait for half a session.
        options = {"bootstrap": bootstrap, "idempotent": False, "session_timeout_s": 6.0}
        return ConnectorConfig(name="kafka", options=options, timeout_s=5.0)

    async def make_topic(self) -> str:
        name = f"orders.{next(_numbers)}"
        admin = AIOKafkaAdminClient(bootstrap_servers=self.server.bootstrap)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(name, 2, 1)])
        finally:
            await admin.close()
        return name

    async def has_topic(self, topic: str) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.server.bootstrap)
        await admin.start()
        try:
            return topic in await admin.list_topics()
        finally:
            await admin.close()

    async def stop(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)


class TestKafka(MessageConformance):
    @pytest.fixture
    def harness(self, server: KafkaServer) -> KafkaHarness:
        return KafkaHarness(server)
