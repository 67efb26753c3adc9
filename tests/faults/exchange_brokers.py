"""Real brokers with the topics of an exchange site: what is in them, put and counted past the gateway."""

import asyncio
import signal
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import aio_pika
import boto3
import nats
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from exchange_site import CALL_TIMEOUT_S, TOPICS, secret_file
from nats.js.api import StorageType, StreamConfig

from tests.broker_servers import KafkaServer, RabbitServer, kafka_server, rabbit_server
from tests.message_servers import MotoServer, NatsServer, moto_server, nats_server

_REGION = "us-east-1"
_STREAM = "EXCHANGE"


class Broker(Protocol):
    """`keeps`: what it has survives a restart. `counts`: it tells how often a message was handed out."""

    keeps: bool

    def section(self, folder: Path) -> Mapping[str, Any]:
        """Of douane.yaml; its secrets go into files of that folder."""

    def make_topics(self) -> None: ...

    def put(self, topic: str, body: bytes, content_type: str = "application/json") -> None: ...

    def count(self, topic: str) -> int:
        """How many messages it has there that nobody acked, where it can tell; else how many ever came."""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None: ...

    def start(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Nats:
    keeps = True

    def __init__(self, server: NatsServer) -> None:
        self._server = server

    def section(self, folder: Path) -> Mapping[str, Any]:
        return {"kind": "nats", "url": self._server.url, "stream": _STREAM, "timeout_s": CALL_TIMEOUT_S}

    def make_topics(self) -> None:
        async def making() -> None:
            async with await nats.connect(self._server.url) as client:
                config = StreamConfig(name=_STREAM, subjects=list(TOPICS), storage=StorageType.FILE)
                await client.jetstream().add_stream(config)

        asyncio.run(making())

    def put(self, topic: str, body: bytes, content_type: str = "application/json") -> None:
        async def putting() -> None:
            async with await nats.connect(self._server.url) as client:
                await client.jetstream().publish(topic, body, headers={"Content-Type": content_type})

        asyncio.run(putting())

    def count(self, topic: str) -> int:
        async def counting() -> int:
            async with await nats.connect(self._server.url) as client:
                info = await client.jetstream().stream_info(_STREAM, subjects_filter=topic)
                return int((info.state.subjects or {}).get(topic, 0))

        return asyncio.run(counting())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._server.stop(how)

    def start(self) -> None:
        self._server.start()

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()


class Rabbit:
    keeps = True

    def __init__(self, server: RabbitServer) -> None:
        self._server = server

    def section(self, folder: Path) -> Mapping[str, Any]:
        url = secret_file(folder, "rabbit.url", self._server.url())
        return {"kind": "rabbitmq", "url": url, "timeout_s": CALL_TIMEOUT_S}

    def make_topics(self) -> None:
        async def making(channel: aio_pika.abc.AbstractChannel) -> None:
            for topic in TOPICS:
                await channel.declare_queue(topic, durable=True, arguments={"x-queue-type": "quorum"})

        self._on_channel(making)

    def put(self, topic: str, body: bytes, content_type: str = "application/json") -> None:
        async def putting(channel: aio_pika.abc.AbstractChannel) -> None:
            message = aio_pika.Message(body, content_type=content_type, delivery_mode=2)
            await channel.default_exchange.publish(message, topic)

        self._on_channel(putting)

    def count(self, topic: str) -> int:
        async def counting(channel: aio_pika.abc.AbstractChannel) -> int:
            queue = await channel.declare_queue(topic, passive=True)
            return queue.declaration_result.message_count or 0

        return int(self._on_channel(counting))

    def _on_channel(self, work: Any) -> Any:
        async def working() -> Any:
            connection = await aio_pika.connect(self._server.url("root_of_tests"))
            async with connection, connection.channel() as channel:
                return await work(channel)

        return asyncio.run(working())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._server.stop(how)

    def start(self) -> None:
        self._server.start()

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()


class Sqs:
    keeps = False

    def __init__(self, server: MotoServer) -> None:
        self._server = server

    def section(self, folder: Path) -> Mapping[str, Any]:
        return {
            "kind": "sqs",
            "region": _REGION,
            "endpoint_url": self._server.url,
            "access_key": secret_file(folder, "sqs.access", "k"),
            "secret_key": secret_file(folder, "sqs.secret", "s"),
            "timeout_s": CALL_TIMEOUT_S,
        }

    def make_topics(self) -> None:
        with closing(self._client()) as sqs:
            for topic in TOPICS:
                sqs.create_queue(QueueName=topic)

    def put(self, topic: str, body: bytes, content_type: str = "application/json") -> None:
        """Only text that XML can carry."""
        with closing(self._client()) as sqs:
            sqs.send_message(
                QueueUrl=sqs.get_queue_url(QueueName=topic)["QueueUrl"],
                MessageBody=body.decode(),
                MessageAttributes={"content-type": {"DataType": "String", "StringValue": content_type}},
            )

    def count(self, topic: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        with closing(self._client()) as sqs:
            url = sqs.get_queue_url(QueueName=topic)["QueueUrl"]
            told = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def _client(self) -> Any:
        return boto3.client(
            "sqs", endpoint_url=self._server.url, region_name=_REGION, aws_access_key_id="k", aws_secret_access_key="s"
        )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._server.stop(how)

    def start(self) -> None:
        self._server.start()

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()


class Kafka:
    keeps = False

    def __init__(self, server: KafkaServer) -> None:
        self._server = server

    def section(self, folder: Path) -> Mapping[str, Any]:
        # Tansu knows no idempotent producers.
        return {
            "kind": "kafka",
            "bootstrap": self._server.bootstrap,
            "idempotent": False,
            "timeout_s": CALL_TIMEOUT_S,
        }

    def make_topics(self) -> None:
        async def making() -> None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._server.bootstrap)
            await admin.start()
            try:
                await admin.create_topics([NewTopic(topic, 1, 1) for topic in TOPICS])
            finally:
                await admin.close()

        asyncio.run(making())

    def put(self, topic: str, body: bytes, content_type: str = "application/json") -> None:
        async def putting() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self._server.bootstrap, enable_idempotence=False)
            await producer.start()
            try:
                await producer.send_and_wait(topic, body, headers=[("content-type", content_type.encode())])
            finally:
                await producer.stop()

        asyncio.run(putting())

    def count(self, topic: str) -> int:
        async def counting() -> int:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._server.bootstrap)
            await consumer.start()
            try:
                partition = TopicPartition(topic, 0)
                return int((await consumer.end_offsets([partition]))[partition])
            finally:
                await consumer.stop()

        return asyncio.run(counting())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._server.stop(how)

    def start(self) -> None:
        self._server.start()

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()


@contextmanager
def running_broker(kind: str) -> Iterator[Broker]:
    """With the topics of the site in it; skips where it cannot be."""
    match kind:
        case "nats":
            with nats_server() as nats_running:
                yield _ready(Nats(nats_running))
        case "rabbitmq":
            with rabbit_server() as rabbit_running:
                yield _ready(Rabbit(rabbit_running))
        case "sqs":
            with moto_server() as moto_running:
                yield _ready(Sqs(moto_running))
        case _:
            with kafka_server() as kafka_running:
                yield _ready(Kafka(kafka_running))


def _ready(broker: Broker) -> Broker:
    broker.make_topics()
    return broker
