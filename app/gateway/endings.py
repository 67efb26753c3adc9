"""Work that must come to its end: after the client left, and while the store is away."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from app.ports import StoreUnavailable

_Result = TypeVar("_Result")

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0

Background = Callable[[Coroutine[Any, Any, None]], None]
"""Runs it beside the requests, for as long as the process lives."""
Sleep = Callable[[float], Awaitable[None]]


async def to_the_end(work: Coroutine[Any, Any, _Result], leave: Callable[[], None] = lambda: None) -> _Result:
    """`work`'s result. A caller that is cancelled meanwhile is so afterwards; `leave` hears of it at once."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            cancelled = True
            leave()
    if cancelled:
        if not task.cancelled():
            # Asked for, so that it is nobody's unhandled exception: there is nobody to tell.
            task.exception()
        raise asyncio.CancelledError
    return task.result()


async def until_stored(work: Callable[[], Awaitable[None]], sleep: Sleep) -> None:
    """Tries again, ever more seldom, until the store takes it."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            await work()
        except StoreUnavailable:
            await sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        else:
            return


async def now_or_later(work: Callable[[], Awaitable[None]], background: Background, sleep: Sleep) -> None:
    """At once if the store is there, else beside the requests as soon as it is."""
    try:
        await work()
    except StoreUnavailable:
        background(until_stored(work, sleep))
