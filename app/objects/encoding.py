"""Text content as UTF-8 bytes: byte order marks taken away, UTF-16 with a mark transcoded, anything else refused."""

import codecs

from app.objects.refusal import ContentFault, ContentRefused
from app.objects.unwrapping import Replayed, Source

_MARK_BYTES = 4
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def without_mark(start: bytes) -> bytes:
    """The beginning of content in UTF-8; JSON has no other encoding (RFC 8259, 8.1)."""
    return start.removeprefix(codecs.BOM_UTF8)


def as_utf8(source: Source) -> Source:
    """Reads UTF-8 without its mark. What says that it is UTF-16 comes transcoded. Raises ContentRefused, also while it
    is read; what it gives may still be no valid UTF-8."""
    start = b""
    while len(start) < _MARK_BYTES and (more := source.read(_MARK_BYTES - len(start))):
        start += more
    if start.startswith(codecs.BOM_UTF8):
        return Replayed(start.removeprefix(codecs.BOM_UTF8), source)
    for mark, name in _WIDE.items():
        if start.startswith(mark) and not start.startswith(codecs.BOM_UTF32_LE):
            return _Transcoded(Replayed(start.removeprefix(mark), source), name)
    return Replayed(start, source)


def checked_utf8(data: bytes, place: str) -> str:
    """`place`: where the data begins. Raises ContentRefused for what is no text in UTF-8."""
    if 0 in data:
        raise not_text(place)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as broken:
        raise not_text(place) from broken


def not_text(place: str) -> ContentRefused:
    return ContentRefused(
        ContentFault.UNDECODABLE, f"The content is not text in UTF-8 from {place} on. Store it as UTF-8.", place
    )


class _Transcoded:
    def __init__(self, raw: Source, encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def read(self, size: int, /) -> bytes:
        # Two bytes of UTF-16 become at most three of UTF-8.
        while chunk := self._raw.read(max(size // 2, 2)):
            if text := self._decoded(chunk, final=False):
                return text.encode("utf-8")
        return self._decoded(b"", final=True).encode("utf-8")

    def _decoded(self, chunk: bytes, *, final: bool) -> str:
        try:
            return self._decoder.decode(chunk, final)
        except UnicodeDecodeError as broken:
            raise ContentRefused(
                ContentFault.UNDECODABLE, "The content is not the UTF-16 that its mark says. Store it as UTF-8."
            ) from broken
