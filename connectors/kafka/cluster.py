"""Publishing to Kafka and asking what is there, over one producer that is made anew when the cluster was away.

The driver's clients ask for the metadata of all topics, never of one by name: a broker with auto.create.topics.enable
makes the topic that it is asked for by name.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner

from connectors.contract import Confirmed, ConnectorError, Failure, Outgoing
from connectors.driver_calls import look_at, outcome_of
from connectors.kafka.faults import of_publish, unavailable
from connectors.kafka.forms import MAX_REQUEST_BYTES, headers_of, id_of, is_name
from connectors.kafka.settings import Reach

_FRESH_S = 1.0
"""How long an answer of the cluster counts as a sign of life."""
_CLOSE_TIMEOUT_S = 5.0
_ENDS_S = 1.0
_HARMLESS = (Failure.NOT_FOUND, Failure.REFUSED_BY_WALL, Failure.OUT_OF_RESOURCES)


class Cluster:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._producer: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[AIOKafkaProducer] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._on_their_way: set[asyncio.Future[Any]] = set()
        self._partitioner = DefaultPartitioner()
        self._topics: frozenset[str] = frozenset()
        self._heard_at: float | None = None
        self._open = False

    def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait({self._starting})
        if self._producer is not None:
            self._drop(self._producer)
        if self._closing:
            await asyncio.wait(set(self._closing), timeout=_CLOSE_TIMEOUT_S)

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        """Nothing is given to the driver before the leader of the partition answers: until then nothing was sent."""
        if not is_name(message.topic):
            raise ConnectorError(Failure.NOT_FOUND)
        headers = headers_of(message)
        key = None if message.key is None else message.key.encode()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        producer = await self._started(timeout_s)
        try:
            partition = await outcome_of(self._partition(producer, message.topic, key), deadline - loop.time())
            # Cancelled while it waits for room in the driver's buffer, it was not given to it.
            sent = await outcome_of(
                producer.send(message.topic, message.body, key=key, partition=partition, headers=headers),
                deadline - loop.time(),
            )
        except ConnectorError as e:
            if e.failure is Failure.UNAVAILABLE:
                self._drop(producer)
            raise
        except Exception as e:
            error = of_publish(e)
            if error.failure in _HARMLESS:
                raise error from e
            self._drop(producer)
            raise unavailable() from e
        try:
            self._on_their_way.add(sent)
            sent.add_done_callback(self._on_their_way.discard)
            record = await outcome_of(sent, deadline - loop.time())
        except TimeoutError as e:
            self.in_background(self._look_at(producer))
            raise of_publish(e) from e
        except Exception as e:
            error = of_publish(e)
            if error.failure not in _HARMLESS:
                self._drop(producer)
            raise error from e
        return Confirmed(message_id=id_of(record.topic, record.partition, record.offset))

    async def topics(self) -> frozenset[str]:
        """Those that this credential may see. Raises UNAVAILABLE."""
        producer = await self._started(self._reach.timeout_s)
        try:
            metadata = await outcome_of(producer.client.fetch_all_metadata(), self._reach.timeout_s)
        except Exception as e:
            self._drop(producer)
            raise unavailable() from e
        self._heard_at = asyncio.get_running_loop().time()
        self._topics = frozenset(name for name in metadata.topics() if is_name(name))
        return self._topics

    async def heard(self) -> None:
        """Raises UNAVAILABLE. What the cluster said within the last second it is not asked again."""
        if self._heard_at is None or asyncio.get_running_loop().time() - self._heard_at > _FRESH_S:
            await self.topics()

    async def require(self, topic: str) -> None:
        """Raises UNAVAILABLE or NOT_FOUND."""
        await self.heard()
        if topic not in self._topics and topic not in await self.topics():
            raise ConnectorError(Failure.NOT_FOUND)

    async def _partition(self, producer: AIOKafkaProducer, topic: str, key: bytes | None) -> int:
        client = producer.client
        if client.cluster.partitions_for_topic(topic) is None:
            if not await client.force_metadata_update():
                raise unavailable()
            if client.cluster.partitions_for_topic(topic) is None:
                raise ConnectorError(Failure.NOT_FOUND)
        partitions = sorted(client.cluster.partitions_for_topic(topic))
        available = sorted(client.cluster.available_partitions_for_topic(topic))
        partition = int(self._partitioner(key, partitions, available))
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader == -1 or not await client.ready(leader):
            raise unavailable()
        return partition

    async def _started(self, timeout_s: float) -> AIOKafkaProducer:
        if not self._open:
            raise unavailable()
        if self._producer is not None:
            return self._producer
        if self._starting is None:
            # Its own task: everybody waits for the same attempt, and nobody who stops waiting ends it.
            self._starting = asyncio.create_task(self._start())
        starting = self._starting
        await asyncio.wait({starting}, timeout=timeout_s)
        if not starting.done() or starting.cancelled() or not self._open:
            raise unavailable()
        try:
            return starting.result()
        except Exception as e:
            raise unavailable() from e

    async def _start(self) -> AIOKafkaProducer:
        producer: AIOKafkaProducer | None = None
        try:
            producer = AIOKafkaProducer(
                acks="all",
                enable_idempotence=self._reach.idempotent,
                max_request_size=MAX_REQUEST_BYTES,
                **self._reach.client(),
            )
            await outcome_of(producer.start(), self._reach.timeout_s)
            self._producer, producer = producer, None
            return self._producer
        finally:
            self._starting = None
            if producer is not None:
                self.in_background(_abandoned(producer))

    async def _look_at(self, producer: AIOKafkaProducer) -> None:
        """A driver whose cluster is away goes on trying: what nobody knows the outcome of must not come about hours
        later. One whose cluster is merely slow is left to those who still wait."""
        try:
            await outcome_of(producer.client.fetch_all_metadata(), self._reach.timeout_s)
        except Exception:
            self._drop(producer)

    def _drop(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            self._heard_at = None
            # Their callers need not wait for an answer that cannot come any more.
            for sent in tuple(self._on_their_way):
                sent.cancel()
            self.in_background(_abandoned(producer))

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Good-byes, which `close` waits for, but not longer than for a cluster that is there."""
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        task.add_done_callback(look_at)


async def _abandoned(producer: AIOKafkaProducer) -> None:
    """Not `stop`, which flushes first, and would wait and try again for as long as the cluster is away."""
    producer._closed = True
    closing = asyncio.ensure_future(producer._sender.close())
    closing.add_done_callback(look_at)
    # Its first step: from here on nothing new is sent. What is on its way ends with its connection.
    await asyncio.sleep(0)
    await producer.client.close()
    await asyncio.wait({closing}, timeout=_ENDS_S)
    # What still waits, waits for metadata, which nobody fetches any more.
    closing.cancel()
    await asyncio.wait({closing})
    await producer.client.close()
