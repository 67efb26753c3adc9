"""SQLite behind the connector contract: a small pool of threads that read, each with its own fortified connection, and
one that writes."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from connectors.contract import (
    Catalog,
    ConnectorError,
    Dialect,
    Failure,
    Finding,
    Limits,
    ReadOutcome,
    ResultColumn,
    RowSink,
    Runnable,
    SqlConnectorConfig,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.delivery import Delivery
from connectors.sqlite.catalog import read_catalog, schema_state
from connectors.sqlite.faults import translated
from connectors.sqlite.probing import probe_file
from connectors.sqlite.session import Session
from connectors.sqlite.writing import Writer

_FIRST_ROWS = 1_000
_BATCH_ROWS = 200
_IDENTITY_CHECK_S = 1.0
_WAIT_FOR_WORKER_S = 5.0

_Identity = tuple[int, int, int]
"""Device and inode of the file, and how often its schema was seen to change."""


@dataclass(slots=True, eq=False)
class _Worker:
    thread: ThreadPoolExecutor
    session: Session
    identity: _Identity

    def close(self) -> None:
        self.thread.submit(self.session.close)
        self.thread.shutdown(wait=False)


class SqliteConnector:
    dialect = Dialect.SQLITE

    def __init__(self, config: SqlConnectorConfig) -> None:
        self._path = os.fspath(config.options["path"])
        self._redact = config.redact
        self._pool_max = max(1, config.pool_max)
        self._statement_timeout_s = config.statement_timeout_s
        self._idle: list[_Worker] = []
        self._slots = asyncio.Semaphore(self._pool_max)
        self._catalog: Catalog | None = None
        self._catalog_state: Any = None
        self._schema_epoch = 0
        self._identity: _Identity | None = None
        self._identity_checked = 0.0
        self._settling: set[asyncio.Task[None]] = set()
        self._refreshing = asyncio.Lock()
        self._open = False
        self._writer = Writer(self._path, self._redact)

    async def open(self) -> None:
        self._open = True

    async def close(self) -> None:
        self._open = False
        while self._settling:
            await asyncio.wait(self._settling)
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()
            await asyncio.to_thread(worker.thread.shutdown)
        await self._writer.close()

    def catalog(self) -> Catalog | None:
        return self._catalog

    async def refresh(self) -> Catalog:
        async with self._refreshing:
            try:
                state = await asyncio.to_thread(schema_state, self._path)
                if self._catalog is None or state != self._catalog_state:
                    # Virtual tables connect anew after a change of schema, which only a new session may do.
                    self._schema_epoch += 1
                    self._identity = None
                    self._catalog = await asyncio.to_thread(read_catalog, self._path)
                    self._catalog_state = state
            except (sqlite3.Error, OSError) as e:
                raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5) from e
            return self._catalog

    async def read(
        self,
        statement: Runnable,
        limits: Limits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> ReadOutcome:
        worker = await self._take()
        loop = asyncio.get_running_loop()
        delivery = Delivery(sink, limits, statement.skip_rows, on_columns)
        ended = False
        try:
            worker.session.arm()
            wanted = min(delivery.rows_wanted, _FIRST_ROWS)
            fetched = await loop.run_in_executor(worker.thread, worker.session.start, statement, limits, wanted)
            delivery.announce(fetched.columns)
            while delivery.push(fetched.rows, fetched.raw_bytes, last=fetched.done) and not fetched.done:
                fetched = await loop.run_in_executor(worker.thread, worker.session.more, _BATCH_ROWS)
            ended = fetched.done
        except ConnectorError as e:
            # The session ended the statement itself, unless the file is gone.
            ended = e.failure is not Failure.UNAVAILABLE
            raise
        finally:
            if ended:
                self._give_back(worker)
            else:
                self._settle(worker)
        return ReadOutcome(columns=fetched.columns, row_count=delivery.row_count, stopped=delivery.stopped)

    async def write(
        self,
        statement: WriteRunnable,
        limits: WriteLimits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> WriteOutcome:
        if not self._open:
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5)
        outcome = await self._writer.write(statement, limits, sink, on_columns)
        if statement.ddl and not limits.dry_run:
            # The next statement must find the new schema; where that cannot be read now, the next refresh will.
            with contextlib.suppress(ConnectorError):
                await self.refresh()
        return outcome

    async def _take(self) -> _Worker:
        if not self._open:
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5)
        if self._slots.locked():
            try:
                async with asyncio.timeout(min(_WAIT_FOR_WORKER_S, self._statement_timeout_s)):
                    await self._slots.acquire()
            except TimeoutError as e:
                raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=1) from e
        else:
            await self._slots.acquire()
        try:
            identity = self._file_identity()
            while self._idle:
                worker = self._idle.pop()
                if worker.identity == identity:
                    return worker
                worker.close()
            return await self._start_worker(identity)
        except BaseException:
            self._slots.release()
            raise

    async def _start_worker(self, identity: _Identity) -> _Worker:
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="douane-sqlite")
        opening = thread.submit(Session, self._path, self._redact)
        try:
            session = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_orphan)
            thread.shutdown(wait=False)
            raise
        except (sqlite3.Error, OSError) as e:
            thread.shutdown(wait=False)
            failed = translated(e, wall_refused=False) if isinstance(e, sqlite3.Error) else None
            retryable = failed is None or failed.retryable
            raise ConnectorError(Failure.UNAVAILABLE, retryable=retryable, retry_after_s=5) from e
        return _Worker(thread, session, identity)

    def _file_identity(self) -> _Identity:
        """A replaced file is a new database: sessions on the old one are retired."""
        now = time.monotonic()
        if self._identity is None or now - self._identity_checked > _IDENTITY_CHECK_S:
            try:
                seen = os.stat(self._path)
            except OSError as e:
                self._identity = None
                raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5) from e
            self._identity = (seen.st_dev, seen.st_ino, self._schema_epoch)
            self._identity_checked = now
        return self._identity

    def _give_back(self, worker: _Worker) -> None:
        if self._open:
            self._idle.append(worker)
        else:
            worker.close()
        self._slots.release()

    def _settle(self, worker: _Worker) -> None:
        """Stops what still runs, and returns the worker once its thread is idle again."""
        worker.session.stop()
        task = asyncio.get_running_loop().create_task(self._settled(worker))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settled(self, worker: _Worker) -> None:
        try:
            await asyncio.wrap_future(worker.thread.submit(worker.session.finish))
        except sqlite3.Error:
            worker.close()
            self._slots.release()
        else:
            self._give_back(worker)

    async def estimate(self, statement: Runnable, timeout_s: float) -> int | None:
        """SQLite's planner estimates no result size."""
        return None

    async def probe(self) -> tuple[Finding, ...]:
        return await asyncio.to_thread(probe_file, self._path)


def _close_orphan(opening: Any) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
