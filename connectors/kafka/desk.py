"""One topic, as this process receives from it: a member of the topic's consumer group, and a window on each partition
that the group gave to it.

The member leaves when nobody asked for a minute and nothing is out: the partitions of a process whose agents do not ask
are then given to others. Until it has joined, which takes a cluster seconds, nothing comes.
"""

import asyncio
import re
import secrets
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, RebalanceInProgressError

from connectors.acked_handles import AckedHandles
from connectors.contract import Acked, ConnectorError, Failure, Incoming
from connectors.driver_calls import look_at, outcome_of
from connectors.kafka.cluster import Cluster
from connectors.kafka.faults import of_call, unavailable
from connectors.kafka.forms import read
from connectors.kafka.settings import Reach
from connectors.kafka.window import Window

T = TypeVar("T")

_TURN_S = 0.25
"""The longest that one look for new records takes, so that ended leases are noticed."""
_IDLE_S = 60.0
_AGAIN_S = 0.1
_HEARTBEAT_MS = 1_000
_NEVER_MS = 24 * 3_600_000
"""The driver would leave the group after five minutes without a poll; here `_IDLE_S` decides."""
_MOST_BYTES = 32 * 1_048_576
"""Of bodies that are fetched and not acked, in one partition: packed, a broker's megabyte is many."""


