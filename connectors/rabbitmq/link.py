"""One connection to RabbitMQ that is made when it is needed and made anew when it was lost.

Not aio-pika's robust connection: that one reopens channels behind our back, and whatever was unacked or unconfirmed on
the old one would seem to be still there.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Coroutine
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection

from connectors.contract import ConnectorError, Failure, SecretSource
from connectors.driver_calls import outcome_of
from connectors.rabbitmq.faults import unavailable

_CLOSE_TIMEOUT_S = 5.0
_HEARTBEAT_S = 20
"""A broker that is silent for three of these is gone, also where no packet says so."""


class Link:
    """`url` is read for every connection. `timeout_s` bounds one attempt to connect."""

    def __init__(self, url: SecretSource, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._connecting: asyncio.Task[AbstractConnection] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._open = False

    def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait({self._connecting})
        if self._connection is not None:
            await _closed(self._connection.close())
            self._connection = None
        if self._closing:
            await asyncio.wait(set(self._closing))

    async def channel(self, *, confirms: bool, timeout_s: float) -> AbstractChannel:
        """A new channel. Raises UNAVAILABLE: nothing was sent on it."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        connection = await self._connected(timeout_s)
        channel = connection.channel(publisher_confirms=confirms, on_return_raises=confirms)
        try:
            await outcome_of(channel.initialize(), deadline - loop.time())
        except Exception as e:
            raise unavailable() from e
        return channel

    async def unblocked(self, timeout_s: float) -> None:
        """Waits while the broker holds publishers back. Raises OUT_OF_RESOURCES when it still does."""
        connection = self._connection
        if connection is None or connection.transport is None or not connection.connected.is_set():
            return
        try:
            async with asyncio.timeout(timeout_s):
                await connection.transport.ready()
        except TimeoutError as e:
            raise ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True) from e

    def discard(self, channel: AbstractChannel) -> None:
        """Closes it in the background; the broker takes back what is unacked on it."""
        self._in_background(_closed(channel.close()))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _connected(self, timeout_s: float) -> AbstractConnection:
        if not self._open:
            raise unavailable()
        if self._connection is not None:
            if self._connection.connected.is_set():
                return self._connection
            self._in_background(_closed(self._connection.close()))
            self._connection = None
        if self._connecting is None:
            # Its own task: everybody waits for the same attempt, and nobody who stops waiting ends it.
            self._connecting = asyncio.create_task(self._connect())
        connecting = self._connecting
        await asyncio.wait({connecting}, timeout=timeout_s)
        if not connecting.done() or connecting.cancelled() or not self._open:
            raise unavailable()
        try:
            return connecting.result()
        except Exception as e:
            raise unavailable() from e

    async def _connect(self) -> AbstractConnection:
        try:
            connecting = aio_pika.connect(self._url(), timeout=self._timeout_s, heartbeat=_HEARTBEAT_S)
            self._connection = await outcome_of(connecting, self._timeout_s)
            return self._connection
        finally:
            self._connecting = None


async def _closed(closing: Awaitable[None]) -> None:
    # A broker that is away, or hangs, does not say good-bye; what it held for us it takes back all the same.
    with contextlib.suppress(Exception):
        await outcome_of(closing, _CLOSE_TIMEOUT_S)
