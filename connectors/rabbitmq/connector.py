"""RabbitMQ behind the connector contract."""

import asyncio
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
from connectors.rabbitmq import foreign_properties
from connectors.rabbitmq.desk import Desk
from connectors.rabbitmq.forms import MAX_BODY_BYTES, is_name
from connectors.rabbitmq.link import Link
from connectors.rabbitmq.probing import REACHABLE, UNREACHABLE, findings_of
from connectors.rabbitmq.publishing import Publisher

_MAX_UNACKED = 1_000


class RabbitConnector:
    """Secret `url`: amqp[s]://user:password@host/vhost. Options: `exchange`, to which topics are routing keys; absent,
    a topic is the name of a queue. `max_unacked`: messages of one queue that are out at a time.

    To receive, a topic is always a queue, classic or quorum; streams are read otherwise. What is out is unacked on a
    channel of this process: a handle is good in this process alone, and when it dies the broker hands the messages out
    again at once. The broker's own consumer_timeout, 30 minutes as it is shipped, ends every longer visibility.
    """

    family = Family.MESSAGES
    deduplicates = False
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, config: ConnectorConfig) -> None:
        if "url" not in config.secrets:
            raise ValueError(f"connection {config.name}: kind rabbitmq needs a url")
        self._url = config.secrets["url"]
        self._timeout_s = config.timeout_s
        self._max_unacked = int(config.options.get("max_unacked", _MAX_UNACKED))
        # Two connections: a broker that holds publishers back must still hear acks.
        self._outward = Link(self._url, timeout_s=config.timeout_s)
        self._inward = Link(self._url, timeout_s=config.timeout_s)
        self._publisher = Publisher(
            self._outward, exchange=str(config.options.get("exchange", "")), size=config.pool_max
        )
        self._desks: dict[str, Desk] = {}
        self._open = False

    async def open(self) -> None:
        silence("aiormq", "aio_pika", "pamqp")
        foreign_properties.accept()
        self._outward.open()
        self._inward.open()
        self._open = True

    async def close(self) -> None:
        self._open = False
        desks = tuple(self._desks.values())
        self._desks.clear()
        await asyncio.gather(*(desk.close() for desk in desks))
        await asyncio.gather(self._outward.close(), self._inward.close())

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        return await self._publisher.publish(message, timeout_s=timeout_s)

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        if not is_name(topic):
            raise ConnectorError(Failure.NOT_FOUND)
        desk = self._desks.get(topic)
        if desk is None:
            for name in [name for name, other in self._desks.items() if other.unused]:
                del self._desks[name]
            desk = Desk(self._inward, topic, max_unacked=self._max_unacked, timeout_s=self._timeout_s)
            if self._open:
                self._desks[topic] = desk
        try:
            return await desk.receive(limit=limit, visibility_s=visibility_s, wait_s=wait_s)
        except ConnectorError as e:
            if e.failure is Failure.NOT_FOUND:
                self._desks.pop(topic, None)
            raise

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        desk = self._desks.get(topic)
        if desk is None:
            return (Acked.GONE,) * len(handles)
        return await desk.ack(handles, timeout_s=timeout_s)

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        desk = self._desks.get(topic)
        if desk is not None:
            await desk.release(handles)

    async def topics(self) -> tuple[str, ...] | None:
        """AMQP lists nothing; the management API would, and is another door with other credentials."""
        return None

    async def probe(self) -> tuple[Finding, ...]:
        findings = tuple(findings_of(self._url()))
        try:
            channel = await self._inward.channel(confirms=False, timeout_s=self._timeout_s)
        except ConnectorError:
            return (UNREACHABLE, *findings)
        self._inward.discard(channel)
        return (REACHABLE, *findings)
