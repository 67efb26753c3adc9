"""The append-only file behind the log: one durable write per batch, and what a failure or a crash leaves of it.

The file is made longer ahead of need, in zeros: a flush into them changes no file-system metadata, which costs less
than half of one that makes the file longer.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from app.audit.batch import HEADER_BYTES, Batch, batch_at, encode
from app.store.trail_files import write_all_at, write_durably

_PROBE_BYTES = 64 * 1024
_ROOM_BYTES = 4 * 1024 * 1024
_MIN_ROOM_BYTES = 64 * 1024


class Journal:
    """Not thread-safe: one thread writes. `durable_bytes` counts what is known to be on disk; nothing but zeros ever
    stays in the file behind it."""

    def __init__(
        self,
        path: Path,
        *,
        entries: int,
        durable_bytes: int,
        last_batch_at: int | None,
        write: Callable[[int, bytes, int], None] = write_durably,
    ) -> None:
        self._path = path
        self._write = write
        self._fd: int | None = None
        self._last_batch_at = last_batch_at
        self._room_until = 0
        self._cramped = False
        self.entries = entries
        self.durable_bytes = durable_bytes

    def write(self, entries: Sequence[bytes]) -> None:
        """Makes the entries durable. Raises OSError; the file then counts as damaged until a repair succeeds,
        which the next call tries first."""
        fd = self._sound_fd()
        data = encode(self.entries, entries)
        end = self.durable_bytes + len(data)
        try:
            if end > self._room_until:
                self._make_room(fd, end)
            self._write(fd, data, self.durable_bytes)
        except BaseException:
            self._distrust(fd)
            raise
        self._last_batch_at = self.durable_bytes
        self.durable_bytes += len(data)
        self.entries += len(entries)

    def probe(self) -> None:
        """Is there room again? Raises OSError. Leaves nothing behind: zeros are no batch, should it be cut off."""
        fd = self._sound_fd()
        self._room_until = 0
        try:
            write_all_at(fd, bytes(_PROBE_BYTES), self.durable_bytes)
            os.ftruncate(fd, self.durable_bytes)
            os.fdatasync(fd)
        except BaseException:
            self._distrust(fd)
            raise

    def repair(self) -> None:
        """Back to the last durable byte, on a freshly opened file. Raises OSError."""
        self._sound_fd()

    def close(self) -> None:
        if self._fd is not None:
            try:
                os.ftruncate(self._fd, self.durable_bytes)
            finally:
                os.close(self._fd)
                self._fd = None

    def _make_room(self, fd: int, end: int) -> None:
        """Raises OSError when what was written cannot be synced."""
        room_until = end + (_MIN_ROOM_BYTES if self._cramped else min(_ROOM_BYTES, max(_MIN_ROOM_BYTES, end)))
        try:
            write_all_at(fd, bytes(room_until - self.durable_bytes), self.durable_bytes)
        except OSError:
            # Too little space for comfort may still be enough for this batch
            os.ftruncate(fd, self.durable_bytes)
            self._cramped = True
            return
        os.fdatasync(fd)
        self._room_until, self._cramped = room_until, False

    def _distrust(self, fd: int) -> None:
        # After a failed sync the kernel may have dropped the pages and forgotten the error: this descriptor's later
        # syncs prove nothing.
        self._fd = None
        os.close(fd)

    def _sound_fd(self) -> int:
        if self._fd is None:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                self._cut_back(fd)
            except BaseException:
                os.close(fd)
                raise
            self._fd = fd
        return self._fd

    def _cut_back(self, fd: int) -> None:
        self._room_until = 0
        size = os.fstat(fd).st_size
        if size < self.durable_bytes:
            raise OSError("the journal has lost durable bytes")
        if size > self.durable_bytes:
            os.ftruncate(fd, self.durable_bytes)
        os.fsync(fd)
        if self._last_batch_at is not None:
            tail = os.pread(fd, self.durable_bytes - self._last_batch_at, self._last_batch_at)
            last = batch_at(tail, 0) if len(tail) >= HEADER_BYTES else None
            if not isinstance(last, Batch) or not last.sound or last.end != len(tail):
                raise OSError("the journal's last durable batch cannot be read back")
