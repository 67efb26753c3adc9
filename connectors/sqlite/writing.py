"""Writes on one SQLite file, one after the other: the engine knows a single writer, and so do we."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connectors.contract import (
    ConnectorError,
    Failure,
    ResultColumn,
    RowSink,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.delivery import Delivery
from connectors.sqlite.writing_session import WritingSession

_BATCH_ROWS = 200


class Writer:
    """Opens the file with its first write. `close` waits for what still rolls back."""

    def __init__(self, path: str, redact: Callable[[str], str] | None) -> None:
        self._session = WritingSession(path, redact)
        self._thread: ThreadPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._settling: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        async with self._turn:
            thread, self._thread = self._thread, None
            if thread is not None:
                await asyncio.wrap_future(thread.submit(self._session.close))
                thread.shutdown(wait=False)

    async def write(
        self,
        statement: WriteRunnable,
        limits: WriteLimits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None,
    ) -> WriteOutcome:
        deadline = time.monotonic() + limits.read.timeout_s
        await self._wait_for_turn(limits.read.timeout_s)
        if self._closed:
            self._turn.release()
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5)
        self._session.arm()
        done = False
        try:
            delivery = await self._run(statement, limits, deadline, Delivery(sink, limits.read, 0, on_columns))
            affected, columns = self._session.affected, self._session.columns
            if limits.dry_run:
                await self._on_thread(self._session.finish_dry)
            else:
                await _outlived(asyncio.wrap_future(self._executor().submit(self._session.commit)))
            done = True
        finally:
            if done:
                self._turn.release()
            else:
                self._settle()
        return WriteOutcome(affected=affected, columns=columns, row_count=delivery.row_count, stopped=delivery.stopped)

    async def _run(
        self, statement: WriteRunnable, limits: WriteLimits, deadline: float, delivery: Delivery
    ) -> Delivery:
        session = self._session
        await self._on_thread(session.start, statement, limits, deadline)
        if statement.ddl:
            return delivery
        wanted = statement.returning
        if wanted:
            delivery.announce(session.columns)
        done = False
        while not done:
            room = min(delivery.rows_wanted - 1, _BATCH_ROWS) if wanted else None
            touched = await self._on_thread(session.more, room)
            done = touched.done
            if wanted:
                wanted = delivery.push(touched.rows, touched.raw_bytes, last=done)
        return delivery

    async def _wait_for_turn(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._turn.acquire()
        except TimeoutError as e:
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=1) from e

    def _executor(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="douane-sqlite-writer")
        return self._thread

    async def _on_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor(), work, *args)

    def _settle(self) -> None:
        """It failed, or the caller went away: stops what runs, rolls back, and gives up the turn only then."""
        self._session.stop()
        task = asyncio.get_running_loop().create_task(self._settled())
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settled(self) -> None:
        try:
            await self._on_thread(self._session.roll_back)
        finally:
            self._turn.release()


async def _outlived(committing: "asyncio.Future[None]") -> None:
    """From here on a cancellation waits for the outcome: it must not hide a change that was made."""
    while not committing.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({committing})
    committing.result()
