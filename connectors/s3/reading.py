"""The bytes of one object as they come from the store, counted: a stream that ends early is an error."""

import re
from typing import TYPE_CHECKING

from connectors.contract import CHUNK_BYTES, ObjectInfo
from connectors.s3.facts import info_of
from connectors.s3.faults import translated, unavailable

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def range_header(first: int, count: int | None) -> str | None:
    """RFC 9110, 14.1.2. None: the whole object."""
    if first == 0 and count is None:
        return None
    return f"bytes={first}-" if count is None else f"bytes={first}-{first + count - 1}"


class Body:
    """Methods block; `chunk` raises ConnectorError."""

    def __init__(self, key: str, answer: "GetObjectOutputTypeDef", *, first: int, count: int | None) -> None:
        self._stream = answer["Body"]
        # A store that ignores ranges gives all of it.
        self._left = answer["ContentLength"] if count is None else min(answer["ContentLength"], count)
        self.info: ObjectInfo = info_of(key, answer, size=_whole_size(answer, first=first))

    def chunk(self) -> bytes:
        """b"": all of it was read, and the connection is free again."""
        if not self._left:
            return b""
        try:
            data = self._stream.read(min(CHUNK_BYTES, self._left))
        except Exception as e:
            raise translated(e) from e
        if not data:
            raise unavailable()
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._stream.close()


def _whole_size(answer: "GetObjectOutputTypeDef", *, first: int) -> int:
    """Of the object. Raises UNAVAILABLE where the store gives other bytes than those asked for."""
    stated = answer.get("ContentRange")
    if stated is None:
        if first:
            raise unavailable()
        return answer["ContentLength"]
    found = _CONTENT_RANGE.fullmatch(stated)
    if found is None or int(found[1]) != first:
        raise unavailable()
    return int(found[3])
