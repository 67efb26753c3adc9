"""Queues in the memory of this process behind the connector contract: bounded, without a task of their own."""

import asyncio
import contextlib
import re
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

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
    Severity,
)
from connectors.memory.topic import Full, Held, Topic

_HANDLE = re.compile(r"(\w{16})\.([1-9]\d{0,17})\.([1-9]\d{0,9})", re.ASCII)
_MAX_BODY_BYTES = 1024 * 1024
_DEFAULT_MAX_MESSAGES = 10_000
_DEFAULT_DEDUP_WINDOW_S = 300.0


class MemoryConnector:
    """Options: `topics`: their names; `max_messages` of one topic; `dedup_window_s`. `now_s` is a clock that only goes
    forward; `today` gives the time of publishing."""

    family = Family.MESSAGES
    deduplicates = True
    max_body_bytes = _MAX_BODY_BYTES

    def __init__(
        self,
        config: ConnectorConfig,
        *,
        now_s: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now_s = now_s
        self._today = today
        self._topics = {
            name: Topic(
                max_messages=config.options.get("max_messages", _DEFAULT_MAX_MESSAGES),
                dedup_window_s=config.options.get("dedup_window_s", _DEFAULT_DEDUP_WINDOW_S),
            )
            for name in config.options["topics"]
        }
        # Handles of another topic, connector or process must not meet messages of this one.
        self._marks = {name: secrets.token_hex(8) for name in self._topics}
        self._waiting: dict[str, set[asyncio.Event]] = {name: set() for name in self._topics}
        self._open = False

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        for name in self._waiting:
            self._wake(name)

    async def publish(self, message: Outgoing, *, timeout_s: float) -> Confirmed:
        topic = self._topic(message.topic)
        if len(message.body) > _MAX_BODY_BYTES:
            raise ConnectorError(Failure.OUT_OF_RESOURCES)
        try:
            number, duplicate = topic.put(message, self._now_s(), self._today().isoformat().replace("+00:00", "Z"))
        except Full as e:
            raise ConnectorError(Failure.OUT_OF_RESOURCES, retryable=True, retry_after_s=5) from e
        self._wake(message.topic)
        return Confirmed(message_id=str(number), duplicate=duplicate)

    async def receive(self, topic: str, *, limit: int, visibility_s: float, wait_s: float) -> tuple[Incoming, ...]:
        deadline_s = self._now_s() + wait_s
        while True:
            queue = self._topic(topic)
            taken = queue.take(limit, visibility_s, self._now_s())
            left_s = deadline_s - self._now_s()
            if taken or left_s <= 0:
                # Nothing is awaited from here on: a cancelled call has taken nothing.
                return tuple(self._incoming(topic, held) for held in taken)
            due_s = queue.next_change_s()
            await self._changed(topic, left_s if due_s is None else min(left_s, due_s - self._now_s()))

    async def ack(self, topic: str, handles: Sequence[str], *, timeout_s: float) -> tuple[Acked, ...]:
        queue = self._topic(topic)
        answers = []
        for handle in handles:
            parsed = self._parsed(handle, topic)
            answers.append(Acked.GONE if parsed is None else queue.ack(*parsed, self._now_s()))
        return tuple(answers)

    async def release(self, topic: str, handles: Sequence[str]) -> None:
        queue = self._topics.get(topic)
        if queue is None or not self._open:
            return
        for handle in handles:
            parsed = self._parsed(handle, topic)
            if parsed is not None and queue.release(*parsed, self._now_s()):
                self._wake(topic)

    async def topics(self) -> tuple[str, ...] | None:
        return tuple(self._topics)

    async def probe(self) -> tuple[Finding, ...]:
        if not self._open:
            return ()
        return (
            Finding(code="reachable", severity=Severity.OK, text="messages are held in this process"),
            Finding(
                code="messages_in_memory",
                severity=Severity.WARNING,
                text="messages are lost when the process ends: for more than a trial take a broker",
            ),
        )

    def _topic(self, name: str) -> Topic:
        if not self._open:
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5)
        if (found := self._topics.get(name)) is None:
            raise ConnectorError(Failure.NOT_FOUND)
        return found

    def _incoming(self, topic: str, held: Held) -> Incoming:
        message = held.message
        return Incoming(
            handle=f"{self._marks[topic]}.{held.number}.{held.deliveries}",
            message_id=str(held.number),
            body=message.body,
            content_type=message.content_type,
            headers=dict(message.headers),
            key=message.key,
            published_at=held.published_at,
            deliveries=held.deliveries,
        )

    def _parsed(self, handle: str, topic: str) -> tuple[int, int] | None:
        found = _HANDLE.fullmatch(handle)
        return (int(found[2]), int(found[3])) if found is not None and found[1] == self._marks[topic] else None

    async def _changed(self, topic: str, within_s: float) -> None:
        """Until a message may be there for the taking, or the time is over."""
        event = asyncio.Event()
        self._waiting[topic].add(event)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(within_s, 0)):
                    await event.wait()
        finally:
            self._waiting[topic].discard(event)

    def _wake(self, topic: str) -> None:
        for event in self._waiting[topic]:
            event.set()
