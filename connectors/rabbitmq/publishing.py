"""Publishing on channels with confirms, one message on a channel at a time: every answer belongs to one message."""

import asyncio
from datetime import UTC, datetime

from aio_pika.abc import AbstractChannel

from connectors.contract import Confirmed, ConnectorError, Failure, Outgoing
from connectors.driver_calls import outcome_of
from connectors.rabbitmq.faults import of_publish, unavailable
from connectors.rabbitmq.forms import is_name, written
from connectors.rabbitmq.link import Link

_LEAST_S = 0.001
"""What is left of the time when the channel is there: below it, nothing would be sent, and nobody could say so."""


class Publisher:
    """At most `size` messages on their way at once; others wait for their turn."""

    def __init__(self, link: Link, *, exchange: str, size: int) -> None:
        self._link = link
        self._exchange = exchange
        self._turns = asyncio.Semaphore(size)
        self._idle: list[AbstractChannel] = []

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        """`mandatory`: what no queue takes comes back, and is NOT_FOUND."""
        if not is_name(message.topic):
            raise ConnectorError(Failure.NOT_FOUND)
        form = written(message, datetime.now(UTC))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await self._turns.acquire()
        except TimeoutError as e:
            raise unavailable() from e
        try:
            channel = await self._channel(deadline - loop.time())
            settled = False
            try:
                exchange = await channel.get_exchange(self._exchange, ensure=False)
                publishing = exchange.publish(form, message.topic, mandatory=True)
                await outcome_of(publishing, max(deadline - loop.time(), _LEAST_S))
                settled = True
            except Exception as e:
                error = of_publish(e, fans_out=bool(self._exchange))
                settled = error.failure in (Failure.NOT_FOUND, Failure.OUT_OF_RESOURCES)
                raise error from e
            finally:
                self._put_back(channel, settled=settled)
        finally:
            self._turns.release()
        return Confirmed(message_id=message.message_id)

    async def _channel(self, timeout_s: float) -> AbstractChannel:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._link.unblocked(timeout_s)
        while self._idle:
            channel = self._idle.pop()
            if not channel.is_closed:
                return channel
        return await self._link.channel(confirms=True, timeout_s=deadline - loop.time())

    def _put_back(self, channel: AbstractChannel, *, settled: bool) -> None:
        if channel.is_closed:
            return
        if settled:
            self._idle.append(channel)
        else:
            # The answer to the last message may still come, and would be taken for that of the next one.
            self._link.discard(channel)
