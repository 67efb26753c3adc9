"""Putting and deleting: what is visible below the root changes in one rename, link or unlink, or not at all.

`if_absent` is a link(2), which nobody's file can lose against. `if_match` compares and renames under a lock that every
Douane process on this machine takes; a program that writes into the folder past Douane does not take it, and what it
writes between the comparison and the rename is lost. Files are 0600, directories that a put makes 0700; directories
that a delete empties go with it.
"""

import contextlib
import os
import stat
import threading
from dataclasses import dataclass

from connectors.contract import ConnectorError, Failure, ObjectInfo
from connectors.filesystem.faults import translated
from connectors.filesystem.incoming import names_locked, new_file, opened_incoming
from connectors.filesystem.tree import etag_of, info_of, opened_directory, opened_root, reachable, require_regular


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Of what must be in the place of the key; both empty: anything."""

    if_match: str | None = None
    if_absent: bool = False


class Staged:
    """One file that is written and not yet in its place. Every method blocks and raises ConnectorError; `discard` at
    the end, whatever happened."""

    def __init__(self, root: str, key: str) -> None:
        if not reachable(key):
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        self._root = root
        self._key = key
        self._name: str | None = None
        # A call that nobody waits for any more may still run: the descriptor is closed behind it.
        self._turn = threading.Lock()
        try:
            with opened_root(root) as top, opened_incoming(top) as incoming:
                self._name, self._descriptor = new_file(incoming)
        except OSError as e:
            raise translated(e, writing=True) from e

    def write(self, data: bytes) -> None:
        try:
            with self._turn:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._descriptor, view) :]
        except OSError as e:
            raise translated(e, writing=True) from e

    def commit(self, condition: Condition) -> ObjectInfo:
        """Durable when it returns. OUTCOME_UNKNOWN: it is in its place, and may not be after a loss of power."""
        with self._turn:
            try:
                return self._commit(condition)
            except OSError as e:
                raise translated(e, writing=True) from e

    def _commit(self, condition: Condition) -> ObjectInfo:
        *folders, name = self._key.split("/")
        os.fsync(self._descriptor)
        with opened_root(self._root) as top, opened_incoming(top) as incoming:
            with names_locked(incoming):
                made = 0
                try:
                    made = _make_directories(top, folders)
                    with opened_directory(top, folders) as parent:
                        self._place(incoming, parent, name, condition)
                except BaseException:
                    _remove_empty(top, folders, made)
                    raise
            seen = os.fstat(self._descriptor)
            _settle(top, folders, made)
        return info_of(self._key, seen)

    def _place(self, incoming: int, parent: int, name: str, condition: Condition) -> None:
        assert self._name is not None
        there = _regular_in(parent, name)
        if condition.if_absent:
            try:
                os.link(self._name, name, src_dir_fd=incoming, dst_dir_fd=parent, follow_symlinks=False)
            except FileExistsError as e:
                raise ConnectorError(Failure.CHANGED) from e
            with contextlib.suppress(OSError):
                # The object is in its place; a second name for it in the hidden directory is swept one day.
                os.unlink(self._name, dir_fd=incoming)
        else:
            if condition.if_match is not None and (there is None or etag_of(there) != condition.if_match):
                raise ConnectorError(Failure.CHANGED)
            os.rename(self._name, name, src_dir_fd=incoming, dst_dir_fd=parent)
        self._name = None

    def discard(self) -> None:
        """What is not in its place leaves nothing behind."""
        with self._turn:
            name, self._name = self._name, None
            try:
                if name is not None:
                    with opened_root(self._root) as top, opened_incoming(top) as incoming:
                        os.unlink(name, dir_fd=incoming)
            except OSError as e:
                raise translated(e, writing=True) from e
            finally:
                os.close(self._descriptor)


def delete_file(root: str, key: str, if_match: str | None) -> None:
    """Raises ConnectorError. OUTCOME_UNKNOWN: it is gone, and may be back after a loss of power."""
    if not reachable(key):
        raise ConnectorError(Failure.NOT_FOUND)
    *folders, name = key.split("/")
    try:
        with opened_root(root) as top:
            # Without the lock first: a delete of what is not there must not make the hidden directory.
            with opened_directory(top, folders) as parent:
                _existing(parent, name)
            with opened_incoming(top) as incoming, names_locked(incoming):
                with opened_directory(top, folders) as parent:
                    there = _existing(parent, name)
                    if if_match is not None and etag_of(there) != if_match:
                        raise ConnectorError(Failure.CHANGED)
                    os.unlink(name, dir_fd=parent)
                    _synced(parent)
                _remove_empty(top, folders, len(folders))
    except OSError as e:
        raise translated(e) from e


def _existing(parent: int, name: str) -> os.stat_result:
    seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
    require_regular(seen)
    return seen


def _regular_in(parent: int, name: str) -> os.stat_result | None:
    """Raises REFUSED_BY_WALL for a symlink, a device and the like; a directory in the place of a file holds no key."""
    try:
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(seen.st_mode):
        raise ConnectorError(Failure.REFUSED_BY_WALL)
    return seen


def _make_directories(top: int, folders: list[str]) -> int:
    """How many at the end of `folders` were not there before; those it made are gone again if it raises."""
    for depth, folder in enumerate(folders):
        with opened_directory(top, folders[:depth]) as parent:
            try:
                os.mkdir(folder, 0o700, dir_fd=parent)
            except FileExistsError:
                continue
        try:
            for inner in range(depth + 1, len(folders)):
                with opened_directory(top, folders[:inner]) as parent:
                    os.mkdir(folders[inner], 0o700, dir_fd=parent)
        except BaseException:
            _remove_empty(top, folders[:inner], inner - depth)
            raise
        return len(folders) - depth
    return 0


def _remove_empty(top: int, folders: list[str], most: int) -> None:
    """From the innermost outwards, as long as nothing is in them. Best effort: an empty directory is no object."""
    with contextlib.suppress(OSError, ConnectorError):
        for depth in range(len(folders), len(folders) - most, -1):
            with opened_directory(top, folders[: depth - 1]) as parent:
                os.rmdir(folders[depth - 1], dir_fd=parent)


def _settle(top: int, folders: list[str], made: int) -> None:
    """The names, after their files: from the parent of the first new directory to the one that holds the file."""
    try:
        for depth in range(len(folders) - made, len(folders) + 1):
            with opened_directory(top, folders[:depth]) as folder:
                _synced(folder)
    except FileNotFoundError:
        # Deleted again meanwhile, with the directories that this emptied.
        return
    except OSError as e:
        raise ConnectorError(Failure.OUTCOME_UNKNOWN) from e


def _synced(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as e:
        raise ConnectorError(Failure.OUTCOME_UNKNOWN) from e
