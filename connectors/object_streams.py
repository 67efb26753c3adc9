"""Bytes of objects on their way: read one chunk ahead of the consumer, and counted on their way in."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from connectors.contract import ConnectorError, Failure, Fault
from connectors.threads import Threads


@contextlib.asynccontextmanager
async def streamed(
    threads: Threads, read: Callable[[], bytes], close: Callable[[], None], *, timeout_s: float
) -> AsyncIterator[AsyncIterator[bytes]]:
    """What `read` gives until it gives nothing. Leaving calls `close`, once no thread is inside `read` any more."""
    source = _Source(read, close)
    chunks = _read_ahead(threads, source.read, timeout_s)
    try:
        yield chunks
    finally:
        try:
            await chunks.aclose()
        finally:
            threads.later(source.close)


async def _read_ahead(threads: Threads, read: Callable[[], bytes], timeout_s: float) -> AsyncGenerator[bytes]:
    """While the consumer works on one chunk the next one is read, and no more than that."""
    following = asyncio.ensure_future(threads.run(read, timeout_s=timeout_s))
    try:
        while chunk := await following:
            following = asyncio.ensure_future(threads.run(read, timeout_s=timeout_s))
            yield chunk
    finally:
        following.cancel()
        await asyncio.wait({following})
        if not following.cancelled():
            # Nobody wants to know any more; asked for, it is not reported as forgotten.
            following.exception()


class _Source:
    """`read` and `close` of one stream, never both at once: a descriptor that is closed while it is read may already
    be somebody else's file."""

    def __init__(self, read: Callable[[], bytes], close: Callable[[], None]) -> None:
        self._read = read
        self._close = close
        self._lock = threading.Lock()
        self._reading = False
        self._closed = False

    def read(self) -> bytes:
        with self._lock:
            if self._closed:
                return b""
            self._reading = True
        try:
            return self._read()
        finally:
            with self._lock:
                self._reading = False
                left_meanwhile = self._closed
            if left_meanwhile:
                self._close()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._reading:
                return
        self._close()


async def blocks(body: AsyncIterator[bytes], *, size: int, block_bytes: int) -> AsyncGenerator[bytes]:
    """`body` in blocks of `block_bytes`, the last one shorter. Raises STATEMENT with INVALID_VALUE as soon as more than
    `size` bytes came, and at the end if fewer did; what `body` raises passes through."""
    parts: list[bytes] = []
    held = seen = 0
    async for part in body:
        seen += len(part)
        if seen > size:
            raise _another_size()
        parts.append(part)
        held += len(part)
        while held >= block_bytes:
            joined = b"".join(parts)
            yield joined[:block_bytes]
            parts = [joined[block_bytes:]]
            held -= block_bytes
    if seen != size:
        raise _another_size()
    if held:
        yield b"".join(parts)


def _another_size() -> ConnectorError:
    return ConnectorError(Failure.STATEMENT, fault=Fault.INVALID_VALUE)
