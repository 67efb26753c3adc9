"""What a durable entry turns into: tree, tiles, signed checkpoints. Follows the journal in a thread of its own, so
that neither hashing nor the derived files delay a release.

    checkpoint    the newest signed tree head, replaced in one step
    checkpoints   earlier ones, append-only, each followed by an empty line
    resume        where the newest checkpoint's last batch lies (derived, unsigned: checked before it is believed)
    tile/…        tlog-tiles (derived: rebuilt from the journal when missing)
"""

import os
from collections.abc import Sequence
from pathlib import Path

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.checkpoint import Checkpoint, sign
from app.audit.edge import Edge, Written
from app.audit.tiles import Tile, partial_tiles
from app.store.trail_files import make_directory, place, read_or_none, sync_directory, write_all, write_whole

HISTORY_INTERVAL_S = 60.0


class Notary:
    """Not thread-safe. `signed_size` None: nothing signed yet."""

    def __init__(
        self,
        directory: Path,
        *,
        origin: str,
        key: Ed25519PrivateKey,
        edge: Edge,
        journal_bytes: int,
        last_batch_at: int | None,
        signed_size: int | None,
    ) -> None:
        self._directory = directory
        self._origin = origin
        self._key = key
        self._edge = edge
        self._journal_bytes = journal_bytes
        self._last_batch_at = last_batch_at
        self._unwritten: list[Written] = []
        self._partials = [directory / tile.path for tile in partial_tiles(signed_size or 0)]
        self._unsynced: set[Path] = set()
        self._history_due_s: float | None = None
        self.signed_size = signed_size

    @property
    def size(self) -> int:
        return self._edge.size

    def redo(self, written: Sequence[Written]) -> None:
        """Tiles that a recovery saw completed: written again where they are missing or differ."""
        self._unwritten.extend(
            (tile, data) for tile, data in written if read_or_none(self._directory / tile.path) != data
        )

    def take(self, entries: Sequence[bytes], journal_bytes: int) -> None:
        """The next durable batch; `journal_bytes` is where it ends. Pure bookkeeping, cannot fail."""
        self._unwritten.extend(self._edge.extend(entries))
        self._last_batch_at, self._journal_bytes = self._journal_bytes, journal_bytes

    def write_tiles(self) -> None:
        """Raises OSError; what is still unwritten stays queued."""
        while self._unwritten:
            tile, data = self._unwritten[0]
            self._write_derived(tile, data)
            del self._unwritten[0]

    def publish(self, now_s: float, *, keep: bool = False) -> None:
        """Signs the tree as it is, unless it has not grown. Tiles first, so that a checkpoint never names a tree that
        nobody can read. `keep`: into the history in any case. Raises OSError."""
        size = self._edge.size
        if size == self.signed_size and not keep:
            return
        self.write_tiles()
        partials = self._edge.partials()
        for tile, data in partials:
            self._write_derived(tile, data)
        self._sync_directories()
        note = sign(Checkpoint(origin=self._origin, size=size, root=self._edge.root()), self._key)
        if keep or self._history_due_s is None or now_s >= self._history_due_s:
            self._remember(note)
            self._history_due_s = now_s + HISTORY_INTERVAL_S
        write_whole(self._directory / "checkpoint", note)
        self.signed_size = size
        if self._last_batch_at is not None:
            write_whole(self._directory / "resume", orjson.dumps({"size": size, "last_batch_at": self._last_batch_at}))
        self._drop_partials_but([self._directory / tile.path for tile, _ in partials])

    def _remember(self, note: bytes) -> None:
        path = self._directory / "checkpoints"
        known = read_tail(path, len(note) + 1)
        if known == note + b"\n":
            return
        new = not path.exists()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            before = os.fstat(fd).st_size
            try:
                write_all(fd, note + b"\n")
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, before)
                raise
        finally:
            os.close(fd)
        if new:
            sync_directory(self._directory)

    def _write_derived(self, tile: Tile, data: bytes) -> None:
        path = self._directory / tile.path
        make_directory(path.parent)
        place(path, data)
        self._unsynced.add(path.parent)

    def _sync_directories(self) -> None:
        for directory in self._unsynced:
            sync_directory(directory)
        self._unsynced.clear()

    def _drop_partials_but(self, kept: Sequence[Path]) -> None:
        for path in self._partials:
            if path not in kept:
                path.unlink(missing_ok=True)
                if path.parent not in {other.parent for other in kept} and not any(path.parent.iterdir()):
                    path.parent.rmdir()
        self._partials = list(kept)


def read_tail(path: Path, count: int) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        size = os.fstat(fd).st_size
        return os.pread(fd, count, max(0, size - count))
    finally:
        os.close(fd)
