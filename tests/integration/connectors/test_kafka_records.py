"""Records as producers of every kind write them: each is read, or handed out without its body, and keeps none back."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from connectors.conformance.message_harness import taken
from connectors.contract import ConnectorConfig
from connectors.kafka import KafkaConnector, connector
from tests.broker_servers import KafkaServer, kafka_server

_numbers = itertools.count(1)
JOIN_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    with kafka_server() as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server: KafkaServer) -> AsyncIterator[KafkaConnector]:
    options = {"bootstrap": server.bootstrap, "idempotent": False, "session_timeout_s": 6.0}
    made = connector(ConnectorConfig(name="kafka", options=options, timeout_s=5.0))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def produced(server: KafkaServer, compression: str | None) -> AsyncIterator[tuple[str, AIOKafkaProducer]]:
    """A new topic of one partition, and somebody else's producer."""
    topic = f"records.{next(_numbers)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(
        bootstrap_servers=server.bootstrap, enable_idempotence=False, compression_type=compression, linger_ms=50
    )
    await producer.start()
    try:
        yield topic, producer
    finally:
        await producer.stop()


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_are_read_however_they_are_compressed(server: KafkaServer, compression: str) -> None:
    bodies = [b'{"n":%d,"padding":"%s"}' % (number, b"x" * 500) for number in range(3)]
    async with produced(server, compression) as (topic, producer):
        for sent in [await producer.send(topic, body, headers=[("n", b"1")]) for body in bodies]:
            await sent
    async with connected(server) as kafka:
        came = await taken(kafka, topic, 3, within_s=JOIN_S)
        assert [(each.body, each.headers) for each in came] == [(body, {"n": "1"}) for body in bodies]
