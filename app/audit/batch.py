"""The journal's frame: everything that one flush makes durable, with a checksum that tells a torn write.

A batch is written only after the one before it is durable. So a broken batch with a whole one behind it was damaged
later, and a broken batch at the very end was never acknowledged. The file may go on in zeros: room made ahead, so that
a flush changes no file-system metadata.

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
SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""
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
    reread_at = -1
    while True:
        found = batch_at(data, at, base)
        if isinstance(found, Batch):
            yield found
            at = found.end - base
            continue
        if found.cut_short and (more := read(base + len(data), _CHUNK_BYTES)):
            data, base, at = data[at:] + more, base + at, 0
            continue
        if only_room(read, found.offset):
            return
        if found.cut_short or found.offset == reread_at:
            yield found
            return
        # A live log may have grown into what was room when it was read
        reread_at = found.offset
        data, base, at = read(found.offset, _CHUNK_BYTES), found.offset, 0


def only_room(read: Read, offset: int) -> bool:
    """Nothing but zeros from there on, or nothing at all."""
    while data := read(offset, _CHUNK_BYTES):
        if any(data):
            return False
        offset += len(data)
    return True


def interrupted(rest: bytes, offset: int) -> bool:
    """Can this, from `offset` in the file to its end, be what a write left that the power or the process did not
    outlive? Then a sector of the batch never arrived: it is all room, or behind the end. No sector that was written is,
    for neither a header nor an entry has that many zeros, and an entry ends in none."""
    found = batch_at(rest, 0)
    end = HEADER_BYTES if isinstance(found, Broken) else found.end
    if len(rest) >= HEADER_BYTES and rest[:4] == MAGIC:
        end = HEADER_BYTES + _HEADER.unpack_from(rest)[2]
    if len(rest) < end:
        return True
    start = 0
    while start < end:
        stop = min(end, start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES)
        if not any(rest[start:stop]):
            return True
        start = stop
    return False


def next_sound(data: bytes, first_above: int) -> Batch | None:
    """A whole batch somewhere behind a broken one: proof that the broken one had been durable. Entries are JSON and
    have no NUL byte, a header has; so no entry can pretend to be one."""
    at = -1
    while (at := data.find(MAGIC, at + 1)) >= 0:
        found = batch_at(data, at)
        if isinstance(found, Batch) and found.sound and found.first > first_above:
            return found
    return None
