"""Where a file is until it is whole, and the one lock under which names change.

Files are written in a hidden directory below the root and renamed to their place. Each is held with flock, so that what
a dead process left can be told from what is being written; the same directory's own flock orders every put and delete
of every Douane process on this machine.
"""

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator

from connectors.filesystem.tree import INCOMING, directory_in, opened_root

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_NOW = fcntl.LOCK_EX | fcntl.LOCK_NB


@contextlib.contextmanager
def opened_incoming(top: int) -> Iterator[int]:
    """Made where it is not yet. Raises OSError, and REFUSED_BY_WALL where somebody put a symlink in its place."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(INCOMING, 0o700, dir_fd=top)
    folder = directory_in(top, INCOMING)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def names_locked(folder: int) -> Iterator[None]:
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(folder, fcntl.LOCK_UN)


def new_file(folder: int) -> tuple[str, int]:
    """Name and descriptor of an empty file for its owner alone."""
    while True:
        name = f"put-{secrets.token_hex(16)}"
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, _LOCK_NOW)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        # Between its creation and its lock another process took it for a leftover.
        os.close(descriptor)


def sweep(root: str) -> None:
    """Removes what processes left that died while they wrote. Raises OSError and ConnectorError."""
    with opened_root(root) as top:
        try:
            folder = directory_in(top, INCOMING)
        except FileNotFoundError:
            return
        try:
            for name in os.listdir(folder):
                _remove_unless_held(folder, name)
        finally:
            os.close(folder)


def _remove_unless_held(folder: int, name: str) -> None:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return
        raise
    try:
        fcntl.flock(descriptor, _LOCK_NOW)
        os.unlink(name, dir_fd=folder)
    except (BlockingIOError, FileNotFoundError, IsADirectoryError, PermissionError):
        return
    finally:
        os.close(descriptor)
