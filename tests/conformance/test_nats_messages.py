"""The NATS connector passes the suite of message connectors, against a server with JetStream."""

import asyncio
from collections.abc import Iterator

import nats
import pytest
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import NotFoundError

from connectors.conformance import MessageConformance
from connectors.conformance.message_harness import Abilities
from connectors.contract import ConnectorConfig
from connectors.nats import connector
from tests.message_servers import NatsServer, nats_server
from tests.servers import free_port

_STREAM = "ORDERS"


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    with nats_server() as running:
        yield running


class NatsHarness:
    factory = connector
    can = Abilities(brief_s=0.5, counts=True, orders=True)
    unknown_topic = "orders.unknown"

    def __init__(self, server: NatsServer) -> None:
        self.server = server

    def config(self) -> ConnectorConfig:
        return ConnectorConfig(name="queue", options={"url": self.server.url, "stream": _STREAM})

    def config_of_nothing(self) -> ConnectorConfig:
        return ConnectorConfig(
            name="queue", options={"url": f"nats://127.0.0.1:{free_port()}", "stream": _STREAM}, timeout_s=3.0
        )

    async def make_topic(self) -> str:
        async with await nats.connect(self.server.url) as client:
            js = client.jetstream()
            try:
                config = (await js.stream_info(_STREAM)).config
            except NotFoundError:
                config = StreamConfig(name=_STREAM, subjects=["orders.first"], storage=StorageType.FILE)
                await js.add_stream(config)
            topic = f"orders.t{len(config.subjects or ())}"
            config.subjects = [*(config.subjects or ()), topic]
            await js.update_stream(config)
        return topic

    async def has_topic(self, topic: str) -> bool:
        async with await nats.connect(self.server.url) as client:
            info = await client.jetstream().stream_info(_STREAM)
            return topic in (info.config.subjects or ())

    async def stop(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)


class TestNats(MessageConformance):
    @pytest.fixture
    async def harness(self, server: NatsServer) -> NatsHarness:
        harness = NatsHarness(server)
        await harness.make_topic()
        return harness
