"""One queue, as this process receives from it: a channel of its own, on which what is out stays unacked."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from connectors.acked_handles import AckedHandles
from connectors.contract import Acked, ConnectorError, Failure, Incoming
from connectors.driver_calls import look_at, outcome_of
from connectors.rabbitmq.faults import of_call, unavailable
from connectors.rabbitmq.held import Held
from connectors.rabbitmq.link import Link

T = TypeVar("T")

_POLL_S = (0.02, 0.05, 0.1, 0.2)
"""Between two looks into an empty queue; the last one stays. A consumer would hear of a message at once, but also be
sent ones that nobody asked for, and those would be invisible to everybody else."""

_MOST_BYTES = 16 * 1024 * 1024
"""Of bodies that one receive takes, give or take one: they are held in memory, and RabbitMQ lets each be large."""


class Desk:
    """`max_unacked` bounds what is out at a time. `timeout_s` bounds each word with the broker."""

    def __init__(self, link: Link, queue: str, *, max_unacked: int, timeout_s: float) -> None:
        self._link = link
        self._queue = queue
        self._max_unacked = max_unacked
        self._timeout_s = timeout_s
        self._held: Held | None = None
        self._acked = AckedHandles()
        self._getting = asyncio.Lock()
        self._settling = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._declared = False

    @property
    def unused(self) -> bool:
        """Nobody knows whether there is such a queue, and nobody waits to hear."""
        return not self._declared and not self._tasks

    async def close(self) -> None:
        """Waits for nothing; what is out comes again when the channel is closed."""
        if self._held is not None:
            self._held.forget()
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def receive(self, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        gone = asyncio.Event()
        receiving = self._start(self._receive(limit, visibility_s, wait_s, gone))
        try:
            # Not ended with its caller: a message whose get was given up would stay unacked, and nobody would know it.
            await asyncio.wait({receiving})
        except asyncio.CancelledError:
            gone.set()
            self._start(self._give_back(receiving))
            raise
        if receiving.cancelled():
            raise unavailable()
        return receiving.result()

    async def ack(self, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        """An ack has no answer in AMQP. A passive declare after it, on the same channel and of the same queue, has one,
        and the queue heard of the ack before."""
        acking = self._start(self._ack(handles, timeout_s))
        await asyncio.wait({acking})
        if acking.cancelled():
            raise unavailable()
        return acking.result()

    async def release(self, handles: Sequence[str]) -> None:
        held = self._held
        tags = [] if held is None else [tag for handle in handles if (tag := held.take(handle)) is not None]
        if held is not None and tags:
            await asyncio.wait({self._start(self._requeue(held, tags))})

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(look_at)
        return task

    async def _receive(
        self, limit: int, visibility_s: float, wait_s: float, gone: asyncio.Event
    ) -> tuple[Incoming, ...]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        turn = 0
        while True:
            came = await self._get(limit, visibility_s, gone)
            left = deadline - loop.time()
            if came or gone.is_set():
                return came
            if left <= 0:
                if self._full():
                    raise ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True)
                return ()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _POLL_S[min(turn, len(_POLL_S) - 1)])):
                    await gone.wait()
            turn += 1

    def _full(self) -> bool:
        return self._held is not None and len(self._held) >= self._max_unacked

    async def _get(self, limit: int, visibility_s: float, gone: asyncio.Event) -> tuple[Incoming, ...]:
        came: list[Incoming] = []
        size = 0
        async with self._getting:
            held = await self._open()
            while len(came) < limit and size < _MOST_BYTES and not gone.is_set() and not self._full():
                try:
                    message = await outcome_of(held.queue.get(fail=False, timeout=None), self._timeout_s)
                except Exception as e:
                    # Whatever was on its way is lost to us: only a closed channel gives it back to the queue.
                    self._drop(held)
                    raise of_call(e) from e
                if message is None:
                    break
                came.append(held.add(message, visibility_s))
                size += len(message.body)
        return tuple(came)

    async def _open(self) -> Held:
        """Declared passively: a queue that is not there is NOT_FOUND, never made."""
        if self._held is not None:
            if not self._held.channel.is_closed:
                return self._held
            self._drop(self._held)
        channel = await self._link.channel(confirms=False, timeout_s=self._timeout_s)
        try:
            queue = await outcome_of(channel.declare_queue(self._queue, passive=True), self._timeout_s)
        except Exception as e:
            self._link.discard(channel)
            raise of_call(e) from e
        self._held = Held(channel, queue, self._expire)
        self._declared = True
        return self._held

    def _drop(self, held: Held) -> None:
        held.forget()
        if self._held is held:
            self._held = None
        self._link.discard(held.channel)

    async def _ack(self, handles: Sequence[str], timeout_s: float) -> tuple[Acked, ...]:
        async with self._settling:
            held = self._held
            out = {} if held is None else {h: tag for h in handles if (tag := held.take(h)) is not None}
            if held is not None and out:
                try:
                    await outcome_of(self._tell(held, tuple(out.values())), timeout_s)
                except Exception as e:
                    # Nobody knows which of them the broker heard of. Those it did not come again.
                    self._drop(held)
                    raise of_call(e) from e
                for handle in out:
                    self._acked.add(handle)
            return tuple(Acked.DONE if handle in self._acked else Acked.GONE for handle in handles)

    async def _tell(self, held: Held, tags: Sequence[int]) -> None:
        channel = await held.channel.get_underlay_channel()
        for tag in tags:
            await channel.basic_ack(tag, wait=False)
        await held.queue.declare()

    def _expire(self, held: Held, tag: int) -> None:
        self._start(self._requeue(held, [tag]))

    async def _requeue(self, held: Held, tags: Sequence[int]) -> None:
        try:
            channel = await held.channel.get_underlay_channel()
            for tag in tags:
                await outcome_of(channel.basic_nack(tag, requeue=True), self._timeout_s)
        except Exception:
            # Its channel is gone or going, and with it the broker puts back what was out on it.
            self._drop(held)

    async def _give_back(self, receiving: "asyncio.Task[tuple[Incoming, ...]]") -> None:
        await asyncio.wait({receiving})
        if not receiving.cancelled() and receiving.exception() is None:
            await self.release([message.handle for message in receiving.result()])
