"""How a key becomes an open file: descriptor by descriptor below the root, through no symlink, to regular files alone.

No path is ever resolved as a whole, so a directory that somebody swaps for a symlink meanwhile leads nowhere: what is
open stays what it was, and a symlink in the place of the next component is refused.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from connectors.contract import ConnectorError, Failure, ObjectInfo
from connectors.filesystem.content_types import content_type_of
from connectors.filesystem.faults import translated, unavailable
from connectors.object_keys import is_key

INCOMING = ".douane-incoming"
"""Below the root, where files are written until they are whole; no key begins with it."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


MAX_FOLDERS = 64
"""Around one object. A listing holds each of them open on its way, and descriptors are of the whole process."""


def reachable(key: str) -> bool:
    """Of a folder's path as well."""
    return is_key(key) and key.partition("/")[0] != INCOMING and key.count("/") <= MAX_FOLDERS


@contextlib.contextmanager
def opened_root(root: str) -> Iterator[int]:
    """The root itself may be named through symlinks: the configuration says so. Raises UNAVAILABLE."""
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise unavailable() from e
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_directory(root: int, segments: list[str]) -> Iterator[int]:
    """Raises OSError where a component is missing or no directory, REFUSED_BY_WALL where one is a symlink."""
    current = os.dup(root)
    try:
        for segment in segments:
            following = directory_in(current, segment)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


def directory_in(parent: int, name: str) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as e:
        # Linux answers ENOTDIR for a symlink to a directory, others ELOOP.
        if e.errno in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
            refuse_symlink(parent, name)
        raise


def refuse_symlink(parent: int, name: str) -> None:
    if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        raise ConnectorError(Failure.REFUSED_BY_WALL)


def open_file(root: str, key: str) -> tuple[int, os.stat_result]:
    """A regular file and what it was when it was opened. Raises ConnectorError."""
    if not reachable(key):
        raise ConnectorError(Failure.NOT_FOUND)
    *folders, name = key.split("/")
    try:
        with opened_root(root) as top, opened_directory(top, folders) as parent:
            # Opening a device can already do something: what is no file is not opened.
            require_regular(os.stat(name, dir_fd=parent, follow_symlinks=False))
            descriptor = os.open(name, _FILE, dir_fd=parent)
    except OSError as e:
        raise translated(e) from e
    try:
        seen = os.fstat(descriptor)
        require_regular(seen)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, seen


def require_regular(seen: os.stat_result) -> None:
    if stat.S_ISREG(seen.st_mode):
        return
    raise ConnectorError(Failure.NOT_FOUND if stat.S_ISDIR(seen.st_mode) else Failure.REFUSED_BY_WALL)


def info_of(key: str, seen: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=seen.st_size,
        etag=etag_of(seen),
        last_modified=datetime.fromtimestamp(seen.st_mtime, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        content_type=content_type_of(key),
    )


def etag_of(seen: os.stat_result) -> str:
    """Of the file's identity and times, not of its bytes: another one whenever they were written. Hashed, because inode
    numbers and clock readings are nobody's business."""
    facts = f"{seen.st_dev} {seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}"
    return hashlib.sha256(facts.encode()).hexdigest()[:40]


def same_content(before: os.stat_result, now: os.stat_result) -> bool:
    """Whether nobody wrote into an open file. A change of its links alone (another file was renamed over it, it was
    deleted) touches ctime; the other times of an unlinked file still tell."""
    if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
        return False
    return before.st_nlink != now.st_nlink or before.st_ctime_ns == now.st_ctime_ns
