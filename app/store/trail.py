"""The log of this process on a directory: durable before release, one flush in flight, everything queued joins the
next. The event loop only canonicalises and queues; a flusher thread writes, a notary thread hashes and signs."""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.batch import MAX_PAYLOAD_BYTES
from app.audit.checkpoint import Vkey, vkey_of
from app.audit.entry import Aside, fitted
from app.ports import TrailUnavailable
from app.store.trail_files import make_directory, write_whole
from app.store.trail_journal import Journal
from app.store.trail_notary import Notary
from app.store.trail_open import JOURNAL, Opened, open_first_free

_BATCH_BYTES = MAX_PAYLOAD_BYTES // 4
_CHECKPOINT_INTERVAL_S = 0.9
_PROBE_INTERVAL_S = 1.0
_ATTEST_INTERVAL_S = 0.1
_WINDOW_S = 0.005
_QUIET_TURNS = 2
_PATIENCE_S = 0.0025
_CROWD_PER_ENTRY = 2
"""A flush costs two thread switches, whatever it carries. While the loop has other requests to run, waiting for their
entries costs nobody anything; when it is quiet for two turns, or after the window, the flush starts. A flush for few
of many is given a moment more even then."""


class _Batch:
    """Entries that become durable together, or fail together."""

    __slots__ = ("asides", "entries", "error", "settled", "size_bytes", "waiters")

    def __init__(self) -> None:
        self.entries: list[bytes] = []
        self.asides: list[Aside] = []
        self.size_bytes = 0
        self.settled = False
        self.error: str | None = None
        self.waiters: list[asyncio.Future[None]] = []

    def settle(self, error: str | None) -> None:
        self.settled, self.error = True, error
        for waiter in self.waiters:
            if not waiter.done():  # a waiter's task may have been cancelled
                waiter.set_result(None)
        self.waiters.clear()


class _Durable:
    """Awaitable of one appended entry. Costs a future only when awaited before the flush is through; cancelling a
    task that awaits it touches no other task and not the entry."""

    __slots__ = ("_batch",)

    def __init__(self, batch: _Batch) -> None:
        self._batch = batch

    def __await__(self) -> Generator[Any, None, None]:
        batch = self._batch
        if not batch.settled:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            batch.waiters.append(waiter)
            yield from waiter
        if batch.error is not None:
            raise TrailUnavailable(batch.error)


