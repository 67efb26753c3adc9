"""Messages that are out: unacked on one channel of this process, each with the end of its visibility."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue

from connectors.contract import Incoming
from connectors.rabbitmq.forms import read


@dataclass(frozen=True, slots=True)
class _Lease:
    tag: int
    timer: asyncio.TimerHandle


class Held:
    """What one channel holds. When it closes, the broker takes all of it back, and every handle is void."""

    def __init__(self, channel: AbstractChannel, queue: AbstractQueue, expired: Callable[["Held", int], None]) -> None:
        self.channel = channel
        self.queue = queue
        self._expired = expired
        self._leases: dict[str, _Lease] = {}

    def __len__(self) -> int:
        return len(self._leases)

    def add(self, message: AbstractIncomingMessage, visibility_s: float) -> Incoming:
        assert message.delivery_tag is not None
        handle = secrets.token_urlsafe(18)
        timer = asyncio.get_running_loop().call_later(visibility_s, self._expire, handle)
        self._leases[handle] = _Lease(message.delivery_tag, timer)
        return read(message, handle)

    def take(self, handle: str) -> int | None:
        """The delivery tag, for whoever settles it now; None: it is not out."""
        lease = self._leases.pop(handle, None)
        if lease is None:
            return None
        lease.timer.cancel()
        return lease.tag

    def forget(self) -> None:
        for handle in tuple(self._leases):
            self.take(handle)

    def _expire(self, handle: str) -> None:
        tag = self.take(handle)
        if tag is not None:
            self._expired(self, tag)
