"""What producers compressed, unpacked up to a bound: a broker bounds what comes packed, and a megabyte may hold
gigabytes. Formats: those of aiokafka.codec."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import cramjam

MOST_BYTES = 64 * 1_048_576
"""Of one batch, unpacked. Producers fill batches to some megabytes, and let one message be a megabyte."""

_XERIAL = struct.pack("!bccccccBii", -126, b"S", b"N", b"A", b"P", b"P", b"Y", 0, 1, 1)
_NO_ROOM = "failed to write whole buffer"


class TooLarge(Exception):  # noqa: N818 - says what is so
    """More than the bound."""


def unpack(codec: int, data: bytes, most: int) -> bytes:
    """`codec`: as attributes of a batch number it. Raises TooLarge, and others for what is broken."""
    return _CODECS[codec](data, most)


def _gzip(data: bytes, most: int) -> bytes:
    done = bytearray()
    while data:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        done += member.decompress(data, most - len(done) + 1)
        if len(done) > most:
            raise TooLarge
        if not member.eof:
            raise ValueError("gzip: cut off")
        data = member.unused_data.lstrip(b"\0")
    return bytes(done)


def _snappy(data: bytes, most: int) -> bytes:
    """In blocks of the Java library, or as one."""
    if not data.startswith(_XERIAL):
        return _snappy_block(data, most)
    done = bytearray()
    at = len(_XERIAL)
    while at < len(data):
        (size,) = struct.unpack_from("!i", data, at)
        if not 0 <= size <= len(data) - at - 4:
            raise ValueError("snappy: cut off")
        done += _snappy_block(data[at + 4 : at + 4 + size], most - len(done))
        at += 4 + size
    return bytes(done)


def _snappy_block(data: bytes, most: int) -> bytes:
    if cramjam.snappy.decompress_raw_len(data) > most:
        raise TooLarge
    return bytes(cramjam.snappy.decompress_raw(data))


def _into(unpacked_into: Callable[[bytes, bytearray], int]) -> Callable[[bytes, int], bytes]:
    def unpacked(data: bytes, most: int) -> bytes:
        # The system gives memory to what is written of it, not to all of it.
        room = bytearray(most)
        try:
            size = unpacked_into(data, room)
        except cramjam.DecompressionError as e:
            raise TooLarge if str(e) == _NO_ROOM else e from e
        return bytes(memoryview(room)[:size])

    return unpacked


_CODECS: dict[int, Callable[[Any, int], bytes]] = {
    1: _gzip,
    2: _snappy,
    3: _into(cramjam.lz4.decompress_into),
    4: _into(cramjam.zstd.decompress_into),
}
