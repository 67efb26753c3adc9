"""How the log's small files reach the disk: whole or not at all, and durable when a function returns."""

import os
from pathlib import Path

_ONE_CALL = hasattr(os, "pwritev") and hasattr(os, "RWF_DSYNC")


def write_whole(path: Path, data: bytes) -> None:
    """Replaces `path` in one step; after a crash it holds the old bytes or the new ones."""
    place(path, data)
    sync_directory(path.parent)


def place(path: Path, data: bytes) -> None:
    """`write_whole` but for the name, which is durable when its directory is synced."""
    part = path.with_name(f".{path.name}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)
    part.replace(path)


def write_all(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def write_all_at(fd: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        count = os.pwrite(fd, left, offset)
        left, offset = left[count:], offset + count


def write_durably(fd: int, data: bytes, offset: int) -> None:
    """`data` is on disk when it returns. One system call where there is one: a thread gives the interpreter away, and
    waits for it again, once for each."""
    if not _ONE_CALL:
        write_all_at(fd, data, offset)
        os.fdatasync(fd)
        return
    left = memoryview(data)
    while left:
        count = os.pwritev(fd, [left], offset, os.RWF_DSYNC)
        left, offset = left[count:], offset + count


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(path: Path) -> None:
    """Makes a directory and its parents; each new name is durable."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync_directory(path.parent)


def read_or_none(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