class Desk(ConsumerRebalanceListener):  # type: ignore[misc]
    """`group` is named after the topic: a member that joins for one topic disturbs no other."""

    def __init__(self, reach: Reach, cluster: Cluster, topic: str, *, idle_s: float = _IDLE_S) -> None:
        self._reach = reach
        self._cluster = cluster
        self._topic = topic
        self._idle_s = idle_s
        self._consumer: AIOKafkaConsumer | None = None
        self._joining: asyncio.Task[None] | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._windows: dict[TopicPartition, Window[Any]] = {}
        self._assignments = 0
        self._acked = AckedHandles()
        self._settling = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._turn = 0
        self._receivers = 0
        self._open = True

    @property
    def is_member(self) -> bool:
        return self._consumer is not None

    async def close(self) -> None:
        """The cluster's own `close` waits for the good-bye."""
        self._open = False
        if self._idle is not None:
            self._idle.cancel()
        if self._joining is not None:
            joining = self._joining
            joining.cancel()
            await asyncio.wait({joining})
        self._leave()

    async def receive(self, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        """What a cancelled call had fetched stays in the window, and is the next one's."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        self._receivers += 1
        try:
            while True:
                await self._cluster.require(self._topic)
                left = deadline - loop.time()
                await self._join(left)
                came = self._take(limit, visibility_s)
                if came:
                    return came
                self._fetch(limit)
                if left <= 0:
                    return self._nothing()
                await self._fetched(min(left, _TURN_S))
        except ConnectorError as e:
            if e.failure is Failure.NOT_FOUND:
                self._leave()
            raise
        finally:
            self._receivers -= 1
            self._retire_later()

    async def ack(self, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        """DONE: committed, or marked here behind one that is still out, of which the commit follows with that one's."""
        async with self._settling:
            # Marks come before the commit and stay when it fails: acked again, the handle tries the commit again.
            marked = [any(window.ack(handle) for window in self._windows.values()) for handle in handles]
            if any(marked):
                # The driver itself would wait for a coordinator as long as there is none.
                await self._cluster.heard()
                await self._commit(timeout_s)
            # A partition that was lost meanwhile took its marks with it.
            return tuple(
                Acked.DONE if handle in self._acked or self._marked(handle) else Acked.GONE for handle in handles
            )

    def release(self, handles: Sequence[str]) -> None:
        for handle in handles:
            for window in self._windows.values():
                window.release(handle)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Every rebalance begins so, also for partitions that come back. What is on its way from the driver counts no
        more: its position is set anew."""
        self._assignments += 1

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """A partition that stayed keeps its window and goes on behind it, unless the group's position is not the one
        that was committed here: then somebody else had it in between."""
        for lost in set(self._windows) - assigned:
            del self._windows[lost]
        consumer = self._consumer
        for partition in assigned:
            if consumer is None:
                return
            try:
                committed = await consumer.committed(partition)
            except Exception:
                # Without a window there are no messages and no acks: the next rebalance, or a new member, tries again.
                self._windows.pop(partition, None)
                self._leave()
                return
            kept = self._windows.get(partition)
            ours = kept is not None and committed in (kept.committed, kept.committing)
            if kept is not None and ours and kept.next_offset is not None:
                consumer.seek(partition, kept.next_offset)
            else:
                self._windows[partition] = Window(
                    size=self._reach.max_unacked, committed=committed, most_bytes=_MOST_BYTES
                )

    def _take(self, limit: int, visibility_s: float) -> tuple[Incoming, ...]:
        now = asyncio.get_running_loop().time()
        came: list[Incoming] = []
        # Another partition begins each time, so that a busy one leaves room for the others.
        self._turn += 1
        windows = tuple(self._windows.values())
        turn = self._turn % len(windows) if windows else 0
        for window in windows[turn:] + windows[:turn]:
            if len(came) < limit:
                out = window.take(limit - len(came), now_s=now, visibility_s=visibility_s, name=_handle)
                came += [read(one.record, one.handle, one.deliveries) for one in out]
        return tuple(came)

    def _nothing(self) -> tuple[Incoming, ...]:
        """Raises OUT_OF_RESOURCES where nothing can come until something is acked."""
        if self._full():
            raise ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True)
        return ()

    def _full(self) -> bool:
        return bool(self._windows) and all(window.room <= 0 for window in self._windows.values())

    def _fetch(self, limit: int) -> None:
        """In the background, once at a time: nobody who stops waiting ends it half way."""
        if self._fetching is None and self._consumer is not None and not self._full():
            self._fetching = self._start(self._fetch_into_windows(self._consumer, limit))

    async def _fetch_into_windows(self, consumer: AIOKafkaConsumer, limit: int) -> None:
        try:
            assignments = self._assignments
            partitions = [p for p in consumer.assignment() if p in self._windows and self._windows[p].room > 0]
            if not partitions:
                await asyncio.sleep(_TURN_S)
                return
            wait_ms = int(_TURN_S * 1_000)
            for _ in range(limit):
                # One by one: each may be large, and a window that is full takes no other.
                fetched = await consumer.getmany(*partitions, timeout_ms=wait_ms, max_records=1)
                if assignments != self._assignments or not fetched:
                    return
                for partition, records in fetched.items():
                    for record in records:
                        self._windows[partition].add(record.offset, record, len(record.value or b""))
                partitions = [p for p in partitions if self._windows[p].room > 0]
                if not partitions:
                    return
                wait_ms = 0
        finally:
            if self._fetching is asyncio.current_task():
                self._fetching = None

    async def _fetched(self, timeout_s: float) -> None:
        fetching = self._fetching
        if fetching is None:
            await asyncio.sleep(timeout_s)
            return
        await asyncio.wait({fetching}, timeout=timeout_s)
        if not fetching.done():
            return
        if fetching.cancelled():
            raise unavailable()
        try:
            fetching.result()
        except Exception as e:
            # The driver's member may have ended for good; a new one finds out.
            self._leave()
            raise of_call(e) from e

    async def _join(self, timeout_s: float) -> None:
        if not self._open:
            raise unavailable()
        if self._consumer is not None:
            return
        if self._joining is None:
            self._joining = self._start(self._join_group())
        joining = self._joining
        await asyncio.wait({joining}, timeout=max(timeout_s, 0))
        if joining.done():
            if joining.cancelled():
                raise unavailable()
            try:
                joining.result()
            except Exception as e:
                raise of_call(e) from e

    async def _join_group(self) -> None:
        consumer: AIOKafkaConsumer | None = None
        session_ms, timeout_ms = int(self._reach.session_timeout_s * 1_000), int(self._reach.timeout_s * 1_000)
        try:
            # The answer to a join comes when every other member has joined too, at the end of a session at the latest.
            consumer = AIOKafkaConsumer(
                group_id=f"{self._reach.group}.{self._topic}",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=session_ms,
                heartbeat_interval_ms=_HEARTBEAT_MS,
                max_poll_interval_ms=_NEVER_MS,
                **(self._reach.client() | {"request_timeout_ms": max(session_ms + 5_000, timeout_ms)}),
            )
            await outcome_of(consumer.start(), self._reach.timeout_s)
            self._consumer, consumer = consumer, None
            # By pattern, because a subscription by name asks for metadata by name, and that may make the topic.
            self._consumer.subscribe(pattern=rf"{re.escape(self._topic)}\Z", listener=self)
        finally:
            self._joining = None
            if consumer is not None:
                self._cluster.in_background(consumer.stop())

    async def _commit(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while due := {p: window for p, window in self._windows.items() if window.to_commit is not None}:
            if self._consumer is None:
                raise unavailable()
            for window in due.values():
                window.committing = window.to_commit
            positions = {partition: window.committing for partition, window in due.items()}
            try:
                await outcome_of(self._consumer.commit(positions), deadline - loop.time())
            except (IllegalStateError, CommitFailedError, RebalanceInProgressError) as e:
                # A rebalance is on its way, after which the partition is ours again or its window is gone.
                if loop.time() + _AGAIN_S >= deadline:
                    raise unavailable() from e
                await asyncio.sleep(_AGAIN_S)
                continue
            except Exception as e:
                raise of_call(e) from e
            for window in due.values():
                for handle in window.commit():
                    self._acked.add(handle)

    def _marked(self, handle: str) -> bool:
        return any(window.ack(handle) for window in self._windows.values())

    def _retire_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        if self._open:
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._retire)

    def _retire(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._receivers or self._settling.locked() or any(window.has_out(now) for window in self._windows.values()):
            self._retire_later()
        else:
            self._leave()

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._windows.clear()
        self._assignments += 1
        if self._fetching is not None:
            # It may wait for an assignment that will never come.
            self._fetching.cancel()
            self._fetching = None
        if consumer is not None:
            self._cluster.in_background(consumer.stop())

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(look_at)
        return task


def _handle() -> str:
    return secrets.token_urlsafe(18)
