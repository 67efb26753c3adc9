"""Takes the rendered bytes on their way out: compresses them again with fixed parameters, so that equal content gives
equal bytes, counts them, and takes their digest."""

import hashlib
import zlib
from typing import BinaryIO, Protocol

import zstandard

from app.objects.formats import Wrapping
from app.objects.refusal import ContentFault, ContentRefused

_GZIP_LEVEL = 6
_ZSTD_LEVEL = 3
_GZIP_WINDOW_BITS = 31
"""The library writes the gzip header: no name, and no time (RFC 1952, 2.3.1)."""
Bytes = bytes | bytearray | memoryview


class _Compressor(Protocol):
    def compress(self, data: Bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class Sink:
    """`close` writes what compression held back; nothing may be written after it. It leaves `raw` open."""

    def __init__(self, raw: BinaryIO, wrapping: Wrapping, max_bytes: int) -> None:
        self._raw = raw
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self._compressor = _compressor(wrapping)
        self._taken = 0
        self.count = 0
        self.closed = False

    def write(self, data: Bytes) -> int:
        """Raises ContentRefused beyond `max_bytes`."""
        self._taken += len(data)
        self._out(data if self._compressor is None else self._compressor.compress(data))
        return len(data)

    def tell(self) -> int:
        return self._taken

    def flush(self) -> None:
        """What arrived is written already."""

    def close(self) -> None:
        if self._compressor is not None and not self.closed:
            self._out(self._compressor.flush())
        self.closed = True

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def _out(self, data: Bytes) -> None:
        self.count += len(data)
        if self.count > self._max_bytes:
            raise ContentRefused(
                ContentFault.TOO_LARGE,
                f"The rendering grew above {self._max_bytes:,} bytes. Ask for an object that holds less.",
            )
        self._digest.update(data)
        self._raw.write(data)


def _compressor(wrapping: Wrapping) -> _Compressor | None:
    match wrapping:
        case Wrapping.NONE:
            return None
        case Wrapping.GZIP:
            return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW_BITS)
        case Wrapping.ZSTD:
            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
