"""Waiting for drivers that cancel their callers when a connection dies: a cancellation is ours alone."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class Lost(ConnectionError):  # noqa: N818 - says what became of the call
    """The driver gave up the call, most likely because its connection died."""


async def outcome_of(call: Awaitable[T], timeout_s: float) -> T:
    """What `call` gives or raises; Lost where the driver cancelled it. Raises TimeoutError after `timeout_s`: the call
    is then cancelled, and whoever made it has to assume that it may have had its effect."""
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.add_done_callback(look_at)
            task.cancel()
    if not task.done():
        raise TimeoutError
    if task.cancelled():
        raise Lost
    return task.result()


def look_at(task: asyncio.Future[Any]) -> None:
    """For work whose error is of use to nobody who still waits: asyncio complains of errors that nobody looked at."""
    if not task.cancelled():
        task.exception()
