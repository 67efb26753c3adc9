"""Blocking calls of one connector, on a few threads of its own: each bounded in time, none half done without a word."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from connectors.contract import ConnectorError, Failure

T = TypeVar("T")


class Threads:
    """`run` for what may be given up at any time, `step` for what must end first, `finish` for changes, whose outcome
    must be known."""

    def __init__(self, name: str, size: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)
        self._running: set[Future[Any]] = set()

    async def run(self, call: Callable[[], T], *, timeout_s: float, undo: Callable[[T], None] | None = None) -> T:
        """Raises ConnectorError(TIMEOUT), and what `call` raises. A cancelled or late call that did not begin never
        does; what one that runs still gives goes to `undo`, which is quick and raises nothing."""
        submitted, waiting = self._submit(call)
        try:
            await asyncio.wait({waiting}, timeout=timeout_s)
            if waiting.done():
                return waiting.result()
        except asyncio.CancelledError:
            _abandon(submitted, waiting, undo)
            raise
        _abandon(submitted, waiting, undo)
        raise ConnectorError(Failure.TIMEOUT, retryable=True)

    async def finish(self, call: Callable[[], T], *, timeout_s: float) -> T:
        """Outlives a cancellation until the outcome is known, and ends in CancelledError only if `call` never began or
        raised that nothing was changed. Raises TIMEOUT if it never began, OUTCOME_UNKNOWN if it has no end by then."""
        result, cancelled = await self._outlived(call, timeout_s)
        try:
            return result.result()
        except ConnectorError as e:
            if cancelled is not None and e.failure is not Failure.OUTCOME_UNKNOWN:
                raise cancelled from e
            raise

    async def step(self, call: Callable[[], T], *, timeout_s: float) -> T:
        """Like `finish`, of a call that changes nothing yet: a cancellation is raised once it has ended."""
        result, cancelled = await self._outlived(call, timeout_s)
        if cancelled is not None:
            raise cancelled
        return result.result()

    async def _outlived(
        self, call: Callable[[], T], timeout_s: float
    ) -> tuple["asyncio.Future[T]", asyncio.CancelledError | None]:
        submitted, waiting = self._submit(call)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        cancelled: asyncio.CancelledError | None = None
        while not waiting.done():
            try:
                await asyncio.wait({waiting}, timeout=max(0.0, deadline - loop.time()))
            except asyncio.CancelledError as e:
                if submitted.cancel():
                    raise
                cancelled = e
            if not waiting.done() and loop.time() >= deadline:
                began = not submitted.cancel()
                _abandon(submitted, waiting, None)
                raise ConnectorError(Failure.OUTCOME_UNKNOWN if began else Failure.TIMEOUT)
        return waiting, cancelled

    def _submit(self, call: Callable[[], T]) -> tuple["Future[T]", "asyncio.Future[T]"]:
        try:
            submitted = self._executor.submit(call)
        except RuntimeError as closed:
            raise ConnectorError(Failure.UNAVAILABLE) from closed
        self._running.add(submitted)
        submitted.add_done_callback(self._running.discard)
        return submitted, asyncio.wrap_future(submitted)

    def later(self, call: Callable[[], None]) -> None:
        """Nobody waits for it; it raises nothing."""
        try:
            self._executor.submit(call)
        except RuntimeError:
            call()

    async def close(self) -> None:
        """Returns when every call that began has ended."""
        while pending := tuple(self._running):
            await asyncio.wait({asyncio.wrap_future(p) for p in pending})
        self._executor.shutdown()


def _abandon(submitted: "Future[T]", waiting: "asyncio.Future[T]", undo: Callable[[T], None] | None) -> None:
    if submitted.cancel() or undo is None:
        waiting.cancel()
        return

    def late(done: "Future[T]") -> None:
        with contextlib.suppress(Exception):
            undo(done.result())

    submitted.add_done_callback(late)
    waiting.cancel()
