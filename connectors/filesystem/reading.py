"""The bytes of one open file, of one state of it: whoever writes into it meanwhile ends the read."""

import os

from connectors.contract import CHUNK_BYTES, ConnectorError, Failure, ObjectInfo
from connectors.filesystem.faults import translated
from connectors.filesystem.tree import info_of, open_file, same_content


class OpenFile:
    """Methods block and raise ConnectorError. A file that is renamed over or deleted is read on as it was."""

    def __init__(self, root: str, key: str, *, first: int, count: int | None, etag: str | None) -> None:
        self._descriptor, self._seen = open_file(root, key)
        self.info: ObjectInfo = info_of(key, self._seen)
        if etag is not None and etag != self.info.etag:
            self.close()
            raise ConnectorError(Failure.CHANGED)
        self._place = min(first, self.info.size)
        self._end = self.info.size if count is None else min(self._place + count, self.info.size)

    def chunk(self) -> bytes:
        """b"": all of it was read."""
        wanted = min(CHUNK_BYTES, self._end - self._place)
        if wanted <= 0:
            return b""
        try:
            data = os.pread(self._descriptor, wanted, self._place)
            unchanged = same_content(self._seen, os.fstat(self._descriptor))
        except OSError as e:
            raise translated(e) from e
        if not data or not unchanged:
            raise ConnectorError(Failure.CHANGED)
        self._place += len(data)
        return data

    def close(self) -> None:
        os.close(self._descriptor)
