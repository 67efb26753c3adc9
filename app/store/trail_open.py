"""Opening a log directory: take the first free one, read what is durable, cut what never was, refuse the rest."""

import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.batch import Batch, Broken, batches, next_sound
from app.audit.checkpoint import BadCheckpoint, Checkpoint, vkey_of
from app.audit.edge import Edge, Written, edge_from
from app.audit.tiles import Tile
from app.store.trail_files import make_directory, read_or_none, write_whole
from app.store.trail_history import HISTORY, LATEST, newest_head, notes_of

JOURNAL = "journal"
VKEY = "log.vkey"
MAX_WRITERS = 1024
FULL_SCAN_BYTES = 64 * 1024 * 1024
"""Logs up to this size are read whole at every start; of larger ones only what no checkpoint covers yet."""
_REST_BYTES = 4 * 1024 * 1024


class TrailCorrupt(Exception):  # noqa: N818 - names a state of the log
    """The log contradicts itself and is not opened. The text names the place and the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    directory: Path
    origin: str
    lock_fd: int
    edge: Edge
    journal_bytes: int
    last_batch_at: int | None
    signed_size: int | None
    tiles: tuple[Written, ...]
    cut_bytes: int
    """Length of a torn write that nobody was ever told of."""


def open_first_free(
    directory: Path, origin: str, key: Ed25519PrivateKey, *, full_scan_bytes: int = FULL_SCAN_BYTES
) -> Opened:
    """Raises TrailCorrupt or OSError."""
    make_directory(directory)
    for number in range(MAX_WRITERS):
        path = directory / str(number)
        make_directory(path)
        lock_fd = _lock(path / "lock")
        if lock_fd is None:
            continue
        try:
            return _recover(path, f"{origin}/{number}", key, lock_fd, full_scan_bytes)
        except BaseException:
            os.close(lock_fd)
            raise
    raise TrailCorrupt(f"{directory}: all {MAX_WRITERS} logs are in use; give these processes a directory of their own")


def _lock(path: Path) -> int | None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _recover(path: Path, origin: str, key: Ed25519PrivateKey, lock_fd: int, full_scan_bytes: int) -> Opened:
    vkey = vkey_of(origin, key)
    known = read_or_none(path / VKEY)
    if known is not None and known.decode("utf-8", "replace").strip() != str(vkey):
        raise TrailCorrupt(f"{path}: written under another origin or key; restore that key or start a new directory")
    try:
        head = newest_head(path, vkey)
    except BadCheckpoint as problem:
        raise TrailCorrupt(f"{path}: {problem}; {_ADVICE}") from None
    journal = path / JOURNAL
    if head is None and journal.exists() and journal.stat().st_size:
        raise TrailCorrupt(f"{path}: the journal has entries but no checkpoint; {_ADVICE}")
    if known is None:
        write_whole(path / VKEY, f"{vkey}\n".encode())
    _cut_history(path / HISTORY)
    fd = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        scan = _Scan(path, fd, head)
        scan.run(full_scan_bytes)
        if cut := scan.rest().rstrip(b"\0"):
            # Nobody was told of it; kept all the same, so that nothing vanishes from an audit directory
            write_whole(path / f"cut-{scan.edge.size}", cut)
        os.ftruncate(fd, scan.end)
        os.fsync(fd)
    finally:
        os.close(fd)
    return Opened(
        directory=path,
        origin=origin,
        lock_fd=lock_fd,
        edge=scan.edge,
        journal_bytes=scan.end,
        last_batch_at=scan.last_batch_at,
        signed_size=_size_of(path / LATEST, head),
        tiles=tuple(scan.tiles),
        cut_bytes=len(cut),
    )


_ADVICE = "keep it as it is, run `douane audit verify` on it, and start with an empty directory"


class _Scan:
    """Reads the journal from its start, or from the newest checkpoint when the log is large."""

    def __init__(self, path: Path, fd: int, head: Checkpoint | None) -> None:
        self._path = path
        self._fd = fd
        self._head = head
        self.edge = Edge()
        self.end = 0
        self.last_batch_at: int | None = None
        self.tiles: list[Written] = []

    def run(self, full_scan_bytes: int) -> None:
        if os.fstat(self._fd).st_size > full_scan_bytes:
            self._skip_covered()
        self._check_head()
        for found in batches(self._read, self.end):
            if isinstance(found, Broken) or not found.sound or found.first != self.edge.size:
                self._must_be_torn()
                break
            self._take(found.entries)
            self.last_batch_at, self.end = found.offset, found.end
        if self._head is not None and self.edge.size < self._head.size:
            raise TrailCorrupt(
                f"{self._path}: truncated: {self.edge.size} entries, but {self._head.size} are signed; {_ADVICE}"
            )

    def _take(self, entries: Sequence[bytes]) -> None:
        to_head = self._head.size - self.edge.size if self._head is not None else 0
        if 0 < to_head < len(entries):
            self.tiles.extend(self.edge.extend(entries[:to_head]))
            self._check_head()
            entries = entries[to_head:]
        self.tiles.extend(self.edge.extend(entries))
        self._check_head()

    def _check_head(self) -> None:
        head = self._head
        if head is not None and self.edge.size == head.size and self.edge.root() != head.root:
            raise TrailCorrupt(
                f"{self._path}: entries below {head.size} are not those of the signed checkpoint; {_ADVICE}"
            )

    def _must_be_torn(self) -> None:
        if next_sound(self.rest(), self.edge.size) is not None:
            raise TrailCorrupt(f"{self._path}: entry {self.edge.size} is damaged and durable ones follow it; {_ADVICE}")

    def rest(self) -> bytes:
        """All behind the last whole batch."""
        read, at = bytearray(), self.end
        while more := os.pread(self._fd, _REST_BYTES, at + len(read)):
            read += more
        return bytes(read)

    def _skip_covered(self) -> None:
        """Believes `resume` and the partial tiles only as far as the signed root bears them out."""
        raw = read_or_none(self._path / "resume")
        if raw is None or self._head is None:
            return
        try:
            resume = orjson.loads(raw)
            size, last_batch_at = int(resume["size"]), max(0, int(resume["last_batch_at"]))
            edge = edge_from(size, self._read_tile)
        except (ValueError, KeyError, TypeError, OSError):
            return
        if size != self._head.size or edge is None or edge.root() != self._head.root:
            return
        last = next(batches(self._read, last_batch_at), None)
        if isinstance(last, Batch) and last.sound and last.first + len(last.entries) == size:
            self.edge, self.end, self.last_batch_at = edge, last.end, last.offset

    def _read(self, offset: int, count: int) -> bytes:
        return os.pread(self._fd, count, offset)

    def _read_tile(self, tile: Tile) -> bytes:
        return (self._path / tile.path).read_bytes()


def _cut_history(path: Path) -> None:
    history = read_or_none(path)
    if history is None:
        return
    _, whole = notes_of(history)
    if whole < len(history):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.ftruncate(fd, whole)
            os.fsync(fd)
        finally:
            os.close(fd)


def _size_of(latest: Path, head: Checkpoint | None) -> int | None:
    """The size that `checkpoint` itself shows; when the history is ahead of it, it must be published anew."""
    note = read_or_none(latest)
    if note is None or head is None:
        return None
    shown = note.split(b"\n", 2)[1]
    return head.size if shown == str(head.size).encode() else None
