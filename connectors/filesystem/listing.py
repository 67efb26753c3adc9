"""Names below the root in the order of their keys, a page at a time.

Of a directory only the names that may still come on the page are kept, however many it has. What is no key (not NFC,
undecodable, with control characters), no regular file, or behind a symlink is not there.
"""

import contextlib
import heapq
import os
import stat
from collections.abc import Iterator

from connectors.contract import ConnectorError, Failure, ObjectInfo, ObjectPage
from connectors.filesystem.faults import translated
from connectors.filesystem.tree import INCOMING, directory_in, info_of, opened_directory, opened_root, reachable
from connectors.object_keys import is_folded


def page_of(root: str, prefix: str, *, after: str, limit: int, shallow: bool) -> ObjectPage:
    """Raises UNAVAILABLE where the root cannot be opened."""
    walk = _Walk(prefix, after, limit, shallow=shallow)
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    with opened_root(root) as top:
        for name in walk.names(top):
            if len(objects) + len(prefixes) == limit:
                return ObjectPage(objects=tuple(objects), prefixes=tuple(prefixes), more=True)
            if isinstance(name, str):
                prefixes.append(name)
            else:
                objects.append(name)
    return ObjectPage(objects=tuple(objects), prefixes=tuple(prefixes))


class _Walk:
    def __init__(self, prefix: str, after: str, limit: int, *, shallow: bool) -> None:
        self._prefix = prefix
        self._after = after
        self._batch = limit + 1
        self._shallow = shallow

    def names(self, top: int) -> Iterator[ObjectInfo | str]:
        folder, slash, _ = self._prefix.rpartition("/")
        if slash and not reachable(folder):
            return
        try:
            with opened_directory(top, folder.split("/") if folder else []) as start:
                yield from self._below(start, folder + slash)
        except OSError as e:
            if (failed := translated(e)).failure is not Failure.NOT_FOUND:
                raise failed from e
        except ConnectorError as e:
            # Behind a symlink there is nothing to list.
            if e.failure is not Failure.REFUSED_BY_WALL:
                raise

    def _below(self, folder: int, path: str) -> Iterator[ObjectInfo | str]:
        """`path`: of the open directory, "" or with a "/" at its end."""
        passed = ""
        while True:
            batch = heapq.nsmallest(self._batch, self._candidates(folder, path, passed))
            for key in batch:
                name = key[len(path) :]
                if not key.endswith("/"):
                    with contextlib.suppress(FileNotFoundError):
                        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        if stat.S_ISREG(seen.st_mode):
                            yield info_of(key, seen)
                elif self._shallow:
                    if self._holds_a_key(folder, name[:-1], key):
                        yield key
                else:
                    with _entered(folder, name[:-1]) as inner:
                        if inner is not None:
                            yield from self._below(inner, key)
            if len(batch) < self._batch:
                return
            passed = batch[-1]

    def _candidates(self, folder: int, path: str, passed: str) -> Iterator[str]:
        """Keys of files, and paths of directories with a "/" at their end: where they stand among the keys. Text is
        compared by code points, which is the order of its UTF-8 bytes."""
        with os.scandir(folder) as entries:
            for entry in entries:
                if not path and entry.name == INCOMING:
                    continue
                if entry.is_file(follow_symlinks=False):
                    key = path + entry.name
                    wanted = key > self._after and key.startswith(self._prefix) and reachable(key)
                elif entry.is_dir(follow_symlinks=False):
                    key = f"{path}{entry.name}/"
                    begins = key.startswith(self._prefix)
                    behind = key > self._after or (not self._shallow and self._after.startswith(key))
                    wanted = begins and behind and is_folded(key) and reachable(key[:-1])
                else:
                    continue
                if wanted and key > passed:
                    yield key

    def _holds_a_key(self, folder: int, name: str, path: str) -> bool:
        """A directory without any object in it is no prefix of one."""
        with _entered(folder, name) as inner:
            if inner is None:
                return False
            folders = []
            with os.scandir(inner) as entries:
                for entry in entries:
                    key = path + entry.name
                    if not reachable(key):
                        continue
                    if entry.is_file(follow_symlinks=False):
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
            return any(self._holds_a_key(inner, sub, f"{path}{sub}/") for sub in folders)


@contextlib.contextmanager
def _entered(folder: int, name: str) -> Iterator[int | None]:
    """None: it is gone, became something else, or is closed to us; then nothing below it can be had either."""
    try:
        inner = directory_in(folder, name)
    except (ConnectorError, FileNotFoundError, NotADirectoryError, PermissionError):
        yield None
        return
    try:
        yield inner
    finally:
        os.close(inner)