class FileTrail:
    """Implements `ports.Trail`. `await FileTrail.open(…)`, then `aclose()`, or `async with`. Use on one event loop."""

    def __init__(self, opened: Opened, key: Ed25519PrivateKey, report: Callable[[Exception], None]) -> None:
        self.origin = opened.origin
        self.vkey: Vkey = vkey_of(opened.origin, key)
        self.directory: Path = opened.directory
        self.cut_bytes = opened.cut_bytes
        self._lock_fd = opened.lock_fd
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._journal = Journal(
            opened.directory / JOURNAL,
            entries=opened.edge.size,
            durable_bytes=opened.journal_bytes,
            last_batch_at=opened.last_batch_at,
        )
        self._notary = Notary(
            opened.directory,
            origin=opened.origin,
            key=key,
            edge=opened.edge,
            journal_bytes=opened.journal_bytes,
            last_batch_at=opened.last_batch_at,
            signed_size=opened.signed_size,
        )
        self._durable = self._next = opened.edge.size
        self._waiting: deque[_Batch] = deque()
        self._in_flight: _Batch | None = None
        self._kick_scheduled: asyncio.Handle | None = None
        self._crowd: Callable[[], int] = lambda: 0
        self._asked_at = 0.0
        self._quiet_turns = 0
        self._seen = (0, 0)
        self._closed = False
        self._closing = threading.Event()
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._writable = True
        self._attested = True
        self._to_flush: SimpleQueue[_Batch | None] = SimpleQueue()
        self._to_attest: SimpleQueue[tuple[list[bytes], int] | None] = SimpleQueue()
        self._flusher = threading.Thread(target=self._flush_all, name="trail-flusher", daemon=True)
        self._attester = threading.Thread(target=self._attest_all, name="trail-notary", daemon=True)

    @classmethod
    async def open(
        cls,
        directory: Path,
        *,
        origin: str,
        key: Ed25519PrivateKey,
        report: Callable[[Exception], None] = lambda _problem: None,
    ) -> Self:
        """Takes the first log below `directory` that no process holds; its origin is `origin/<n>`. `report` is told on
        the loop why a write failed, for the operator. Raises TrailCorrupt when that log contradicts itself,
        TrailUnavailable when the directory cannot be used."""
        try:
            opened = await asyncio.to_thread(open_first_free, directory, origin, key)
            trail = cls(opened, key, report)
            try:
                await asyncio.to_thread(trail._sign_opening, opened)
            except BaseException:
                os.close(opened.lock_fd)
                raise
        except OSError as problem:
            text = f"{directory}: the audit log cannot be written there; check the directory, its rights and its space"
            raise TrailUnavailable(text) from problem
        trail._flusher.start()
        trail._attester.start()
        return trail

    def _sign_opening(self, opened: Opened) -> None:
        self._notary.redo(opened.tiles)
        self._notary.publish(time.monotonic(), keep=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def healthy(self) -> bool:
        return self._writable and self._attested and not self._closed

    @property
    def durable_size(self) -> int:
        return self._durable

    def next_index(self) -> int:
        return self._next

    def append(self, entry: Mapping[str, Any]) -> Awaitable[None]:
        data, asides = fitted(entry)
        if self._closed:
            refused = _Batch()
            refused.settle("the log is closed")
            return _Durable(refused)
        waiting = self._waiting
        if not waiting or waiting[-1].size_bytes + len(data) + 2 > _BATCH_BYTES:
            waiting.append(_Batch())
        batch = waiting[-1]
        batch.entries.append(data)
        batch.size_bytes += len(data) + 2
        if asides:
            batch.asides.extend(asides)
        self._next += 1
        self._idle.clear()
        if self._in_flight is None:
            self._schedule()
        return _Durable(batch)

    def expect(self, crowd: Callable[[], int]) -> None:
        """`crowd` counts the requests that are under way, and so may append soon: while some of them run, a flush waits
        for them (never past _WINDOW_S). Without it every flush starts at once."""
        self._crowd = crowd

    def _schedule(self) -> None:
        """Start the next flush when the loop has nothing else to do, or when waiting longer helps nobody."""
        if self._kick_scheduled is None:
            self._asked_at = self._loop.time()
            self._quiet_turns = 0
            self._kick_scheduled = self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Once per turn of the loop: requests that run now will append soon, and may share the flush."""
        self._kick_scheduled = None
        if not self._waiting:
            return
        crowd = self._crowd()
        seen = (self._next, crowd)
        self._quiet_turns = self._quiet_turns + 1 if seen == self._seen else 0
        self._seen = seen
        entries, waited_s = len(self._waiting[0].entries), self._loop.time() - self._asked_at
        quiet = self._quiet_turns >= _QUIET_TURNS
        enough = entries * _CROWD_PER_ENTRY >= crowd or waited_s > _PATIENCE_S
        if entries >= crowd or (quiet and enough) or waited_s > _WINDOW_S:
            self._kick()
        elif quiet:
            self._kick_scheduled = self._loop.call_later(_PATIENCE_S, self._look)
        else:
            self._kick_scheduled = self._loop.call_soon(self._look)

    async def aclose(self) -> None:
        """Flushes, signs the last checkpoint, releases the log. Raises TrailUnavailable when that checkpoint could
        not be written (nothing durable is lost: the next start signs it)."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        await self._idle.wait()
        self._to_flush.put(None)
        await asyncio.to_thread(self._flusher.join)
        self._to_attest.put(None)
        await asyncio.to_thread(self._attester.join)
        self._journal.close()
        os.close(self._lock_fd)
        if self._notary.signed_size != self._notary.size:
            raise TrailUnavailable("the last checkpoint could not be written; it is signed at the next start")

    def _kick(self) -> None:
        if self._in_flight is None and self._waiting:
            self._in_flight = self._waiting.popleft()
            self._to_flush.put(self._in_flight)

    def _settled(self, batch: _Batch, error: str | None) -> None:
        self._in_flight = None
        self._writable = error is None
        if error is None:
            self._durable += len(batch.entries)
            batch.settle(None)
            if self._waiting:
                self._schedule()
        else:
            # Their indexes were counted behind the ones that failed
            failed, self._waiting = [batch, *self._waiting], deque()
            self._next = self._durable
            for each in failed:
                each.settle(error)
        if self._in_flight is None and not self._waiting:
            self._idle.set()

    def _probed(self, writable: bool) -> None:
        self._writable = writable

    def _flush_all(self) -> None:
        broken = False
        while True:
            try:
                batch = self._to_flush.get(timeout=_PROBE_INTERVAL_S if broken else None)
            except Empty:
                broken = not self._tried(self._journal.probe)
                self._loop.call_soon_threadsafe(self._probed, not broken)
                continue
            if batch is None:
                return
            broken = not self._tried(partial(self._write, batch))
            if broken:
                self._tried(self._journal.repair)
            self._loop.call_soon_threadsafe(self._settled, batch, _UNWRITABLE if broken else None)
            if not broken:
                self._to_attest.put((batch.entries, self._journal.durable_bytes))

    def _write(self, batch: _Batch) -> None:
        for aside in batch.asides:
            path = self.directory / aside.path
            make_directory(path.parent)
            write_whole(path, aside.data)
        self._journal.write(batch.entries)

    def _tried(self, effect: Callable[[], None]) -> bool:
        try:
            effect()
        except Exception as problem:
            # Whatever it was, those who wait are told that nothing is durable; a silent thread would hang them
            self._loop.call_soon_threadsafe(self._report, problem)
            return False
        return True

    def _attest_all(self) -> None:
        due_s: float | None = None
        lost = False
        while True:
            try:
                taken = self._next_to_attest(None if due_s is None else max(0.0, due_s - time.monotonic()))
            except Empty:
                due_s = self._publish_due()
                continue
            if taken is None:
                if not lost:
                    self._attested = self._tried(partial(self._notary.publish, time.monotonic(), keep=True))
                return
            if lost or not self._tried(partial(self._notary.take, *taken)):
                # A tree that missed an entry must never be signed; the next start reads it from the journal
                self._attested, lost, due_s = False, True, None
            elif due_s is None:
                due_s = time.monotonic() + _CHECKPOINT_INTERVAL_S
            elif time.monotonic() >= due_s:
                due_s = self._publish_due()

    def _next_to_attest(self, timeout_s: float | None) -> tuple[list[bytes], int] | None:
        """Raises Empty. Under load many flushes are taken at one waking: each would take the interpreter from the
        loop that answers requests."""
        try:
            return self._to_attest.get_nowait()
        except Empty:
            taken = self._to_attest.get(timeout=timeout_s)
        if taken is not None:
            self._closing.wait(_ATTEST_INTERVAL_S)
        return taken

    def _publish_due(self) -> float | None:
        """Signs what is durable; answers when to try again, if it could not."""
        self._attested = self._tried(partial(self._notary.publish, time.monotonic()))
        return None if self._attested else time.monotonic() + _PROBE_INTERVAL_S


_UNWRITABLE = "the audit log cannot be written; check the space and health of its disk"
