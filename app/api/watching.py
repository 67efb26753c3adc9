"""A request whose client left ends: nobody waits for its statement any more, nor for a human."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

WATCH_AFTER_S = 0.05
SWEEPS_BEFORE_WATCHED = 2
"""Who takes longer than two sweeps is watched for a client that leaves; quicker ones are not worth a task."""


class Watch:
    """Cancels the request's task when its client leaves, so that a statement nobody waits for ends."""

    __slots__ = ("_receive", "_task", "_watcher", "client_left", "sweeps")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self.client_left = False
        self.sweeps = 0

    def start(self) -> None:
        """From now on; once."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        if self._task is not None:
            self._task.cancel()

    def stop(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()


class Watches:
    """Requests under way, looked at together: a timer for each would cost more than most of them take."""

    def __init__(self) -> None:
        self._under_way: set[Watch] = set()
        self._sweeping = False

    def add(self, watch: Watch) -> None:
        self._under_way.add(watch)
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._sweep)

    def remove(self, watch: Watch) -> None:
        self._under_way.discard(watch)
        watch.stop()

    def _sweep(self) -> None:
        for watch in self._under_way:
            watch.sweeps += 1
            if watch.sweeps == SWEEPS_BEFORE_WATCHED:
                watch.start()
        self._sweeping = bool(self._under_way)
        if self._sweeping:
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._sweep)
