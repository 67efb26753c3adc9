"""Tasks that live beside the requests."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog


class Background:
    """Tasks that live as long as the gateway. One that fails is logged; it never takes the gateway with it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error("background_task_failed", exc_info=error)

    async def __aenter__(self) -> "Background":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
