"""Reads content out of at most one layer of gzip (RFC 1952) or zstd (RFC 8878), a bounded step at a time, so that no
input grows into more memory than a step; and counts what comes in and what comes out of it."""

import io
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

import zstandard

from app.objects.beside_content import SKIPPABLE_BYTES, gzip_name, refuse_skippable
from app.objects.formats import Wrapping
from app.objects.plan import RenderLimits
from app.objects.refusal import ContentFault, ContentRefused

STEP_BYTES = 1 << 18
_PIECE_BYTES = 1 << 14
"""Of compressed bytes. Small, because what follows the end of a tiny gzip member is copied with every member."""
_ZSTD_STEP_BYTES = 1 << 11
"""A block of zstd holds 128 KiB of content in as little as four bytes, and the library gives all of a step at once."""
_ZSTD_MAX_WINDOW_BYTES = 1 << 27
_RATIO_COUNTS_FROM_BYTES = 4 << 20
_GZIP_WINDOW_BITS = 31


class Source(Protocol):
    def read(self, size: int, /) -> bytes:
        """At least one and at most `size` bytes; empty at the end. Raises ContentRefused."""
        ...


Named = Callable[[str], None]


def unwrapped(raw: BinaryIO, wrapping: Wrapping, limits: RenderLimits, named: Named | None = None) -> Source:
    """Every reading of it keeps to the limits. `named`: is told the names of files beside the content, and anything
    else beside it is refused; None: all that is read over. Raises ContentRefused while it is read."""
    counted = _Counted(raw, limits.max_input_bytes)
    match wrapping:
        case Wrapping.NONE:
            return counted
        case Wrapping.GZIP:
            return _Joined(counted, _Gzip(counted, named), limits)
        case Wrapping.ZSTD:
            return _Joined(counted, _Zstd(counted, looks=named is not None), limits)


def whole(source: Source, max_bytes: int) -> bytes | None:
    """Everything, or None when it is longer. Then what was read is lost."""
    taken = bytearray()
    while chunk := source.read(STEP_BYTES):
        taken += chunk
        if len(taken) > max_bytes:
            return None
    return bytes(taken)


class Replayed:
    """What was read already, then the rest of it."""

    def __init__(self, first: bytes, rest: Source) -> None:
        self._first = io.BytesIO(first)
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        return self._first.read(size) or self._rest.read(size)


def too_large(max_bytes: int) -> ContentRefused:
    return ContentRefused(
        ContentFault.TOO_LARGE,
        f"Content above {max_bytes:,} bytes is not rendered under masks. Ask for an object that holds less, or split "
        "this one.",
    )


class _Counted:
    def __init__(self, raw: BinaryIO, max_bytes: int) -> None:
        self._raw = raw
        self._max_bytes = max_bytes
        self.count = 0

    def read(self, size: int, /) -> bytes:
        chunk = self._raw.read(size)
        self.count += len(chunk)
        if self.count > self._max_bytes:
            raise too_large(self._max_bytes)
        return chunk


class _Steps(Protocol):
    def step(self, size: int) -> bytes:
        """Some content, empty at the end of it."""
        ...


class _Joined:
    """Steps of unequal size as reads of the size that is wanted, under the limits on what they add up to."""

    def __init__(self, counted: _Counted, steps: _Steps, limits: RenderLimits) -> None:
        self._counted = counted
        self._steps = steps
        self._limits = limits
        self._expanded = 0
        self._ready = memoryview(b"")

    def read(self, size: int, /) -> bytes:
        taken: list[bytes | memoryview] = [self._ready]
        missing = size - len(self._ready)
        while missing > 0 and (step := self._steps.step(size)):
            self._expanded += len(step)
            self._check()
            taken.append(step)
            missing -= len(step)
        joined = memoryview(b"".join(taken))
        self._ready = joined[size:]
        return bytes(joined[:size])

    def _check(self) -> None:
        over_ratio = self._expanded > max(self._counted.count * self._limits.max_ratio, _RATIO_COUNTS_FROM_BYTES)
        if over_ratio or self._expanded > self._limits.max_expanded_bytes:
            raise bomb()


def bomb() -> ContentRefused:
    return ContentRefused(
        ContentFault.BOMB,
        "The compressed content expands to far more than it may. Store it uncompressed or in smaller objects.",
    )


class _Gzip:
    """Members one after the other are one content (RFC 1952, 2.2)."""

    def __init__(self, raw: Source, named: Named | None) -> None:
        self._raw = raw
        self._named = named
        self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
        self._pending = b""
        self._members = 0
        self._begun = False

    def step(self, size: int) -> bytes:
        while True:
            self._pending = self._pending or self._raw.read(_PIECE_BYTES)
            ended = not self._pending
            if ended and not self._begun:
                if self._members:
                    return b""
                raise _cut("gzip")
            if not self._begun and self._named is not None:
                self._look(self._named)
            self._begun = True
            try:
                chunk = self._member.decompress(self._pending, size)
            except zlib.error as broken:
                raise _garbage("gzip") if self._members else _broken("gzip") from broken
            self._pending = self._member.unconsumed_tail
            if self._member.eof:
                self._pending = self._member.unused_data
                self._member = zlib.decompressobj(_GZIP_WINDOW_BITS)
                self._members += 1
                self._begun = False
            elif ended and not chunk:
                raise _cut("gzip")
            if chunk:
                return chunk

    def _look(self, named: Named) -> None:
        while (name := gzip_name(self._pending)) is None and (more := self._raw.read(_PIECE_BYTES)):
            self._pending += more
        if name:
            named(name)


class _Zstd:
    """Frames one after the other are one content (RFC 8878, 3)."""

    def __init__(self, raw: Source, *, looks: bool) -> None:
        self._raw = raw
        self._looks = looks
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._pending = memoryview(b"")
        self._frames = 0
        self._begun = False

    def step(self, size: int) -> bytes:
        while True:
            if not self._pending and not (pending := self._raw.read(_PIECE_BYTES)):
                if self._begun or not self._frames:
                    raise _cut("zstd")
                return b""
            self._pending = self._pending or memoryview(pending)
            if self._looks and not self._begun:
                self._look()
            piece = self._pending[:_ZSTD_STEP_BYTES]
            self._begun = True
            try:
                chunk = self._frame.decompress(piece)
            except zstandard.ZstdError as broken:
                raise _garbage("zstd") if self._frames else _broken("zstd") from broken
            used = len(piece)
            if self._frame.eof:
                used -= len(self._frame.unused_data)
                self._frame = self._decompressor.decompressobj()
                self._frames += 1
                self._begun = False
            self._pending = self._pending[used:]
            if chunk:
                return chunk

    def _look(self) -> None:
        while len(self._pending) < SKIPPABLE_BYTES and (more := self._raw.read(_PIECE_BYTES)):
            self._pending = memoryview(bytes(self._pending) + more)
        refuse_skippable(bytes(self._pending[:SKIPPABLE_BYTES]))


def _broken(name: str) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE, f"The content is not the {name} that its name or type says. Store it again."
    )


def _garbage(name: str) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE, f"Something other than {name} follows the compressed content. Store it again."
    )


def _cut(name: str) -> ContentRefused:
    return ContentRefused(ContentFault.TRUNCATED, f"The {name} content ends too early. Store the whole object again.")
