"""Kafka behind the connector contract."""

from collections.abc import Sequence

from connectors.contract import (
    Acked,
    Confirmed,
    ConnectorConfig,
    ConnectorError,
    Failure,
    Family,
    Finding,
    Incoming,
    Outgoing,
)
from connectors.driver_logs import silence
from connectors.kafka import records
from connectors.kafka.cluster import Cluster
from connectors.kafka.desk import Desk
from connectors.kafka.faults import unavailable
from connectors.kafka.forms import MAX_BODY_BYTES, is_name
from connectors.kafka.probing import REACHABLE, UNREACHABLE, findings_of
from connectors.kafka.settings import reach_of


class KafkaConnector:
    """Options: `bootstrap`; `group`, `security_protocol`, `sasl_mechanism`, `idempotent`, `max_unacked`,
    `session_timeout_s`. Secrets, for SASL: `user` and `password`. A topic's consumer group is `<group>.<topic>`.

    Kafka commits positions. A message that is acked while an older one of its partition is still out is marked in this
    process, and committed when the older ones are: until then it comes again if this process dies, loses the
    partition, or gives the topic up because nobody asked for a minute and nothing was out. A partition of which
    `max_unacked` messages are fetched and uncommitted gives no more. A handle is good in this process alone.

    Without idempotent producers, a publish whose answer was lost may be sent twice by the driver; consumers recognise
    it by its header `message-id`.
    """

    family = Family.MESSAGES
    deduplicates = False
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, config: ConnectorConfig) -> None:
        self._reach = reach_of(config)
        self._cluster = Cluster(self._reach)
        self._desks: dict[str, Desk] = {}
        self._open = False

    async def open(self) -> None:
        silence("aiokafka")
        records.accept()
        self._cluster.open()
        self._open = True

    async def close(self) -> None:
        self._open = False
        desks = tuple(self._desks.values())
        self._desks.clear()
        for desk in desks:
            await desk.close()
        await self._cluster.close()

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        return await self._cluster.publish(message, timeout_s=timeout_s)

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        if not is_name(topic):
            raise ConnectorError(Failure.NOT_FOUND)
        if topic not in self._desks:
            await self._cluster.require(topic)
            if not self._open:
                raise unavailable()
        desk = self._desks.setdefault(topic, Desk(self._reach, self._cluster, topic))
        return await desk.receive(limit=limit, visibility_s=visibility_s, wait_s=wait_s)

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        desk = self._desks.get(topic)
        if desk is None:
            return (Acked.GONE,) * len(handles)
        return await desk.ack(handles, timeout_s=timeout_s)

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        desk = self._desks.get(topic)
        if desk is not None:
            desk.release(handles)

    async def topics(self) -> tuple[str, ...] | None:
        return tuple(sorted(await self._cluster.topics()))

    async def probe(self) -> tuple[Finding, ...]:
        findings = tuple(findings_of(self._reach))
        try:
            await self._cluster.topics()
        except ConnectorError:
            return (UNREACHABLE, *findings)
        return (REACHABLE, *findings)
