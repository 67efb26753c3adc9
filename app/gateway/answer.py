"""What leaves: a status, headers and body chunks whose digest stands on the audit trail before the first byte goes."""

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Protocol
from urllib.parse import urlencode

import orjson

SPOOL_ABOVE_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 64 * 1024


class Spool:
    """Body chunks with a running SHA-256; beyond a few megabytes they wait in an unnamed temporary file.

    The whole answer is known, counted and recorded before its first byte leaves; memory stays bounded all the same.
    OSError (disk full) passes through to the caller of `add`.
    """

    __slots__ = ("_chunks", "_digest", "_file", "_held", "_known", "size")

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._held = 0
        self._known: str | None = None
        self.size = 0

    def add(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self._chunks.append(chunk)
        self.size += len(chunk)
        self._held += len(chunk)
        if self._held > SPOOL_ABOVE_BYTES:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - lives as long as the answer, closed by close()
        self._file.writelines(self._chunks)
        # A full disk shows now, while the answer can still be refused, and not when its first byte has left.
        self._file.flush()
        self._chunks.clear()
        self._held = 0

    def adopt(self, file: IO[bytes], size: int, digest: str) -> None:
        """Takes over a file that was written elsewhere, of which size and SHA-256 are known; nothing is added to it."""
        self._file, self.size, self._known = file, size, digest

    def digest(self) -> str:
        return self._known or self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(CHUNK_BYTES):
                yield piece
        if self._chunks:
            yield b"".join(self._chunks)

    def close(self) -> None:
        self._chunks.clear()
        file, self._file = self._file, None
        if file is not None:
            # What it could not write is not wanted any more; the descriptor is closed all the same.
            with suppress(OSError):
                file.close()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Stream(Protocol):
    """Pieces of a body. `aclose` frees what it holds, also when no piece was ever taken."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


class ContentBrokeOff(Exception):  # noqa: N818
    """Raised by a stream of content that cannot go on; `code` goes on record."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


Ended = Callable[[int, str | None, str | None], Awaitable[None]]
"""(bytes that left, BLAKE3 of them, code of what cut it short or None) -> the second entry on the trail."""


@dataclass(slots=True, kw_only=True)
class Answer:
    """`opening` is JSON without its closing brace; `seal` adds the receipt and closes the object. `bare`: it is content
    as it is, and the receipt a header. Of an answer with a `stream` the opening is empty and the receipt a header: it
    commits to the fact that the stream was opened. `length`: of a stream of content, how many bytes it has to give; the
    pipeline then sets `ended`, to be called when no more of it leaves. `withdrawn`: what has to be undone when the
    answer does not leave after all."""

    status: int
    opening: Spool
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    stream: Stream | None = None
    bare: bool = False
    length: int | None = None
    ended: Ended | None = None
    withdrawn: Callable[[], Awaitable[None]] | None = None

    def seal(self, receipt: Mapping[str, Any]) -> str:
        """Close the JSON object with its receipt; returns the SHA-256 of the whole body."""
        if self.stream is not None or self.bare:
            self.headers["x-receipt"] = orjson.dumps(receipt).decode("ascii")
            return self.opening.digest()
        self.opening.add(b',"receipt":' + orjson.dumps(receipt) + b"}")
        return self.opening.digest()

    def seal_unrecorded(self) -> None:
        """Close the JSON object of an answer that says that nothing could be recorded."""
        self.opening.add(b"}")


def json_answer(
    status: int,
    document: Mapping[str, Any],
    *,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Answer:
    """A small document as an answer; it must have at least one member."""
    spool = Spool()
    spool.add(orjson.dumps(document)[:-1])
    return Answer(status=status, opening=spool, headers=headers or {}, media_type=media_type)


def as_text(content: bytes) -> dict[str, str]:
    """Content inside JSON: text as it is, other bytes as base64."""
    try:
        return {"encoding": "utf-8", "content": content.decode("utf-8")}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": b64encode(content).decode("ascii")}


def next_link(url: str, cursor: str | None, asked: Mapping[str, str]) -> dict[str, str]:
    """The Link header (RFC 8288) that says the same as next_cursor."""
    if cursor is None:
        return {}
    return {"link": f'<{url}?{urlencode({**asked, "cursor": cursor})}>; rel="next"'}
