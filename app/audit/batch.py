"""The journal's frame: everything that one flush makes durable, with a checksum that tells a torn write.

A batch is written only after the one before it is durable. So a broken batch with a whole one behind it was damaged
later, and a broken batch at the very end was never acknowledged.

    magic "DTB1" · CRC-32 of all that follows · payload bytes · entries · index of the first (big-endian 4 4 4 4 8)
    payload: the entries as in a tlog-tiles bundle, each behind its uint16 length
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from app.audit.tiles import BadBundle, bundle, entries_of

MAGIC = b"DTB1"
_HEADER = Struct(">4sIIIQ")
_COVERED = Struct(">IIQ")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    first: int
    entries: Sequence[bytes]
    offset: int
    end: int
    sound: bool
    """False: the checksum or the header's counts do not fit, though the entries can still be told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """No batch can be read at `offset`. `cut_short`: the bytes end before the batch would."""

    offset: int
    cut_short: bool


def encode(first: int, entries: Sequence[bytes]) -> bytes:
    payload = bundle(entries)
    covered = _COVERED.pack(len(payload), len(entries), first)
    return _HEADER.pack(MAGIC, crc32(payload, crc32(covered)), len(payload), len(entries), first) + payload


def batch_at(data: bytes, at: int, base: int = 0) -> Batch | Broken:
    """The batch at `data[at:]`; offsets in the answer count from `base` before `data`."""
    if at + HEADER_BYTES > len(data):
        return Broken(offset=base + at, cut_short=True)
    magic, checksum, length, count, first = _HEADER.unpack_from(data, at)
    start, end = at + HEADER_BYTES, at + HEADER_BYTES + length
    if magic != MAGIC or not count or length > MAX_PAYLOAD_BYTES:
        return Broken(offset=base + at, cut_short=False)
    if end > len(data):
        return Broken(offset=base + at, cut_short=True)
    payload = data[start:end]
    try:
        entries = entries_of(payload)
    except BadBundle:
        return Broken(offset=base + at, cut_short=False)
    sound = crc32(payload, crc32(_COVERED.pack(length, count, first))) == checksum and count == len(entries)
    return Batch(first=first, entries=entries, offset=base + at, end=base + end, sound=sound)


Read = Callable[[int, int], bytes]
"""(offset, count) to at most `count` bytes; fewer only at the end, none behind it."""


def batches(read: Read, offset: int = 0) -> Iterator[Batch | Broken]:
    """Batch after batch to the end, or to the first that cannot be read."""
    data, at, base = b"", 0, offset
    while True:
        found = batch_at(data, at, base)
        if isinstance(found, Broken) and found.cut_short:
            more = read(base + len(data), _CHUNK_BYTES)
            if more:
                data, base, at = data[at:] + more, base + at, 0
                continue
            if at == len(data):
                return
        yield found
        if isinstance(found, Broken):
            return
        at = found.end - base


def next_sound(data: bytes, first_above: int) -> Batch | None:
    """A whole batch somewhere behind a broken one: proof that the broken one had been durable. Entries are JSON and
    have no NUL byte, a header has; so no entry can pretend to be one."""
    at = -1
    while (at := data.find(MAGIC, at + 1)) >= 0:
        found = batch_at(data, at)
        if isinstance(found, Batch) and found.sound and found.first > first_above:
            return found
    return None
