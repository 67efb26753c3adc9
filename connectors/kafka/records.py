"""Records as any producer may write them. The driver's reader raises for a header whose name is not UTF-8 and for what
it cannot unpack, each time anew: all behind it in the partition would never come. Here such a name comes with
replacement characters, and a record that cannot be read comes without its body, so that it can be acked.

Source: Kafka's "Record Batch" format, message format 2; older formats are read by the driver's own code.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy as DriversBatch
from aiokafka.record.legacy_records import _LegacyRecordBatchPy as DriversOldBatch
from aiokafka.record.memory_records import _MemoryRecordsPy as DriversBatches

# The driver's fast one reads on behind the end of what it is given.
from aiokafka.record.util import decode_varint_py as decode_varint

from connectors.contract import Unread
from connectors.kafka.codecs import MOST_BYTES, TooLarge, unpack

_FORMAT_AT = 16
_MOST_HEADERS = 10_000


class NoBody(bytes):
    """In the place of a body that was not read."""

    why: Unread

    def __new__(cls, why: Unread) -> "NoBody":
        body = super().__new__(cls)
        body.why = why
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """As the driver's fetcher wants it."""

    offset: int
    timestamp: int | None
    timestamp_type: int | None
    key: bytes | None = None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    checksum: int | None = None


def accept() -> None:
    """Once or more often; for every consumer of this process."""
    fetcher.MemoryRecords = Batches


class Batches(DriversBatches):  # type: ignore[misc]
    """What one fetch brought of a partition."""

    def next_batch(self) -> Any:
        packed = self._next_slice
        if packed is None or len(packed) <= _FORMAT_AT:
            return super().next_batch()
        self._cache_next()
        old = packed[_FORMAT_AT] < 2
        return _OldBatch(packed, packed[_FORMAT_AT]) if old else Batch(packed)


class Batch(DriversBatch):  # type: ignore[misc]
    def __iter__(self) -> Iterator[Record]:
        """One for each offset that the batch says it has, from where it cannot be read any more."""
        at = self.base_offset
        try:
            for record in self._records():
                yield record
                at = record.offset + 1
        except Exception as e:
            for offset in range(at, self.next_offset):
                yield Record(
                    offset=offset,
                    timestamp=self.max_timestamp,
                    timestamp_type=self.timestamp_type,
                    value=NoBody(_why(e)),
                )

    def _records(self) -> Iterator[Record]:
        buffer = bytes(self._buffer[self._pos :])
        if self.compression_type != self.CODEC_NONE:
            buffer = unpack(self.compression_type, buffer, MOST_BYTES)
        at, pos = self.base_offset, 0
        for _ in range(self._num_records):
            record, pos = self._record(buffer, pos)
            if not at <= record.offset < self.next_offset:
                raise CorruptRecordException
            yield record
            at = record.offset + 1
        if pos != len(buffer):
            raise CorruptRecordException

    def _record(self, buffer: bytes, pos: int) -> tuple[Record, int]:
        length, start = decode_varint(buffer, pos)
        end = start + length
        # One byte of attributes, of which none is used.
        since, pos = decode_varint(buffer, start + 1)
        behind, pos = decode_varint(buffer, pos)
        key, pos = _bytes(buffer, pos)
        value, pos = _bytes(buffer, pos)
        count, pos = decode_varint(buffer, pos)
        if count > _MOST_HEADERS:
            raise TooLarge
        headers: list[tuple[str, bytes | None]] = []
        for _ in range(count):
            name, pos = _bytes(buffer, pos)
            content, pos = _bytes(buffer, pos)
            headers.append(((name or b"").decode(errors="replace"), content))
        if count < 0 or pos != end or end > len(buffer):
            raise CorruptRecordException
        appended = self.timestamp_type == self.LOG_APPEND_TIME
        record = Record(
            offset=self.base_offset + behind,
            timestamp=self.max_timestamp if appended else self.first_timestamp + since,
            timestamp_type=self.timestamp_type,
            key=key,
            value=value,
            headers=tuple(headers),
        )
        return record, end


class _OldBatch(DriversOldBatch):  # type: ignore[misc]
    def __iter__(self) -> Iterator[Any]:
        """One that cannot be read is one record, at its last offset."""
        try:
            yield from super().__iter__()
        except Exception as e:
            why = Unread.TOO_LARGE if isinstance(e, TooLarge) else Unread.BROKEN
            yield Record(offset=self.next_offset - 1, timestamp=self._timestamp, timestamp_type=None, value=NoBody(why))

    def _decompress(self, key_offset: int) -> bytes:
        at = key_offset
        for _ in range(2):
            (size,) = struct.unpack_from(">i", self._buffer, at)
            start, at = at + 4, at + 4 + max(size, 0)
        return unpack(self._compression_type, bytes(self._buffer[start:at]), MOST_BYTES)


def _why(error: Exception) -> Unread:
    return Unread.TOO_LARGE if isinstance(error, TooLarge) else Unread.BROKEN


def _bytes(buffer: bytes, pos: int) -> tuple[bytes | None, int]:
    size, pos = decode_varint(buffer, pos)
    if size < 0:
        return None, pos
    if pos + size > len(buffer):
        raise CorruptRecordException
    return buffer[pos : pos + size], pos + size
